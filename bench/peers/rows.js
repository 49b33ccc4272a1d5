// The rows of the benchmark's table by a cursor, and what is told of a file: for the peers that export.
'use strict';
const fs = require('fs');
const { Client } = require('pg');
const QueryStream = require('pg-query-stream');

const [OUT, ROWS] = process.argv.slice(2);
const HEAD = process.env.PEER_COLUMNS.split(',');
const BATCH = 2000; // rows of a fetch, as ours
let began;
let cpu;

async function open(rowMode) {
  const client = new Client({ connectionString: process.env.PEER_DATABASE });
  await client.connect();
  began = process.hrtime.bigint();
  cpu = process.cpuUsage();
  const columns = HEAD.map((name) => `"${name}"`).join(', ');
  const text = `SELECT ${columns} FROM ${process.env.PEER_TABLE} ORDER BY id`;
  const stream = client.query(new QueryStream(text, [], { batchSize: BATCH, highWaterMark: BATCH, rowMode }));
  stream.once('close', () => client.end());
  return stream;
}

function report() {
  const used = process.cpuUsage(cpu);
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  console.log(JSON.stringify({
    rate: Number(ROWS) / seconds,
    cpu: (used.user + used.system) / 1e6,
    megabytes: process.resourceUsage().maxRSS * 1024 / 1e6,
    size: fs.statSync(OUT).size / 1e6,
  }));
}

module.exports = { OUT, HEAD, open, report };
