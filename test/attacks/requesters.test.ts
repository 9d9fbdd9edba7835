// SPDX-License-Identifier: Apache-2.0
// A user executes programs with the names of tools by which people ask systemd to stop something, a thousand in a second, and kills his own
// process with a program that is called as one which carries out what root asks for.
import { chmodSync, chownSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { makeCgroup } from '../../scripts/stack/cgroup.ts';
import { MORTAL, startProgram, until } from '../../scripts/stack/program.ts';
import { loaderStatus, place, startLoader, startService } from '../../scripts/stack/whodunit.ts';
import { asUser, MALLORY, startAs } from './attacker.ts';

const WITHIN_MS = 120_000;
const REQUESTS = 1_000;

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

/** Starts both, and stops them after the test. */
async function watch() {
  const at = await place();
  const loader = await startLoader(at);
  cleanUp.push(at.directory.remove, loader.stop);
  const service = startService(at, { WHODUNIT_REPORT: 'all' });
  cleanUp.push(service.stop);
  await until(
    'the service',
    WITHIN_MS,
    () => service.output().includes('connected to the loader') || undefined,
    service.output,
  );
  return { at, service };
}

/** A directory in which only root can write, if not for its owner: none of those where any user can. */
function directoryOf(uid: number): string {
  const directory = mkdtempSync('/var/lib/whodunit-requests-');
  cleanUp.push(() => rmSync(directory, { recursive: true }));
  chmodSync(directory, 0o755);
  chownSync(directory, uid, uid);
  return directory;
}

it('a user who kills his own process with a program called runc does not have it asked for by the docker stop of root', async () => {
  const { service } = await watch();
  const docker = join(directoryOf(0), 'docker');
  writeFileSync(docker, '#!/bin/sh\nread line\n');
  chmodSync(docker, 0o755);
  const runc = join(directoryOf(MALLORY), 'runc');
  copyFileSync('/bin/kill', runc);
  const cgroup = makeCgroup(`docker/${'1f'.repeat(32)}`);
  const [enter = '', ...args] = cgroup.enter(asUser(MALLORY, '/bin/sleep', ['1000']));
  const victim = startProgram(enter, args);
  const stop = startProgram(docker, ['stop', 'web']);
  cleanUp.push(stop.stop, cgroup.remove);
  await until('it runs', WITHIN_MS, () => readFileSync(`/proc/${victim.pid}/comm`, 'utf8') === 'sleep\n' || undefined);
  await startAs(MALLORY, runc, ['-9', String(victim.pid)]).ended;
  const line = new RegExp(`^.*\\(pid ${victim.pid}, .*\\) was killed by SIGKILL.*$`, 'm');
  const found = () => line.exec(service.output())?.[0];
  const record = await until('its record', WITHIN_MS, found, service.output);
  expect(record).toMatch(/sent by runc /);
  expect(record).not.toContain('asked for by');
});

it('a thousand requests take nothing of the records of others, and are counted', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'whodunit-requests-'));
  cleanUp.push(() => rmSync(directory, { recursive: true }));
  chmodSync(directory, 0o755);
  copyFileSync('/usr/bin/true', join(directory, 'systemctl'));
  chmodSync(join(directory, 'systemctl'), 0o755);
  const { at, service } = await watch();
  const script = `i=0; while [ $i -lt ${REQUESTS} ]; do "$0" stop web; i=$((i + 1)); done`;
  const flood = startAs(MALLORY, '/bin/sh', ['-c', script, join(directory, 'systemctl')]);
  const victims = Array.from({ length: 5 }, () => startProgram(MORTAL, ['exit', '7']));
  await Promise.all([flood.ended, ...victims.map(({ ended }) => ended)]);
  const whole = victims.map(({ pid }) => new RegExp(`\\(pid ${pid}\\) exited with code 7`));
  await until(
    'the records',
    WITHIN_MS,
    () => whole.every((line) => line.test(service.output())) || undefined,
    service.output,
  );
  const { lost, requests_refused: refused } = await loaderStatus(at.socket);
  expect(Object.values(lost).map(Number)).toEqual(Object.values(lost).map(() => 0));
  expect(Number(refused)).toBeGreaterThan(0);
  expect(service.output()).not.toContain('asked for by');
});
