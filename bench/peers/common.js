// What the peers share: `add JOBS`, `bulk JOBS CALLS`, `worker`, `latency JOBS FILE`, `pause`, `resume`. The address is in PEER_PORT.
'use strict';
const fs = require('fs');

const connection = { host: '127.0.0.1', port: Number(process.env.PEER_PORT) };
const concurrency = Number(process.env.PEER_CONCURRENCY);
const CHUNK = 1000;
const WARM = 50;

const now = () => process.hrtime.bigint(); // CLOCK_MONOTONIC, as in Python
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// 200 bytes of JSON.
function payload(more = {}) {
  const data = { kind: 'noop', ...more, pad: '' };
  data.pad = 'x'.repeat(200 - JSON.stringify(data).length);
  return data;
}

// The handler: does nothing, or writes down when it started.
let marks;
async function handle(job) {
  if (job.data.place === undefined) return;
  const started = Buffer.alloc(8);
  started.writeBigInt64LE(now());
  marks ??= fs.openSync(job.data.file, 'r+');
  fs.writeSync(marks, started, 0, 8, job.data.place * 8);
}

async function latencies(peer, jobs, file) {
  const opened = fs.openSync(file, 'r+');
  const read = Buffer.alloc(8);
  const ms = [];
  for (let place = 0; place < WARM + jobs; place++) {
    const data = payload({ place, file });
    const began = now();
    await peer.add(data);
    for (;;) {
      fs.readSync(opened, read, 0, 8, place * 8);
      const started = read.readBigInt64LE(0);
      if (started) {
        ms.push(Number(started - began) / 1e6);
        break;
      }
      await sleep(1);
    }
    await sleep(3);
  }
  return ms.slice(WARM);
}

async function timed(jobs, work) {
  const began = now();
  await work();
  return { rate: jobs / (Number(now() - began) / 1e9) };
}

async function main(peer) {
  const [command, count, more] = process.argv.slice(2);
  const jobs = Number(count);
  if (command === 'worker') {
    await peer.work(handle);
    console.log('ready');
    return;
  }
  await peer.open();
  let answer = {};
  if (command === 'pause' || command === 'resume') await peer[command]();
  if (command === 'latency') answer = { ms: await latencies(peer, jobs, more) };
  if (command === 'add') {
    const all = Array.from({ length: jobs }, () => payload());
    answer = await timed(jobs, async () => { for (const data of all) await peer.add(data); });
  }
  if (command === 'bulk') {
    const all = Array.from({ length: jobs }, () => payload());
    let first = 0;
    const lane = async () => {
      while (first < jobs) {
        const chunk = all.slice(first, first + CHUNK);
        first += CHUNK;
        await peer.addBulk(chunk);
      }
    };
    answer = await timed(jobs, () => Promise.all(Array.from({ length: Number(more) }, lane)));
  }
  console.log(JSON.stringify(answer));
  process.exit(0);
}

module.exports = { connection, concurrency, main };
