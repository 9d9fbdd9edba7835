// SPDX-License-Identifier: Apache-2.0
// Typical load of a build host: a shell test suite, a Go build, a real `npm ci`. By default none of it has a record, and every termination is
// counted; with WHODUNIT_REPORT=all every one is reported. Two instances of whodunit watch the same terminations, which a service namespace
// marks.
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Collector, startCollector } from '../../scripts/stack/collector.ts';
import { type Attributes, isTermination } from '../../scripts/stack/otlp-file.ts';
import { ROOT, startProgram, temporaryDirectory, until } from '../../scripts/stack/program.ts';
import { exportTo, startWhodunit, type Whodunit } from '../../scripts/stack/whodunit.ts';

const REPORTED_WITHIN_MS = 60_000;
const ROUNDS = 20;
/** A round of a test suite: each line is one process that does not exit with 0. */
const ROUND = [
  'grep -q nothing /etc/passwd',
  '/usr/bin/test 1 = 2',
  '/bin/false',
  'diff /etc/passwd /etc/group >/dev/null',
  'cmp -s /etc/passwd /etc/group',
  'expr 1 = 2 >/dev/null',
  'ls /nonexistent 2>/dev/null',
  '(exit 3)',
  'sh -c "exit 7"',
  'yes | head -n 1 >/dev/null',
];
const SUITE = `round=0; while [ $round -lt ${ROUNDS} ]; do round=$((round + 1));\n${ROUND.join('\n')}\ndone; exit 0`;
const SHELL = `noise-shell-${process.pid}`;
const GO = `noise-go-${process.pid}`;
const NPM = `noise-npm-${process.pid}`;
const LAST = `noise-last-${process.pid}`;

interface Watcher {
  readonly collector: Collector;
  readonly whodunit: Whodunit;
}
let byDefault: Watcher;
let all: Watcher;
const directory = temporaryDirectory();

async function watch(env: NodeJS.ProcessEnv): Promise<Watcher> {
  const collector = await startCollector();
  return { collector, whodunit: await startWhodunit({ ...exportTo(collector, 'grpc'), ...env }) };
}

const stop = async ({ collector, whodunit }: Watcher) => {
  await whodunit.stop();
  await collector.stop();
};

beforeAll(async () => {
  byDefault = await watch({ WHODUNIT_REPORT: 'default' });
  all = await watch({ WHODUNIT_REPORT: 'all' });
});

afterAll(async () => {
  for (const watcher of [byDefault, all]) if (watcher !== undefined) await stop(watcher);
  directory.remove();
});

async function makeNoise(namespace: string, program: string, args: readonly string[], cwd = ROOT): Promise<void> {
  const env = { ...process.env, OTEL_RESOURCE_ATTRIBUTES: `service.namespace=${namespace}` };
  const noise = startProgram(program, args, { env, cwd });
  expect([namespace, await noise.ended, noise.output().slice(-500)]).toMatchObject([namespace, { code: 0 }, '']);
}

const of = (namespace: string) => (thing: { readonly resource: Attributes }) =>
  thing.resource['service.namespace'] === namespace;
const records = ({ collector }: Watcher, namespace: string) =>
  collector.logs().filter(isTermination).filter(of(namespace));

/** The metric of the namespace: the sum of the last values of all series. */
function counted({ collector }: Watcher, namespace: string): number {
  const points = collector
    .metrics()
    .filter(({ name }) => name === 'whodunit.process.terminations')
    .filter(of(namespace));
  const last = new Map(points.map((point) => [JSON.stringify([point.resource, point.attributes]), point.value]));
  return [...last.values()].reduce((sum, value) => sum + value, 0);
}

it('a shell test suite, a Go build and npm ci cause no records, and all their terminations are counted', async () => {
  for (const name of ['package.json', 'package-lock.json']) copyFileSync(join(ROOT, name), join(directory.path, name));
  await makeNoise(SHELL, 'sh', ['-c', SUITE]);
  await makeNoise(GO, 'sh', ['-c', 'go vet ./... && go build -o "$0" ./...', directory.path]);
  await makeNoise(NPM, 'npm', ['ci', '--silent', '--prefer-offline', '--no-audit', '--no-fund'], directory.path);

  // The ring is ordered: a service that has reported this termination has handled all before it.
  startProgram('sh', ['-c', 'kill -9 $$'], {
    env: { ...process.env, OTEL_RESOURCE_ATTRIBUTES: `service.namespace=${LAST}` },
  });
  for (const watcher of [byDefault, all])
    await until(
      'the last record',
      REPORTED_WITHIN_MS,
      () => records(watcher, LAST)[0],
      watcher.whodunit.service.output,
    );
  await byDefault.whodunit.service.stop(); // sends the counters
  await all.whodunit.service.stop();

  for (const namespace of [SHELL, GO, NPM]) {
    expect(records(byDefault, namespace).map(({ body }) => body)).toEqual([]);
    expect(counted(all, namespace)).toBe(records(all, namespace).length);
    expect(counted(byDefault, namespace)).toBe(counted(all, namespace));
  }
  expect(counted(byDefault, SHELL)).toBe(ROUNDS * ROUND.length);
});
