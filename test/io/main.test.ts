// SPDX-License-Identifier: Apache-2.0
// The whole service as a child process, against a fake loader and a fake collector.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcp } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeLoader, goldenObject, line, until } from '../../scripts/stack/fake-loader.ts';
import { freePorts } from '../../scripts/stack/program.ts';

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

function start(args: string[], env: Record<string, string> = {}, stdout: 'pipe' | number = 'pipe'): void {
  child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...args], {
    env: {
      PATH: process.env.PATH,
      WHODUNIT_SOCKET: loader.path,
      WHODUNIT_HEALTH_ADDR: 'off',
      WHODUNIT_STATE_DIR: stateDir(),
      WHODUNIT_REPORT: 'all',
      ...env,
    },
    stdio: ['ignore', stdout, 'pipe'],
  });
  child.stdout?.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    err += chunk;
  });
}

const stateDir = (): string => join(loader.directory, 'state');

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

/** A termination that is filtered by default: exit code 3 after one second. */
function shortLived(seq: number): string {
  const object = goldenObject('death-exit-3');
  Object.assign(object, { seq: String(seq) });
  Object.assign(object.process, {
    pid: seq,
    cgroup: null,
    env: {},
    otel_context: null,
    start_boottime_ns: String(BigInt(object.time_ns) - 1_000_000_000n),
  });
  return line(object);
}

/** The fields of /status that these tests read. */
interface Status {
  readonly deaths: Record<string, unknown> & { readonly lost: { readonly kernel: number } };
  readonly queue: { readonly rejected: { readonly count: number; readonly last: unknown[] } };
}

/** Settings that send logs, and only logs, to this endpoint. */
const exporting = (endpoint: string) => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
  OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
  OTEL_METRICS_EXPORTER: 'none',
});

/** Starts a collector that answers with `status()` and keeps the pids of the accepted records. */
async function collect(status: () => number): Promise<{ endpoint: string; pids: number[] }> {
  const pids: number[] = [];
  collector = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const code = status();
    if (request.url === '/v1/logs' && code === 200) {
      for (const { resource } of JSON.parse(body).resourceLogs)
        pids.push(resource.attributes.find(({ key }: { key: string }) => key === 'process.pid').value.intValue);
    }
    response.writeHead(code, { 'content-type': 'application/json' }).end('{}');
  }).listen(0, '127.0.0.1');
  await once(collector, 'listening');
  return { endpoint: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`, pids };
}

describe('whodunit run', () => {
  it('remembers its last export of metrics, so that the next start does not add the same counts again', async () => {
    const { endpoint } = await collect(() => 200);
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' };
    start(['run'], env);
    await until(() => loader.received.length > 0, 'the claim');
    loader.send(line(goldenObject('status')), death('death-segfault', 20));
    await until(() => loader.acks().includes(20n), 'the ack');
    expect(await stop()).toBe(0);
    expect(err).not.toMatch(/could not be collected|finalized/);
  });

  it('prints and acknowledges terminations, skips lines that cannot be decoded, and exits with 0 on SIGTERM', async () => {
    start(['run']);
    await until(() => loader.received.length > 0, 'the claim');
    loader.send(death('death-sigkill-by-another', 10), 'garbage\n', death('death-segfault', 20));
    await until(() => loader.acks().includes(20n), 'the ack');
    expect(await stop()).toBe(0);
    // One line each, because this is no terminal.
    expect(out.split('\n')).toEqual([
      expect.stringMatching(/ ERROR sleep \(pid 10\) was killed by SIGKILL, sent by bash \(pid 99.* · id [\da-f]{8}$/),
      expect.stringMatching(/ FATAL sleep \(pid 20\) crashed with SIGSEGV.* · id [\da-f]{8}$/),
      '',
    ]);
    expect(err).toContain('WIRE_NOT_JSON');
  });

  it('prints whole reports with --output report', async () => {
    start(['--output', 'report']);
    await until(() => loader.received.length > 0, 'the claim');
    loader.send(death('death-sigkill-by-another', 10));
    await until(() => loader.acks().includes(10n), 'the ack');
    expect(await stop()).toBe(0);
    expect(out).toMatch(/^✖ sleep \(pid 10\) was killed by SIGKILL, sent by bash \(pid 99.*\n {2}when .*\n[^✖]*\n\n$/);
  });

  it('prints each termination once if the loader sends it twice, and acknowledges both', async () => {
    start(['--output', 'json']);
    await until(() => loader.received.length > 0, 'the claim');
    loader.send(death('death-exit-3', 10), death('death-exit-3', 20, 10), death('death-exit-3', 30));
    await until(() => loader.acks().includes(30n), 'the ack');
    expect(await stop()).toBe(0);
    expect(
      out
        .trim()
        .split('\n')
        .map((text) => JSON.parse(text).resource.attributes['process.pid']),
    ).toEqual([10, 30]);
  });

  it('acknowledges records that are on disk, and delivers them when the collector is back', async () => {
    let code = 503;
    const { endpoint, pids } = await collect(() => code);
    start(['run'], exporting(endpoint));
    await until(() => loader.received.length > 0, 'the claim');
    loader.send(death('death-oom', 10), death('death-segfault', 20));
    await until(() => loader.acks().includes(20n), 'the ack');
    await until(() => err.includes('does not accept records'), 'the log line about the collector');
    expect(err).toContain('records wait on disk, none is lost');
    code = 200;
    await until(() => pids.length === 2, 'both records');
    expect(await stop()).toBe(0);
    expect([pids, out]).toEqual([[10, 20], '']);
  });

  it('continues after SIGKILL and delivers each termination once, although the loader sends them again', async () => {
    let code = 503;
    const { endpoint, pids } = await collect(() => code);
    start(['run'], exporting(endpoint));
    await until(() => loader.received.length > 0, 'the claim');
    const deaths = [death('death-oom', 10), death('death-segfault', 20)];
    loader.send(...deaths);
    await until(() => loader.acks().includes(20n), 'the ack');
    child?.kill('SIGKILL');
    await ended();
    code = 200;
    loader.onClaim = (socket) => {
      loader.becomeConsumer(socket);
      for (const text of [...deaths, death('death-exit-3', 30)]) socket.write(text);
    };
    start(['run'], exporting(endpoint));
    await until(() => loader.acks().includes(30n) && pids.length === 3, 'all records');
    expect(await stop()).toBe(0);
    expect(pids).toEqual([10, 20, 30]);
  });

  it('exits in time if the collector does not answer, and delivers at the next start', async () => {
    let code = 503;
    const { endpoint, pids } = await collect(() => code);
    start(['run'], { ...exporting(endpoint), WHODUNIT_SHUTDOWN_TIMEOUT: '300' });
    await until(() => loader.received.length > 0, 'the claim');
    loader.send(death('death-oom', 10));
    await until(() => loader.acks().includes(10n), 'the ack');
    const begin = performance.now();
    expect(await stop()).toBe(0);
    expect(performance.now() - begin, 'the shutdown took longer than its timeout').toBeLessThan(5_000);
    expect(err).toMatch(
      /1 records could not be sent in time; they stay in .*queue\.db and are sent after the next start/,
    );
    code = 200;
    start(['run'], exporting(endpoint));
    await until(() => pids.length === 1, 'the record');
    expect(await stop()).toBe(0);
  });

  it('accounts in /status for every termination, including those of the previous run', async () => {
    let code = 400;
    const { endpoint } = await collect(() => code);
    const address = `127.0.0.1:${(await freePorts(1))[0]}`;
    start(['run'], { ...exporting(endpoint), WHODUNIT_HEALTH_ADDR: address, WHODUNIT_REPORT: 'default' });
    await until(() => loader.received.length > 0, 'the claim');
    loader.send(death('death-oom', 10), shortLived(20));
    const status = async () => (await fetch(`http://${address}/status`)).json() as Promise<Status>;
    while ((await status()).queue.rejected.count === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    code = 200;
    loader.send(death('death-segfault', 30));
    while ((await status()).deaths.reported === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    const before = await status();
    expect(before.deaths).toMatchObject({
      received: 3,
      reported: 1,
      filtered: 1,
      pending: 0,
      lost: { export: 1, queue: 0 },
    });
    expect(before.queue.rejected.last).toMatchObject([
      { count: 1, reason: expect.stringContaining('HTTP 400'), body: expect.stringContaining('out-of-memory killer') },
    ]);
    child?.kill('SIGKILL');
    await ended();
    start(['run'], { ...exporting(endpoint), WHODUNIT_HEALTH_ADDR: address });
    await until(() => loader.connections === 2, 'the second service');
    // The loader's status comes after the connection.
    while ((await status()).deaths.lost.kernel === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    expect((await status()).deaths).toMatchObject({ ...before.deaths, duplicates: 0 });
    const second = child;
    start(['doctor'], { ...exporting(endpoint), WHODUNIT_HEALTH_ADDR: address });
    await until(() => out.includes('rejected'), 'the output of doctor');
    await ended();
    child = second;
    expect(out).toMatch(/ok .*queue +0 records wait \(0 B of 256 MiB\) in .*queue\.db/);
    expect(out).toMatch(/note +rejected +.*HTTP 400.*: .*out-of-memory killer/);
  });

  it('rejects a state directory that another service uses', async () => {
    const { endpoint } = await collect(() => 200);
    start(['run'], exporting(endpoint));
    await until(() => loader.received.length > 0, 'the claim');
    const first = child;
    start(['run'], exporting(endpoint));
    expect(await ended()).toBe(1);
    expect(err).toMatch(/Another whodunit uses the queue in .*state: stop it, or set WHODUNIT_STATE_DIR/);
    child = first;
  });

  it('needs no state directory without a collector', async () => {
    start(['run'], { WHODUNIT_STATE_DIR: '/proc/none' });
    await until(() => loader.received.length > 0, 'the claim');
    loader.send(death('death-oom', 10));
    await until(() => loader.acks().includes(10n), 'the ack');
    expect(await stop()).toBe(0);
    expect(existsSync(stateDir())).toBe(false);
  });

  it('sends the metrics before it exits', async () => {
    const urls: string[] = [];
    const { endpoint } = await collect(() => 200);
    collector?.on('request', (request) => urls.push(request.url ?? ''));
    start(['run'], { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' });
    await until(() => loader.received.length > 0, 'the claim');
    loader.send(death('death-oom', 10));
    await until(() => loader.acks().includes(10n), 'the ack');
    expect(await stop()).toBe(0);
    expect(urls.filter((url) => url === '/v1/metrics').length).toBeGreaterThanOrEqual(3);
  });

  it('waits for a loader that is not running', async () => {
    await loader.stop();
    start(['run']);
    await until(() => err !== '', 'a log line');
    expect(err).toContain(`no process listens at ${loader.path}`);
    await loader.start();
    await until(() => loader.received.length > 0, 'the claim');
    expect(await stop()).toBe(0);
  });

  it('answers /readyz with 200 when it is ready', async () => {
    const port = (await freePorts(1))[0];
    start(['run'], { WHODUNIT_HEALTH_ADDR: `127.0.0.1:${port}` });
    await until(() => loader.received.length > 0, 'the claim');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(200);
  });

  it('exits with 1 and one line if the health port is in use', async () => {
    const other = createTcp().listen(0, '127.0.0.1');
    await once(other, 'listening');
    start(['run'], { WHODUNIT_HEALTH_ADDR: `127.0.0.1:${(other.address() as AddressInfo).port}` });
    expect(await ended()).toBe(1);
    expect(err).toMatch(
      /^\S+Z ERROR whodunit: The health address 127\.0\.0\.1:\d+ is already in use by .* \(pid \d+, uid \d+\): .*\n$/,
    );
    other.close();
  });

  it('exits with 78 and one line if the protocol is invalid', async () => {
    start(['run'], { OTEL_EXPORTER_OTLP_PROTOCOL: 'thrift' });
    expect(await ended()).toBe(78);
    expect(err).toMatch(/^\S+Z ERROR whodunit: OTEL_EXPORTER_OTLP_PROTOCOL is "thrift"; allowed: grpc, .*\n$/);
  });
});

describe('OTEL_LOG_LEVEL', () => {
  it('is honoured while the service runs', async () => {
    start(['run'], { OTEL_LOG_LEVEL: 'Warn' });
    await until(() => loader.received.length > 0, 'the claim');
    expect(await stop()).toBe(0);
    expect(err).toMatch(/^\S+Z WARN whodunit: probe mark_victim is not attached: .*\n$/);
  });

  it('that is invalid is reported in one sentence, and the service runs with the default', async () => {
    start(['run'], { OTEL_LOG_LEVEL: 'loud' });
    await until(() => err.includes('connected to the loader'), 'a line of level info');
    expect(await stop()).toBe(0);
    expect(err).toMatch(
      /^\S+Z WARN whodunit: OTEL_LOG_LEVEL is "loud"; allowed: none, .*\n\S+Z INFO whodunit: connected/,
    );
  });
});

describe('the other commands', () => {
  it('exit with 74 if stdout is full', async () => {
    start(['explain', '137'], {}, openSync('/dev/full', 'w'));
    expect(await ended()).toBe(74);
    expect(err).toBe('whodunit: stdout cannot be written: writing failed with ENOSPC.\n');
  });

  it('doctor exits with 1 if it finds a problem', async () => {
    await loader.stop();
    start(['doctor']);
    expect(await ended()).toBe(1);
    expect(out).toContain('BAD   socket');
  });

  it('explain prints the meaning of a code for a program, with the source, and exits with 78 for an unknown signal', async () => {
    start(['explain', '--executable', 'grep', '1']);
    expect([await ended(), out]).toEqual([0, expect.stringMatching(/^grep: no line matched.*\n +\(grep\(1\).*\)\n$/)]);
    start(['explain', 'SIGNONSENSE']);
    expect(await ended()).toBe(78);
    expect(err).toContain('the exit code or signal is "SIGNONSENSE"');
  });

  it('--version prints the version', async () => {
    start(['--version']);
    expect([await ended(), out]).toEqual([0, 'whodunit 0.1.0\n']);
  });
});
