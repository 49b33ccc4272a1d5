'use strict';
const { Queue, Worker } = require('bullmq');
const { connection, concurrency, main } = require('./common.js');

let queue;
main({
  open: async () => {
    queue = new Queue('q', { connection });
    await queue.waitUntilReady();
  },
  add: (data) => queue.add('noop', data),
  addBulk: (all) => queue.addBulk(all.map((data) => ({ name: 'noop', data }))),
  pause: () => queue.pause(),
  resume: () => queue.resume(),
  work: (handle) => new Worker('q', handle, { connection, concurrency }).waitUntilReady(),
});
