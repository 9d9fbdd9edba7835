// SPDX-License-Identifier: Apache-2.0
// A user starts the program of another user's service right after it terminated, in a cgroup of the same name: the record must not say
// that the service was restarted, and the real restart must be found.
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { type Cgroup, makeCgroup } from '../../scripts/stack/cgroup.ts';
import type { LogRecord } from '../../scripts/stack/otlp-file.ts';
import { MORTAL, type Program, startProgram, until } from '../../scripts/stack/program.ts';
import { watched } from '../support/watched.ts';
import { MALLORY } from './attacker.ts';

const REPORTED_WITHIN_MS = 60_000;
const EXIT_CODE = 3;

const both = watched();
const top: { cgroup?: Cgroup } = {};
afterEach(async () => {
  const { directory = '', remove } = top.cgroup ?? {};
  spawnSync('find', [directory, '-mindepth', '1', '-type', 'd', '-delete']);
  await remove?.();
});

/** The directory of a cgroup of this test. */
function cgroup(path: string): string {
  top.cgroup ??= makeCgroup('restarts');
  const directory = join(top.cgroup.directory, path);
  mkdirSync(directory, { recursive: true });
  return directory;
}

let marks = 0;
/** A command line that no other test runs. */
const command = (): string[] => {
  marks += 1;
  return [MORTAL, 'exit', String(EXIT_CODE), `${process.pid}-${marks}`];
};

/** Runs a program in a cgroup, each time below another parent. */
async function run(directory: string, args: readonly string[], uid = 0): Promise<Ran> {
  const user = uid === 0 ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--'];
  const script = 'echo $$ >"$0/cgroup.procs"; "$@" & echo $!; wait $!';
  const shell = startProgram('sh', ['-c', script, directory, ...user, ...args]);
  expect([await shell.ended, shell.stdout() === '']).toEqual([{ code: EXIT_CODE, signal: null }, false]);
  return { pid: Number(shell.stdout()) };
}
type Ran = Pick<Program, 'pid'>;

const records = (name: string, { pid }: Ran): LogRecord[] =>
  both.collector.logs().filter((one) => one.resource['process.pid'] === pid && one.eventName === name);

async function reported(name: string, program: Ran): Promise<LogRecord> {
  return until(
    `the ${name} of ${program.pid}`,
    REPORTED_WITHIN_MS,
    () => records(name, program)[0],
    both.whodunit.service.output,
  );
}

/** The pid that restarted the service, when the service has been restarted for real. */
async function restarterOf(service: string, impostor: (args: readonly string[]) => Promise<Ran>): Promise<string> {
  const args = command();
  const died = await run(service, args);
  await reported('whodunit.process.termination', died);
  const attacker = await impostor(args);
  const restarted = await run(service, args);
  const { attributes } = await reported('whodunit.process.restart', died);
  return (
    { [attacker.pid]: 'the attacker', [restarted.pid]: 'the service' }[Number(attributes['whodunit.restart.pid'])] ?? ''
  );
}

it('is not forged from a cgroup of the same name that was delegated to the user', async () => {
  const service = cgroup('system.slice/innocent.service');
  const delegated = cgroup(`user.slice/user@${MALLORY}.service/innocent.service`);
  expect(await restarterOf(service, (args) => run(delegated, args, MALLORY))).toBe('the service');
});

it('is not forged by another user in the cgroup of the service', async () => {
  const service = cgroup('system.slice/innocent.service');
  expect(await restarterOf(service, (args) => run(service, args, MALLORY))).toBe('the service');
});

it('is not a first start in another place of the same name', async () => {
  const service = cgroup('first/system.slice/innocent.service');
  const other = cgroup('second/system.slice/innocent.service');
  expect(await restarterOf(service, (args) => run(other, args))).toBe('the service');
});

it('by root is one of a service that had dropped its privileges, in a new cgroup', async () => {
  const service = cgroup('system.slice/innocent.service');
  const args = command();
  const died = await run(service, args, MALLORY);
  await reported('whodunit.process.termination', died);
  rmdirSync(service);
  const restarted = await run(cgroup('system.slice/innocent.service'), args);
  const { attributes } = await reported('whodunit.process.restart', died);
  expect(attributes['whodunit.restart.pid']).toBe(restarted.pid);
});
