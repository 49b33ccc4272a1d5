// fast-csv: a table as CSV: `FILE ROWS`.
'use strict';
const fs = require('fs');
const { pipeline } = require('stream/promises');
const { format } = require('@fast-csv/format');
const { OUT, HEAD, open, report } = require('./rows.js');

(async () => {
  await pipeline(await open('array'), format({ headers: HEAD }), fs.createWriteStream(OUT));
  report();
})();
