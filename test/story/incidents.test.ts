// SPDX-License-Identifier: Apache-2.0
// One act that ends many processes, with the real programs: the first termination has a record, the others share one.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { type Cgroup, makeCgroup } from '../../scripts/stack/cgroup.ts';
import { MORTAL, startProgram, until } from '../../scripts/stack/program.ts';
import { watched } from '../support/watched.ts';

const both = watched({ WHODUNIT_REPORT: 'default' });
const cgroups: Cgroup[] = [];
afterEach(async () => {
  for (const cgroup of cgroups.splice(0)) await cgroup.remove();
});
const dump = async (from: number) => {
  await sleep(4000);
  for (const { eventName, body, attributes } of both.collector.logs().slice(from))
    console.log(eventName, body, JSON.stringify(attributes).slice(0, 3000));
};

it('cgroup.kill', async () => {
  const cgroup = makeCgroup('scope', 'v2');
  cgroups.push(cgroup);
  const from = both.collector.logs().length;
  const [command = '', ...args] = cgroup.enter([
    'sh',
    '-c',
    'for i in $(seq 200); do sleep 1000 & done; echo up; wait',
  ]);
  const shell = startProgram(command, args);
  await until('up', 60000, () => shell.stdout().includes('up') || undefined);
  await sleep(500);
  writeFileSync(join(cgroup.directory, 'cgroup.kill'), '1');
  await shell.ended;
  await dump(from);
}, 60000);
it('kill of a group', async () => {
  const from = both.collector.logs().length;
  const shell = startProgram('setsid', ['sh', '-c', 'for i in $(seq 30); do sleep 1001 & done; echo up; wait']);
  await until('up', 60000, () => shell.stdout().includes('up') || undefined);
  await sleep(500);
  spawnSync('sh', ['-c', `kill -9 -${shell.pid}`]);
  await shell.ended;
  await dump(from);
}, 60000);
it('namespace', async () => {
  const from = both.collector.logs().length;
  const shell = startProgram('unshare', [
    '--pid',
    '--fork',
    '--kill-child',
    'sh',
    '-c',
    'for i in $(seq 30); do sleep 1002 & done; echo up; wait',
  ]);
  await until('up', 60000, () => shell.stdout().includes('up') || undefined);
  await sleep(500);
  const child = spawnSync('pgrep', ['-P', String(shell.pid)], { encoding: 'utf8' }).stdout.trim();
  spawnSync('sh', ['-c', `kill -9 ${child}`]);
  await shell.ended;
  await dump(from);
}, 60000);
it('wrapper', async () => {
  const from = both.collector.logs().length;
  const shell = startProgram('sh', ['-c', 'sleep 1003 & echo $!; wait $!']);
  await until('up', 60000, () => shell.stdout().includes('\n') || undefined);
  await sleep(11000);
  spawnSync('sh', ['-c', `kill -9 ${shell.stdout().trim()}`]);
  await shell.ended;
  await dump(from);
}, 60000);
