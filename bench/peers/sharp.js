// sharp: the documented outputs of each photograph of a folder, those of one at once: `FOLDER OUTPUTS`.
'use strict';
const fs = require('fs');
const path = require('path');
const sharp = require('sharp');

const [folder, outputs] = process.argv.slice(2);
const BOXES = { small: 150, medium: 300, large: 600 };

function all(name) {
  const image = sharp(path.join(folder, name)).rotate();
  const work = Object.entries(BOXES).map(([word, side]) =>
    image
      .clone()
      .resize(side, side, { fit: 'inside', withoutEnlargement: true })
      .jpeg({ quality: 85 })
      .toFile(path.join(outputs, `thumbnail_${word}_${name}`)));
  work.push(image.clone().jpeg({ quality: 85 }).toFile(path.join(outputs, `optimized_${name}`)));
  work.push(image.clone().webp({ quality: 80 }).toFile(path.join(outputs, `${path.parse(name).name}.webp`)));
  return Promise.all(work);
}

(async () => {
  const names = fs.readdirSync(folder).filter((name) => /^in\d+\.jpg$/.test(name)).sort();
  await all(names[0]);
  const began = process.hrtime.bigint();
  const cpu = process.cpuUsage();
  for (const name of names) await all(name);
  const used = process.cpuUsage(cpu);
  console.log(JSON.stringify({
    seconds: Number(process.hrtime.bigint() - began) / 1e9 / names.length,
    cpu: (used.user + used.system) / 1e6 / names.length,
    megabytes: process.resourceUsage().maxRSS * 1024 / 1e6,
  }));
})();
