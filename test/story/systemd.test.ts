// SPDX-License-Identifier: Apache-2.0
// A real systemd: it starts a service that fails until its start limit, and stops one of many processes. One of its services is PostgreSQL.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { isTermination, type LogRecord } from '../../scripts/stack/otlp-file.ts';
import { MORTAL, until } from '../../scripts/stack/program.ts';
import { type Systemd, startSystemd } from '../../scripts/stack/systemd.ts';
import { watched } from '../support/watched.ts';

const WITHIN_MS = 180_000;
const LOOP = 'loop.service';
const SCRIPT = 'script.service';
const CREW = 'crew.service';
const MIXED = 'mixed.service';
const DATABASE = 'postgresql.service';
const POSTGRES = '/usr/lib/postgresql';
const LIVES = 50;

const both = watched({ WHODUNIT_REPORT: 'default' });
let systemd: Systemd;
beforeAll(async () => {
  systemd = await startSystemd();
});
afterAll(() => systemd?.stop()); // undefined: it did not start

const recordsOf = (unit: string): LogRecord[] =>
  both.collector.logs().filter(({ resource }) => resource['whodunit.systemd.unit'] === unit);
const bodies = (unit: string): string =>
  recordsOf(unit)
    .map(({ body }) => body)
    .join('\n');
const loopsOf = (unit: string): LogRecord[] =>
  recordsOf(unit).filter(({ eventName }) => eventName === 'whodunit.process.loop');
/** How many terminations the records have, each in one of them. */
const terminations = (unit: string): number =>
  recordsOf(unit).reduce(
    (sum, record) => sum + (isTermination(record) ? 1 : Number(record.attributes['whodunit.aggregated.count'] ?? 0)),
    0,
  );

/** The first termination of an incident, and its members. */
async function twoRecordsOf(unit: string): Promise<{ first: LogRecord; rest: LogRecord }> {
  const isOver = () => recordsOf(unit).find(({ eventName }) => eventName === 'whodunit.incident');
  const rest = await until(
    'the incident',
    WITHIN_MS,
    isOver,
    () => `${bodies(unit)}\n${both.whodunit.service.output()}`,
  );
  const [first = rest, ...more] = recordsOf(unit);
  expect(more.map(({ body }) => body)).toEqual([rest.body]);
  expect(rest.attributes).toMatchObject({
    'whodunit.incident.id': first.attributes['whodunit.incident.id'],
    'whodunit.termination.uid': first.attributes['log.record.uid'],
  });
  return { first, rest };
}

it('a service that fails 50 times, until the start limit: one record when it is a loop, one when it is over', async () => {
  systemd.start(LOOP, {
    Unit: ['DefaultDependencies=no', 'StartLimitIntervalSec=600', `StartLimitBurst=${LIVES}`],
    Service: ['Restart=always', 'RestartSec=100ms', `ExecStart=${MORTAL} exit 9`],
  });
  await until(
    'the end of the loop',
    WITHIN_MS,
    () => loopsOf(LOOP).find(({ attributes }) => attributes['whodunit.loop.state'] === 'ended'),
    () => `${bodies(LOOP)}\n${both.whodunit.service.output()}`,
  );
  const [began, ended, ...more] = loopsOf(LOOP);
  expect(began?.body).toMatch(
    /^mortal \(pid \d+\) terminated for the third time in [\d.]+ m?s: exit code 9 each time; systemd \(pid \d+\) started it again after [\d.]+ m?s\.$/,
  );
  expect(ended?.body).toMatch(
    /^mortal terminated 50 times in [\d.]+ s: exit code 9 each time; it was not started again \(systemd's start limit\?\)\.$/,
  );
  expect(ended?.attributes).toMatchObject({
    'whodunit.loop.id': began?.attributes['whodunit.loop.id'],
    'whodunit.loop.restarter': `systemd (pid ${systemd.pid})`,
    'whodunit.loop.end': 'not_restarted',
    'whodunit.loop.outcomes': [`${LIVES} × exit code 9`],
  });
  expect(more).toEqual([]);
  // Each termination is in one record: the first two have one of their own, since they were no loop yet.
  expect(recordsOf(LOOP).filter(isTermination)).toHaveLength(2);
  expect(terminations(LOOP)).toBe(LIVES);
});

it('a script that fails with its program, in a service: the program is in a loop, and the script needs no records of its own', async () => {
  systemd.start(SCRIPT, {
    Unit: ['DefaultDependencies=no', 'StartLimitIntervalSec=600', 'StartLimitBurst=20'],
    Service: ['Restart=always', 'RestartSec=100ms', `ExecStart=/bin/sh -c "${MORTAL} exit 8; exit $?"`],
  });
  await until(
    'the end of the loop',
    WITHIN_MS,
    () => loopsOf(SCRIPT).find(({ attributes }) => attributes['whodunit.loop.state'] === 'ended'),
    () => `${bodies(SCRIPT)}\n${both.whodunit.service.output()}`,
  );
  const [began, ended, ...more] = loopsOf(SCRIPT);
  expect(began?.body).toMatch(/^mortal .* for the third time .*; systemd \(pid \d+\) started it again after /);
  expect(ended?.body).toMatch(
    /^mortal terminated 20 times .*; it was not started again \(systemd's start limit\?\)\.$/,
  );
  expect(more).toEqual([]);
  // Two with a member each, before it was known to be a loop.
  const events = recordsOf(SCRIPT).map(({ eventName }) => eventName);
  expect(events.filter((name) => name === 'whodunit.process.termination')).toHaveLength(2);
  expect(events.filter((name) => name === 'whodunit.incident')).toHaveLength(2);
  expect(terminations(SCRIPT)).toBe(40);
});

it('systemctl stop of a service with 101 processes is two records: who asked for it, and how all of them ended', async () => {
  systemd.start(CREW, {
    Unit: ['DefaultDependencies=no'],
    Service: ['ExecStart=/bin/sh -c "for i in $(seq 100); do sleep 1000 & done; wait"'],
  });
  // Before execve(2), a worker is a shell.
  const working = () => systemd.call('sh', '-c', 'pgrep -xc sleep; true').trim();
  await until('the workers', WITHIN_MS, () => working() === '100' || undefined, working);
  systemd.call('systemctl', 'stop', CREW);
  await until(
    'the incident',
    WITHIN_MS,
    () => recordsOf(CREW).find(({ eventName }) => eventName === 'whodunit.incident'),
    () => `${bodies(CREW)}\n${both.whodunit.service.output()}`,
  );
  const [first, rest, ...more] = recordsOf(CREW);
  expect(more).toEqual([]);
  expect(first?.body).toMatch(
    / was stopped by SIGTERM, sent by systemd \(pid \d+, root\).*: asked for by `systemctl stop crew\.service` \(root\)/,
  );
  expect(rest?.body).toMatch(
    /^systemd \(pid \d+, root\).*, asked for by `systemctl stop crew\.service` \(root\).*, terminated 101 processes within /,
  );
  expect(rest?.attributes).toMatchObject({
    'whodunit.incident.id': first?.attributes['whodunit.incident.id'],
    'whodunit.incident.total': 101,
    'whodunit.aggregated.count': 100,
    'whodunit.sender.pid': systemd.pid,
    'whodunit.requester.name': 'systemctl',
  });
});

it('KillMode=mixed: a main process that does not stop, and those that were not asked to, are two records', async () => {
  systemd.start(MIXED, {
    Unit: ['DefaultDependencies=no'],
    Service: [
      'KillMode=mixed',
      'TimeoutStopSec=2',
      `ExecStart=/bin/sh -c "trap '' TERM; for i in $(seq 5); do sleep 1000 & done; wait; wait"`,
    ],
  });
  const working = () =>
    systemd.call('sh', '-c', `cat /proc/$(systemctl show -P MainPID ${MIXED})/task/*/children | wc -w`);
  await until('the workers', WITHIN_MS, () => working().trim() === '5' || undefined, working);
  systemd.call('systemctl', 'stop', MIXED);
  const { first, rest } = await twoRecordsOf(MIXED);
  expect(first.body).toMatch(/asked for by `systemctl stop mixed\.service` \(root\)/);
  expect(rest.body).toMatch(
    /^systemd \(pid \d+, root\).*, asked for by `systemctl stop mixed\.service` \(root\).* terminated 6 processes within /,
  );
  expect(rest.attributes).toMatchObject({ 'whodunit.incident.act': 'signal', 'whodunit.incident.total': 6 });
});

it.skipIf(!existsSync(POSTGRES))(
  'kill -9 of one backend of PostgreSQL is two records: the backend, and the siblings that went with it',
  async () => {
    const bin = join(POSTGRES, readdirSync(POSTGRES)[0] ?? '', 'bin');
    const data = '/run/database';
    systemd.call('install', '-d', '-o', 'postgres', '-m', '0700', data);
    systemd.call('runuser', '-u', 'postgres', '--', join(bin, 'initdb'), '-D', data, '--no-sync', '-A', 'trust');
    systemd.start(DATABASE, {
      Unit: ['DefaultDependencies=no'],
      Service: [
        'Type=notify', // it is started when it accepts connections
        'User=postgres',
        `ExecStart=${bin}/postgres -D ${data} -c listen_addresses= -c unix_socket_directories=${data}`,
      ],
    });
    const sql = (query: string) => ['psql', '-h', data, '-U', 'postgres', '-Atc', query];
    const asked = (query: string) => systemd.call(...sql(query)).trim();
    const busy = "select pid from pg_stat_activity where query like 'select pg_sleep%'";
    for (const _ of [1, 2, 3]) systemd.background(...sql('select pg_sleep(1000)'));
    const [backend] = await until('three busy backends', WITHIN_MS, () => {
      const pids = asked(busy).split('\n');
      return pids.length === 3 ? pids : undefined;
    });
    systemd.call('sh', '-c', `kill -9 ${backend}`);
    const { first, rest } = await twoRecordsOf(DATABASE);
    expect(first.body).toMatch(/^postgres \(pid \d+\) was killed by SIGKILL, sent by sh \(pid \d+, root\) ← /);
    expect(first.resource).toMatchObject({ 'service.name': 'postgresql', 'process.vpid': Number(backend) });
    expect(rest.body).toMatch(
      /^After postgres \(pid \d+\) ended with SIGKILL, by sh \(pid \d+, root\).*, its parent terminated \d+ more processes within /,
    );
    expect(rest.attributes).toMatchObject({
      'whodunit.incident.act': 'crash',
      'whodunit.sender.pid': first.attributes['whodunit.sender.pid'],
    });
    expect(rest.resource['service.name']).toBe('postgresql');
    // The two other backends, and what works in the background. The postmaster itself goes on.
    expect(Number(rest.attributes['whodunit.aggregated.count'])).toBeGreaterThanOrEqual(2 + 5);
    expect(systemd.call('systemctl', 'is-active', DATABASE).trim()).toBe('active');
  },
);
