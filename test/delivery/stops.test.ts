// SPDX-License-Identifier: Apache-2.0
// One command stops several containers, or one whose process 1 is systemd: `docker stop`, `docker compose down`. What it ends is one act, and the
// records say who asked.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Docker, startDocker } from '../../scripts/stack/docker.ts';
import { isTermination, type LogRecord } from '../../scripts/stack/otlp-file.ts';
import { temporaryDirectory, until } from '../../scripts/stack/program.ts';
import { watched } from '../support/watched.ts';
import { prepared } from './bases.ts';

const WITHIN_MS = 120_000;
const SMALL = 'whodunit-stops-small';
const WITH_SYSTEMD = 'whodunit-stops-systemd';
const CREW = '/bin/busybox sleep 1000 & /bin/busybox sleep 1000 & wait';
/** No runtime may raise its own limits where the tests run. */
const LIMITS = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];
/** The machine may have its controllers in version 1, which this systemd refuses. */
const BOOT = `umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec env -i PATH=/usr/sbin:/usr/bin container=docker /lib/systemd/systemd --unit=multi-user.target`;

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

it('docker compose down is one act', async () => {
  const plugins = join(String(docker.env.DOCKER_CONFIG), 'cli-plugins');
  mkdirSync(plugins, { recursive: true });
  const { 'docker-compose': program } = JSON.parse(prepared('WHODUNIT_TEST_TOOLS'));
  symlinkSync(program, join(plugins, 'docker-compose'));
  const file = join(files.path, 'compose.json');
  const ulimits = { nofile: 1024, nproc: 1024 };
  const service = {
    image: SMALL,
    command: ['/bin/sh', '-c', CREW],
    network_mode: 'none',
    stop_grace_period: '1s',
    ulimits,
  };
  writeFileSync(file, JSON.stringify({ name: 'stops', services: { web: service, db: service } }));
  docker.call(['compose', '--file', file, 'up', '--detach']);
  const ids = docker
    .call(['ps', '--no-trunc', '--quiet', '--filter', 'label=com.docker.compose.project=stops'])
    .trim()
    .split('\n');
  expect(ids).toHaveLength(2);
  docker.call(['compose', '--file', file, 'down']);
  await expectOneAct(await firstOf(...ids), /probably asked for by `docker compose --file .* down` \(root\)/);
});

it('docker stop of a container with systemd: its init and what it stops were asked for by that command', async () => {
  importRoot(JSON.parse(prepared('WHODUNIT_TEST_BASES')).debian, WITH_SYSTEMD);
  const options = ['--privileged', '--stop-signal', 'SIGRTMIN+3', '--tmpfs', '/run', '--hostname', 'inner'];
  const id = start('with-systemd', ...options, WITH_SYSTEMD, '/bin/sh', '-c', BOOT);
  const inside = (...command: string[]) => docker.call(['exec', 'with-systemd', ...command]);
  const isUp = () => /^(running|degraded)/.test(inside('sh', '-c', 'systemctl is-system-running; true')) || undefined;
  await until('systemd has booted', WITHIN_MS, isUp);
  inside('systemd-run', '--unit=simple', 'sh', '-c', 'touch /run/began; while :; do sleep 0.1; done');
  await until(
    'the service',
    WITHIN_MS,
    () => inside('sh', '-c', 'cat /run/began && echo yes; true') !== '' || undefined,
  );
  docker.call(['stop', '--time', '60', 'with-systemd']);
  const find = (what: RegExp) =>
    until(
      String(what),
      WITHIN_MS,
      () => inContainer(id).find(({ body }) => what.test(String(body))),
      () => bodies(id),
    );
  const ASKED = /asked for by `docker stop --time 60 with-systemd` \(root\)/;
  expect((await find(/^systemd-shutdown .*its container was turned off/)).body).toMatch(ASKED);
  expect((await find(/^sh .* was stopped by SIGTERM/)).body).toMatch(ASKED);
});
