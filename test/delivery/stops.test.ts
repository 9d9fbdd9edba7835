// SPDX-License-Identifier: Apache-2.0
// One command stops several containers: `docker stop a b`. What it ends is one act, and the records say who asked.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Docker, startDocker } from '../../scripts/stack/docker.ts';
import { isTermination, type LogRecord } from '../../scripts/stack/otlp-file.ts';
import { temporaryDirectory, until } from '../../scripts/stack/program.ts';
import { watched } from '../support/watched.ts';

const WITHIN_MS = 120_000;
const SMALL = 'whodunit-stops-small';
const CREW = '/bin/busybox sleep 1000 & /bin/busybox sleep 1000 & wait';
/** No runtime may raise its own limits where the tests run. */
const LIMITS = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];
const both = watched({ WHODUNIT_REPORT: 'default' });
const files = temporaryDirectory();
let docker: Docker;

beforeAll(async () => {
  docker = await startDocker();
  const root = join(files.path, 'root');
  mkdirSync(join(root, 'bin'), { recursive: true });
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'));
  symlinkSync('busybox', join(root, 'bin/sh'));
  importRoot(root, SMALL);
}, WITHIN_MS);
afterAll(async () => {
  await docker?.stop(); // undefined: it did not start
  files.remove();
});

function importRoot(root: string, image: string): void {
  const archive = join(files.path, `${image}.tar`);
  const { status, stderr } = spawnSync('tar', ['-C', root, '-cf', archive, '.'], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`tar: ${stderr}`);
  docker.call(['import', archive, image]);
}

const start = (name: string, ...args: string[]): string =>
  docker.call(['run', '--detach', '--network', 'none', ...LIMITS, '--name', name, ...args]).trim();

/** The records of terminations in a container. */
const inContainer = (id: string): LogRecord[] =>
  both.collector.logs().filter((record) => isTermination(record) && record.resource['container.id'] === id);
const bodies = (...ids: string[]): string => ids.flatMap((id) => inContainer(id).map(({ body }) => body)).join('\n');

/** The first termination of each container, when all have one. */
async function firstOf(...ids: string[]): Promise<LogRecord[]> {
  const first = () => {
    const found = ids.flatMap((id) => inContainer(id)[0] ?? []);
    return found.length === ids.length ? found : undefined;
  };
  return await until(
    'a record of each container',
    WITHIN_MS,
    first,
    () => `${bodies(...ids)}\n${both.whodunit.service.output()}`,
  );
}

/** They are one act, each with its own record, and the incident counts all of them. */
async function expectOneAct(records: readonly LogRecord[], asked: RegExp): Promise<void> {
  const id = records[0]?.attributes['whodunit.incident.id'];
  for (const { attributes, body } of records) {
    expect(attributes['whodunit.incident.id'], String(body)).toBe(id);
    expect(body).toMatch(asked);
  }
  const members = () =>
    both.collector
      .logs()
      .find((one) => one.eventName === 'whodunit.incident' && one.attributes['whodunit.incident.id'] === id);
  expect((await until('the members', WITHIN_MS, members)).body).toMatch(asked);
}

it('docker stop of two containers is one act', async () => {
  const ids = ['stop-a', 'stop-b'].map((name) => start(name, SMALL, '/bin/sh', '-c', CREW));
  docker.call(['stop', '--time', '1', ...ids]);
  await expectOneAct(await firstOf(...ids), /asked for by `docker stop --time 1 [0-9a-f]{12}.*` \(root\)/);
});
