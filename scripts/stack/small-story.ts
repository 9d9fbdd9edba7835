// SPDX-License-Identifier: Apache-2.0
// A small story for the demo's page: a program that crashes again and again, a shell that kills three at once, a job that takes too long.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { MORTAL } from './program.ts';

const CRASHES = 5;
const KILLED_AT_ONCE = 3;

export async function tellStory(): Promise<void> {
  for (let crash = 0; crash < CRASHES; crash += 1) await once(start(MORTAL, ['segfault']), 'exit');
  const workers = Array.from({ length: KILLED_AT_ONCE }, () => start(MORTAL, ['wait']));
  await Promise.all(workers.map((worker) => worker.stdout && once(worker.stdout, 'data')));
  const ended = workers.map((worker) => once(worker, 'exit'));
  start('/bin/sh', ['-c', `kill -TERM ${workers.map(({ pid }) => pid).join(' ')}`]);
  await Promise.all(ended);
  await once(start('timeout', ['--signal=KILL', '0.2', MORTAL, 'wait']), 'exit');
}

function start(program: string, args: readonly string[]): ChildProcess {
  return spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}
