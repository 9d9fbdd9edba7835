// SPDX-License-Identifier: Apache-2.0
// `whodunit doctor --test` kills a child on the real kernel and names the step that fails. Each fault is real: in a real loader, service or
// collector.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { answers, type Collector, type CollectorOptions, startCollector } from '../../scripts/stack/collector.ts';
import { freePorts, type Program, until } from '../../scripts/stack/program.ts';
import {
  exportTo,
  type Place,
  type Protocol,
  place,
  startCommand,
  startLoader,
  startService,
} from '../../scripts/stack/whodunit.ts';

const ENDS_WITHIN_MS = 120_000;
const READY_WITHIN_MS = 60_000;

let at: Place;
let loader: Program;
/** Self-signed. */
let certificate: { cert_file: string; key_file: string };
const running: Program[] = [];
const collectors: Collector[] = [];

beforeAll(async () => {
  at = await place();
  certificate = selfSigned(at.directory.path);
  loader = await startLoader(at);
});

afterEach(async () => {
  for (const program of running.splice(0)) await program.stop();
  for (const collector of collectors.splice(0)) await collector.stop();
});

afterAll(async () => {
  await loader?.stop();
  at?.directory.remove();
});

async function collectorOf(options?: CollectorOptions): Promise<Collector> {
  const collector = await startCollector(options);
  collectors.push(collector);
  return collector;
}

function selfSigned(directory: string): typeof certificate {
  const [cert_file, key_file] = [join(directory, 'certificate.pem'), join(directory, 'key.pem')];
  const name = ['-subj', '/CN=whodunit-test', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key_file];
  execFileSync('openssl', ['req', '-x509', ...key, '-out', cert_file, '-days', '2', ...name], { stdio: 'pipe' });
  return { cert_file, key_file };
}

/** A port without a listener. */
async function unusedAddress(): Promise<string> {
  const [port] = await freePorts(1);
  return `http://127.0.0.1:${port}`;
}

const to = (endpoint: string, protocol: Protocol): NodeJS.ProcessEnv => ({
  ...exportTo({ grpc: endpoint, http: endpoint }, protocol),
  OTEL_METRICS_EXPORTER: 'none',
});

interface Doctored {
  readonly code: number | null;
  /** The last line: `ok` or `BROKEN`, the step, its text. */
  readonly last: { readonly mark: string; readonly step: string; readonly text: string };
  readonly steps: readonly string[];
  readonly output: string;
}

async function doctor(env: NodeJS.ProcessEnv, where: Place = at): Promise<Doctored> {
  const program = startCommand(where, ['doctor', '--test'], env);
  running.push(program);
  await until('the end of the doctor', ENDS_WITHIN_MS, () => !program.alive() || undefined, program.output);
  const { code } = await program.ended;
  const lines = program.stdout().trimEnd().split('\n');
  const parsed = lines.map((line) => /^(ok|BROKEN) +(?:(\d+) ms +)?(\S+) +(.*)$/.exec(line) ?? []);
  const [, mark = '', , step = '', text = ''] = parsed.at(-1) ?? [];
  const steps = parsed.map(([, , , name = '']) => name);
  return { code, last: { mark, step, text }, steps, output: program.output() };
}

async function service(env: NodeJS.ProcessEnv): Promise<void> {
  const program = startService(at, env);
  running.push(program);
  await until('readyz', READY_WITHIN_MS, () => answers(`http://${at.health}/readyz`), program.output);
}

describe('if everything works', () => {
  it.each<Protocol>(['grpc', 'http/protobuf'])(
    'it follows the record through the service to the answer over %s',
    async (protocol) => {
      const collector = await collectorOf();
      const env = exportTo(collector, protocol);
      await service(env);
      const { code, last, steps, output } = await doctor(env);
      expect(last, output).toMatchObject({ mark: 'ok', step: 'collector', text: expect.stringContaining(protocol) });
      expect(steps).toEqual(['loader', 'killed', 'kernel', 'service', 'collector']);
      expect(code).toBe(0);
      const [, pid] = /\(pid (\d+)\) by SIGKILL/.exec(output) ?? [];
      const records = collector.logs().filter(({ resource }) => resource['process.pid'] === Number(pid));
      expect(records, output).toHaveLength(1);
    },
  );

  it('without a service, it classifies and sends by itself', async () => {
    const collector = await collectorOf();
    const { code, last, steps, output } = await doctor(exportTo(collector, 'http/json'));
    expect(last, output).toMatchObject({ mark: 'ok', step: 'collector' });
    expect(steps).toEqual(['loader', 'killed', 'kernel', 'decided', 'collector']);
    expect(code).toBe(0);
    expect(collector.logs().map(({ resource }) => resource['service.name'])).toEqual(['whodunit-doctor']);
  });

  it('it works over TLS, with the configured CA certificate', async () => {
    const collector = await collectorOf({ tls: certificate });
    const env = { ...exportTo(collector, 'grpc'), OTEL_EXPORTER_OTLP_CERTIFICATE: certificate.cert_file };
    const { code, last, output } = await doctor(env);
    expect(last, output).toMatchObject({ mark: 'ok', step: 'collector' });
    expect(code).toBe(0);
  });

  it('without --test, it finds no problem, and shows what is sent where', async () => {
    const collector = await collectorOf();
    await service(exportTo(collector, 'grpc'));
    const program = startCommand(at, ['doctor']); // not the environment of the service, as in a shell beside systemd
    running.push(program);
    expect((await program.ended).code, program.output()).toBe(0);
    expect(program.stdout()).toMatch(new RegExp(`^ok +logs +grpc to ${collector.grpc}`, 'm'));
    expect(program.stdout()).toMatch(/^ok +kernel +\S+, with BTF$/m);
    expect(program.stdout()).toMatch(/^ok +pins +\d+ in \S+whodunit-test-/m);
  });
});

describe('if a step fails, it names the step', () => {
  it('without a loader', async () => {
    const elsewhere = await place();
    const { code, last, output } = await doctor({}, elsewhere);
    elsewhere.directory.remove();
    expect(last, output).toMatchObject({ mark: 'BROKEN', step: 'loader' });
    expect(last.text).toContain('whodunit-loader run');
    expect(code).toBe(1);
  });

  it('a wrong socket: it names the right one', async () => {
    const wrong = join(at.directory.path, 'evnets.sock');
    const { code, last, output } = await doctor({ WHODUNIT_SOCKET: wrong });
    expect(last, output).toMatchObject({ mark: 'BROKEN', step: 'loader' });
    expect(last.text).toContain(wrong);
    expect(last.text).toMatch(new RegExp(`Set WHODUNIT_SOCKET to where a loader listens: .*${at.socket}`));
    expect(code).toBe(1);
  });

  const faults: {
    readonly name: string;
    readonly env: () => Promise<NodeJS.ProcessEnv>;
    readonly step: string;
    readonly remedy: RegExp;
  }[] = [
    {
      name: 'a collector that is down',
      env: async () => to(await unusedAddress(), 'http/protobuf'),
      step: 'collector',
      remedy: /ECONNREFUSED.*start the collector/,
    },
    {
      name: 'gRPC to a port for HTTP',
      env: async () => to((await collectorOf()).http, 'grpc'),
      step: 'protocol',
      remedy: /OTEL_EXPORTER_OTLP_PROTOCOL=http\/protobuf/,
    },
    {
      name: 'HTTP to a port for gRPC',
      env: async () => to((await collectorOf()).grpc, 'http/protobuf'),
      step: 'protocol',
      remedy: /OTEL_EXPORTER_OTLP_PROTOCOL=grpc/,
    },
    {
      name: 'TLS to a collector without TLS',
      env: async () => to((await collectorOf()).http.replace('http:', 'https:'), 'http/protobuf'),
      step: 'TLS',
      remedy: /use http:\/\//,
    },
    {
      name: 'no TLS to a collector with TLS',
      env: async () => to((await collectorOf({ tls: certificate })).http.replace('https:', 'http:'), 'http/protobuf'),
      step: 'TLS',
      remedy: /use https:\/\//,
    },
    {
      name: 'a certificate of an unknown authority',
      env: async () => to((await collectorOf({ tls: certificate })).grpc, 'grpc'),
      step: 'TLS',
      remedy: /not trusted \(\w+\).*OTEL_EXPORTER_OTLP_CERTIFICATE/,
    },
    {
      name: 'a backend without logs, over HTTP',
      env: async () => to((await collectorOf({ signals: ['traces'] })).http, 'http/protobuf'),
      step: 'backend',
      remedy: /does not accept logs.*OTEL_TRACES_EXPORTER=otlp/,
    },
    {
      name: 'a backend without logs, over gRPC',
      env: async () => to((await collectorOf({ signals: ['traces'] })).grpc, 'grpc'),
      step: 'backend',
      remedy: /does not accept logs/,
    },
  ];

  /** Tested with a service too. Only these, because a service starts slowly. */
  const OF_THE_SERVICE = new Set([
    'a collector that is down',
    'gRPC to a port for HTTP',
    'a backend without logs, over HTTP',
  ]);

  it.each(faults.filter(({ name }) => OF_THE_SERVICE.has(name)))(
    '$name, in the service',
    async ({ env, step, remedy }) => {
      const wrong = await env();
      await service(wrong);
      const { code, last, output } = await doctor({}); // not the environment of the service
      expect(last, output).toMatchObject({ mark: 'BROKEN', step });
      expect(last.text).toMatch(remedy);
      expect(code).toBe(1);
    },
  );

  it.each(faults)('$name, without a service', async ({ env, step, remedy }) => {
    const { code, last, output } = await doctor(await env());
    expect(last, output).toMatchObject({ mark: 'BROKEN', step });
    expect(last.text).toMatch(remedy);
    expect(code).toBe(1);
  });
});
