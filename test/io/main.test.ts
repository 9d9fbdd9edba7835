// SPDX-License-Identifier: Apache-2.0
// The whole service as a process of its own, against a fake loader and a fake collector.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcp } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeLoader, goldenObject, line, until } from '../fake-loader.ts';

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname;

let loader: FakeLoader;
let child: ChildProcess | null;
let out: string;
let err: string;
let collector: Server | null;

beforeEach(async () => {
  [out, err, child, collector] = ['', '', null, null];
  loader = await new FakeLoader().start();
});

afterEach(async () => {
  if (child !== null && child.exitCode === null && child.signalCode === null) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  collector?.closeAllConnections();
  collector?.close();
  await loader.remove();
});

function start(args: string[], env: Record<string, string> = {}): void {
  child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...args], {
    env: {
      PATH: process.env.PATH,
      WHODUNIT_SOCKET: loader.path,
      WHODUNIT_HEALTH_ADDR: 'off',
      WHODUNIT_REPORT: 'all',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout?.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    err += chunk;
  });
}

async function ended(): Promise<number | null> {
  if (child === null) throw new Error('not started');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  await new Promise((resolve) => setTimeout(resolve, 20));
  return child.exitCode;
}

async function stop(): Promise<number | null> {
  child?.kill('SIGTERM');
  return ended();
}

function death(name: string, seq: number, pid = seq): string {
  const object = goldenObject(name);
  object.seq = String(seq);
  object.process.pid = pid;
  return line(object);
}

/** A collector that answers `status()`, and keeps the bodies of the logs that it was sent. */
async function collect(status: () => number): Promise<{ endpoint: string; bodies: string[] }> {
  const bodies: string[] = [];
  collector = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const code = status();
    if (request.url === '/v1/logs' && code === 200) bodies.push(body);
    response.writeHead(code, { 'content-type': 'application/json' }).end('{}');
  }).listen(0, '127.0.0.1');
  await once(collector, 'listening');
  return { endpoint: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`, bodies };
}

describe('whodunit run', () => {
  it('prints what the loader says, acknowledges it, and ends with 0 on SIGTERM', async () => {
    start(['run']);
    await until(() => loader.heard.length > 0, 'the claim');
    loader.say(death('death-sigkill-by-another', 10), 'garbage\n', death('death-segfault', 20));
    await until(() => loader.acks().includes(20n), 'the ack');
    expect(await stop()).toBe(0);
    expect(out).toContain('✖ sleep (pid 10) was killed by SIGKILL, sent by bash (pid 99');
    expect(out).toContain('✖ sleep (pid 20) crashed with SIGSEGV');
    expect(err).toContain('WIRE_NOT_JSON');
  });

  it('prints each death once, though the loader sends it again, and acknowledges both copies', async () => {
    start(['--output', 'json']);
    await until(() => loader.heard.length > 0, 'the claim');
    loader.say(death('death-exit-3', 10), death('death-exit-3', 20, 10), death('death-exit-3', 30));
    await until(() => loader.acks().includes(30n), 'the ack');
    expect(await stop()).toBe(0);
    expect(
      out
        .trim()
        .split('\n')
        .map((text) => JSON.parse(text).resource.attributes['process.pid']),
    ).toEqual([10, 30]);
  });

  it('acknowledges only after the collector took it, however long that takes', async () => {
    let code = 503;
    const { endpoint, bodies } = await collect(() => code);
    start(['run'], {
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_EXPORTER_OTLP_TIMEOUT: '200',
      OTEL_METRICS_EXPORTER: 'none',
    });
    await until(() => loader.heard.length > 0, 'the claim');
    loader.say(death('death-oom', 10), death('death-segfault', 20));
    await until(() => err.includes('does not take records'), 'a line about the collector');
    expect(loader.acks()).toEqual([0n]);
    code = 200;
    await until(() => loader.acks().includes(20n), 'the ack', 10_000);
    expect(bodies).toHaveLength(1);
    expect(JSON.parse(bodies[0] ?? '').resourceLogs).toHaveLength(2);
    expect(await stop()).toBe(0);
    expect(out).toBe('');
  });

  it('ends in time though the collector does not answer, and leaves the death to the ring', async () => {
    const { endpoint } = await collect(() => 503);
    start(['run'], {
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      WHODUNIT_SHUTDOWN_TIMEOUT: '300',
      OTEL_METRICS_EXPORTER: 'none',
    });
    await until(() => loader.heard.length > 0, 'the claim');
    loader.say(death('death-oom', 10));
    await new Promise((resolve) => setTimeout(resolve, 200));
    const start_ = Date.now();
    expect(await stop()).toBe(0);
    expect(Date.now() - start_).toBeLessThan(2_000);
    expect(loader.acks()).toEqual([0n]);
    expect(err).toContain("1 deaths were not delivered in time; they stay in the kernel's ring");
  });

  it('sends the counters before it ends', async () => {
    const urls: string[] = [];
    const { endpoint } = await collect(() => 200);
    collector?.on('request', (request) => urls.push(request.url ?? ''));
    start(['run'], { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' });
    await until(() => loader.heard.length > 0, 'the claim');
    loader.say(death('death-oom', 10));
    await until(() => loader.acks().includes(10n), 'the ack');
    expect(await stop()).toBe(0);
    expect(urls.filter((url) => url === '/v1/metrics').length).toBeGreaterThanOrEqual(3);
  });

  it('waits for a loader that is not there', async () => {
    await loader.stop();
    start(['run']);
    await until(() => err !== '', 'a line');
    expect(err).toContain(`nobody listens at ${loader.path}`);
    await loader.start();
    await until(() => loader.heard.length > 0, 'the claim');
    expect(await stop()).toBe(0);
  });

  it('is ready when it is, and says so on the health address', async () => {
    const free = createTcp().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const { port } = free.address() as AddressInfo;
    await new Promise((resolve) => free.close(resolve));
    start(['run'], { WHODUNIT_HEALTH_ADDR: `127.0.0.1:${port}` });
    await until(() => loader.heard.length > 0, 'the claim');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(200);
  });

  it('ends with 1 and one sentence where the health port is taken', async () => {
    const other = createTcp().listen(0, '127.0.0.1');
    await once(other, 'listening');
    start(['run'], { WHODUNIT_HEALTH_ADDR: `127.0.0.1:${(other.address() as AddressInfo).port}` });
    expect(await ended()).toBe(1);
    expect(err).toMatch(/^whodunit: 127\.0\.0\.1:\d+ is already in use: .*\n$/);
    other.close();
  });

  it('ends with 78 and one sentence on a wrong protocol', async () => {
    start(['run'], { OTEL_EXPORTER_OTLP_PROTOCOL: 'thrift' });
    expect(await ended()).toBe(78);
    expect(err).toMatch(/^whodunit: OTEL_EXPORTER_OTLP_PROTOCOL is "thrift"; allowed: grpc, .*\n$/);
  });
});

describe('the other commands', () => {
  it('doctor ends with 1 where something is wrong', async () => {
    await loader.stop();
    start(['doctor']);
    expect(await ended()).toBe(1);
    expect(out).toContain('BAD   socket');
  });

  it('--version tells the version', async () => {
    start(['--version']);
    expect([await ended(), out]).toEqual([0, 'whodunit 0.1.0\n']);
  });
});
