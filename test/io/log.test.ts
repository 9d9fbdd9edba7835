// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { Log } from '../../src/io/log.ts';

it('counts the lines for which stderr has no room, and says so when it has', () => {
  let room = true;
  const lines: string[] = [];
  const log = new Log((line) => room && lines.push(line));
  log.line('one');
  room = false;
  log.line('two');
  log.line('three');
  room = true;
  log.line('four');
  log.line('five');
  expect(lines).toEqual([
    'whodunit: one\n',
    'whodunit: 2 lines were left out: the reader of stderr did not read\nwhodunit: four\n',
    'whodunit: five\n',
  ]);
});

it('controls no terminal, whatever text of others is in a line', () => {
  const lines: string[] = [];
  new Log((line) => lines.push(line)).line('no: \u001b[2J\r\u009b2J\u202e\na');
  expect(lines).toEqual(['whodunit: no: \\u001b[2J\\u000d\\u009b2J\\u202e a\n']);
});
