// exceljs: a table as a workbook, by its streaming writer, with a bold header and a format for times: `FILE ROWS`.
'use strict';
const ExcelJS = require('exceljs');
const { OUT, HEAD, open, report } = require('./rows.js');

const TIMES = new Set(process.env.PEER_TIMES.split(','));

(async () => {
  const book = new ExcelJS.stream.xlsx.WorkbookWriter({ filename: OUT, useStyles: true, useSharedStrings: false });
  const sheet = book.addWorksheet('rows', { views: [{ state: 'frozen', ySplit: 1 }] });
  sheet.columns = HEAD.map((name) => ({
    header: name,
    width: 15,
    style: TIMES.has(name) ? { numFmt: 'yyyy-mm-dd hh:mm:ss' } : {},
  }));
  sheet.getRow(1).font = { bold: true };
  let count = 0;
  for await (const row of await open('array')) {
    sheet.addRow(row).commit();
    if (++count % 1000 === 0) await new Promise(setImmediate); // lets the archive's stream drain
  }
  sheet.commit();
  await book.commit();
  report();
})();
