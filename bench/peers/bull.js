'use strict';
const Queue = require('bull');
const { connection, concurrency, main } = require('./common.js');

let queue;
const open = async () => {
  queue = new Queue('q', { redis: connection });
  await queue.isReady();
};
main({
  open,
  add: (data) => queue.add(data),
  addBulk: (all) => queue.addBulk(all.map((data) => ({ data }))),
  pause: () => queue.pause(),
  resume: () => queue.resume(),
  work: async (handle) => {
    await open();
    queue.process(concurrency, handle);
  },
});
