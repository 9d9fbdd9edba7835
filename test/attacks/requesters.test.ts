// SPDX-License-Identifier: Apache-2.0
// A user executes programs with the names of tools by which people ask systemd to stop something, a thousand in a second.
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { MORTAL, startProgram, until } from '../../scripts/stack/program.ts';
import { loaderStatus, place, startLoader, startService } from '../../scripts/stack/whodunit.ts';
import { MALLORY, startAs } from './attacker.ts';

const WITHIN_MS = 120_000;
const REQUESTS = 1_000;

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

it('a thousand requests take nothing of the records of others, and are counted', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'whodunit-requests-'));
  cleanUp.push(() => rmSync(directory, { recursive: true }));
  chmodSync(directory, 0o755);
  copyFileSync('/usr/bin/true', join(directory, 'systemctl'));
  chmodSync(join(directory, 'systemctl'), 0o755);
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
