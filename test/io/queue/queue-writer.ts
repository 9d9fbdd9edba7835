// SPDX-License-Identifier: Apache-2.0
// A program for a test that kills it: puts items into the queue of argv[2], numbered after argv[3], and settles some. Prints one line on
// stdout after each transaction.
import { writeSync } from 'node:fs';
import { Log } from '../../../src/io/log.ts';
import { Queue } from '../../../src/io/queue/queue.ts';
import { item } from '../../support/state.ts';

const [, , directory = '', first = '0'] = process.argv;
const queue = new Queue({ directory, bytesMax: 1 << 30, log: new Log() });
for (let number = Number(first), round = 0; ; round += 1) {
  const items = Array.from({ length: 1 + (round % 7) }, () => {
    number += 1;
    return item(number, number % 5 === 0 ? null : `${number}`.padEnd(1_900));
  });
  queue.put(items);
  writeSync(1, `put ${number}\n`);
  if (round % 3 === 0) {
    const rows = queue.take(20, 1 << 20);
    queue.settle([]);
    writeSync(1, `settled ${rows.map(({ record }) => Number.parseInt(Buffer.from(record).toString(), 10))}\n`);
  }
}
