// JSONStream: a table as a JSON array: `FILE ROWS`.
'use strict';
const fs = require('fs');
const JSONStream = require('JSONStream');
const { OUT, open, report } = require('./rows.js');

(async () => {
  (await open()).pipe(JSONStream.stringify('[', ',', ']')).pipe(fs.createWriteStream(OUT)).on('finish', report);
})();
