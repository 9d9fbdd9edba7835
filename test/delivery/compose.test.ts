// SPDX-License-Identifier: Apache-2.0
// The demo as it is shipped: images from the Dockerfiles, services started by docker compose. Each termination in the shop must arrive at the
// collector with its cause. Grafana and Jaeger are not run: their images are only available from a registry.
import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect as inDetail } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collected } from '../../scripts/stack/collector.ts';
import { type Docker, startDocker } from '../../scripts/stack/docker.ts';
import { type LogRecord, logRecords, type Span, spans } from '../../scripts/stack/otlp-file.ts';
import { temporaryDirectory, until } from '../../scripts/stack/program.ts';
import { CAN_INJECT, FORBIDDEN, inject } from '../support/inject.ts';
import { makeBases } from './bases.ts';
import { buildImages, compose, project } from './compose.ts';

const DEMO = 'docker-compose.yml';
/** compose.docker-20.yaml: the Docker daemon of Debian is that old. */
const FILES = [DEMO, 'compose.docker-20.yaml', 'test/delivery/compose.test.yaml'];
const SERVICES = ['loader', 'whodunit', 'collector', 'checkout', 'worker', 'pricing', 'nightly', 'deploy'];
const REPORTED_WITHIN_MS = 90_000;

describe('the compose files', () => {
  it.each([
    [
      'the demo',
      [DEMO],
      ['checkout', 'collector', 'deploy', 'lgtm', 'loader', 'nightly', 'pricing', 'whodunit', 'worker'],
      [],
    ],
    [
      'with Jaeger',
      [DEMO],
      ['checkout', 'collector', 'deploy', 'jaeger', 'lgtm', 'loader', 'nightly', 'pricing', 'whodunit', 'worker'],
      ['jaeger'],
    ],
    ['beside a collector', [DEMO, 'compose.sidecar.yaml'], ['loader', 'whodunit'], []],
    [
      'with an old Docker',
      [DEMO, 'compose.docker-20.yaml'],
      ['checkout', 'collector', 'deploy', 'lgtm', 'loader', 'nightly', 'pricing', 'whodunit', 'worker'],
      [],
    ],
    [
      'with Docker Desktop',
      [DEMO, 'compose.docker-desktop.yaml'],
      ['checkout', 'collector', 'deploy', 'lgtm', 'loader', 'nightly', 'pricing', 'whodunit', 'worker'],
      [],
    ],
  ])('%s: docker compose accepts them', (_, files, names, profiles) => {
    const { services } = project(files, profiles);
    expect(Object.keys(services).sort()).toEqual(names);
    for (const { image } of Object.values(services)) expect(image).toMatch(/:v?\d+\.\d+\.\d+$/);
  });

  it('gives the loader four capabilities and no network, and the service nothing', () => {
    const { services } = project([DEMO]);
    const onDesktop = JSON.stringify(project([DEMO, 'compose.docker-desktop.yaml']).services.whodunit);
    expect(onDesktop).not.toMatch(/machine-id|passwd/);
    const confined = { cap_drop: ['ALL'], read_only: true, security_opt: ['no-new-privileges:true'] };
    expect(services.loader).toMatchObject({
      ...confined,
      cap_add: ['BPF', 'PERFMON', 'SYSLOG', 'DAC_READ_SEARCH'],
      network_mode: 'none',
      security_opt: ['no-new-privileges:true', 'apparmor=unconfined'],
    });
    expect(services.whodunit).toMatchObject({ ...confined, user: '65532:65532' });
    expect(services.whodunit).not.toHaveProperty('cap_add');
  });
});

describe('the demo', () => {
  const output = temporaryDirectory();
  const env = { ...process.env, WHODUNIT_TEST_OUTPUT: output.path, SHOP_PACE_SECONDS: '4' };
  let docker: Docker;
  let logs: () => readonly LogRecord[];
  let traces: () => readonly Span[];
  const call = (...args: string[]) => compose(FILES, args, { ...env, ...docker.env });
  const idOf = (service: string) => call('ps', '--all', '--quiet', service).trim();
  const inspect = (service: string) => JSON.parse(docker.call(['inspect', idOf(service)]))[0];
  const diagnostics = () => call('logs', '--no-color', '--tail', '40', 'loader', 'whodunit', 'collector');

  beforeAll(async () => {
    chmodSync(output.path, 0o777); // the collector runs as its own user
    docker = await startDocker();
    const { services } = JSON.parse(compose(FILES, ['config', '--format', 'json'], env));
    makeBases(docker, services.collector.image);
    buildImages(docker, { services }, SERVICES);
    call('up', '--detach', '--no-build', '--wait', '--wait-timeout', '180', 'loader', 'whodunit', 'collector');
    call('up', '--detach', '--no-build', ...SERVICES);
    logs = collected(join(output.path, 'logs.jsonl'), logRecords);
    traces = collected(join(output.path, 'traces.jsonl'), spans);
  });

  afterAll(async () => {
    if (docker === undefined) return;
    call('down', '--volumes', '--timeout', '3');
    await docker.stop();
    output.remove();
  });

  it.each([
    [
      'checkout runs out of memory in its cgroup',
      'checkout',
      { 'whodunit.cause': 'oom_kill', 'whodunit.oom.scope': 'cgroup', 'whodunit.oom.limit': 96 * 1024 * 1024 },
    ],
    ['worker panics', 'worker', { 'whodunit.cause': 'exit', 'process.exit.code': 2 }],
    ['pricing reads from address 0', 'pricing', { 'whodunit.cause': 'fault', 'error.type': 'SIGSEGV' }],
    ['nightly is killed', 'nightly', { 'whodunit.cause': 'killed', 'error.type': 'SIGKILL' }],
  ])('%s, and the collector has the record', async (_, service, attributes) => {
    const record = await recordOf(service);
    expect(record.attributes, inDetail(record)).toMatchObject(attributes);
    expect(record.resource).toMatchObject({ 'service.name': service, 'container.id': idOf(service) });
  });

  it('names the deployment as the sender, in the trace of the job that it killed', async () => {
    const record = await recordOf('nightly');
    expect(record.attributes).toMatchObject({
      'whodunit.sender.kind': 'process',
      'whodunit.sender.container.id': idOf('deploy'),
      'whodunit.sender.command_line': 'python3 /shop/deploy.py',
    });
    const span = await until(
      'the span of the job',
      REPORTED_WITHIN_MS,
      () => traces().find(({ name, traceId }) => name === 'nightly import' && traceId === record.traceId),
      diagnostics,
    );
    expect([span.spanId, span.resource['service.name']]).toEqual([record.spanId, 'nightly']);
  });

  it('runs the service as its own user, and both without a capability', () => {
    const statusOf = (service: string) => readFileSync(`/proc/${inspect(service).State.Pid}/status`, 'utf8');
    const capabilities = (status: string) => /^CapEff:\s*(\w+)/m.exec(status)?.[1];
    expect([statusOf('loader'), statusOf('whodunit')].map(capabilities)).toEqual([
      '0000000000000000',
      '0000000000000000',
    ]);
    expect(statusOf('whodunit')).toMatch(/^Uid:\t65532\t/m);
    expect(statusOf('whodunit')).toMatch(/^CapBnd:\t0+$/m);
    expect(statusOf('loader')).toMatch(/^NoNewPrivs:\t1\nSeccomp:\t2$/m);
    for (const service of ['loader', 'whodunit']) expect(inspect(service).State.Health.Status).toBe('healthy');
  });

  it.runIf(CAN_INJECT)('has a loader that opens and connects to nothing, if it is taken over', async () => {
    expect(await inject(inspect('loader').State.Pid, FORBIDDEN)).toEqual(['EPERM', 'EPERM', 'EPERM']);
  });

  it('continues after the loader is killed: Docker starts another one, which takes over', async () => {
    const before = inspect('loader').State.Pid;
    process.kill(before, 'SIGKILL');
    await until(
      'another loader',
      REPORTED_WITHIN_MS,
      () => ![0, before].includes(inspect('loader').State.Pid) || undefined,
      diagnostics,
    );
    const since = logs().length;
    await until(
      'a termination after that',
      REPORTED_WITHIN_MS,
      () =>
        logs()
          .slice(since)
          .find(({ resource }) => resource['service.name'] === 'pricing'),
      diagnostics,
    );
  });

  it('leaves the probes when it is stopped, and removes them with `unload`', () => {
    call('stop', '--timeout', '5', 'whodunit', 'loader');
    const unload = () => call('run', '--rm', '--no-deps', 'loader', 'unload');
    expect(unload()).toMatch(/removed [1-9]\d* pins/);
    expect(unload()).toMatch(/removed 0 pins/);
  });

  function recordOf(service: string): Promise<LogRecord> {
    return until(
      `the record of ${service}`,
      REPORTED_WITHIN_MS,
      () => logs().find(({ resource }) => resource['service.name'] === service),
      diagnostics,
    );
  }
});
