// nodemailer: a Handlebars template to so many people by its pool, with its defaults: `TEMPLATE MAILS`.
'use strict';
const fs = require('fs');
const Handlebars = require('handlebars');
const nodemailer = require('nodemailer');

const [folder, mails] = process.argv.slice(2);
const read = (name) => Handlebars.compile(fs.readFileSync(`${folder}/${name}`, 'utf8'));
const html = read('mail.html.hbs');
const text = read('mail.txt.hbs');
const subject = read('subject.hbs');
const variables = (number) => JSON.parse(process.env.PEER_VARIABLES.replaceAll('#', String(number)));

(async () => {
  const transport = nodemailer.createTransport({
    host: '127.0.0.1', port: Number(process.env.SINK_PORT), pool: true, secure: false, ignoreTLS: true,
  });
  const began = process.hrtime.bigint();
  const cpu = process.cpuUsage();
  let next = 0;
  async function lane() {
    while (next < Number(mails)) {
      const number = next++;
      const values = variables(number);
      await transport.sendMail({
        from: 'no-reply@example.com',
        to: `reader${number}@example.com`,
        subject: subject(values),
        html: html(values),
        text: text(values),
      });
    }
  }
  await Promise.all(Array.from({ length: 10 }, lane));
  const used = process.cpuUsage(cpu);
  console.log(JSON.stringify({
    rate: Number(mails) / (Number(process.hrtime.bigint() - began) / 1e9),
    cpu: (used.user + used.system) / 1e6,
    megabytes: process.resourceUsage().maxRSS * 1024 / 1e6,
  }));
  transport.close();
})();
