// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/cli.ts';
import { KNOBS, type Knob } from '../../src/config/knobs.ts';
import type { RunSettings } from '../../src/config/read.ts';
import { FatalError } from '../../src/core/errors.ts';

type Env = Record<string, string>;
const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };
const read = (env: Env = {}, ...argv: string[]) => readConfig(argv, env) as RunSettings;

function failure(env: Env, ...argv: string[]): FatalError {
  try {
    readConfig(argv, env);
  } catch (error) {
    if (error instanceof FatalError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

const PAGE = { host: 'localhost', port: 9464 };

describe('defaults', () => {
  it('without an endpoint, records are printed and nothing is sent', () => {
    expect(read()).toEqual({
      command: 'run',
      dockerSocket: null,
      rules: { path: null, mode: 'default' },
      recordsPerMinute: 10,
      spans: 'joined',
      socketPath: '/run/whodunit/events.sock',
      health: { host: '127.0.0.1', port: 9465 },
      arguments: 'redacted',
      logins: 'on',
      logs: null,
      metrics: null,
      traces: null,
      page: null,
      console: 'text',
      stateDir: '/var/lib/whodunit',
      history: { ageMs: 14 * 86_400_000, bytes: 64 * 1024 * 1024 },
      queueBytes: 268_435_456,
      metricIntervalMs: 60_000,
      shutdownTimeoutMs: 5_000,
    });
  });

  it('with an endpoint, logs and metrics are sent and nothing is printed', () => {
    expect(read(ENDPOINT)).toMatchObject({
      logs: { protocol: 'http/protobuf', endpoint: 'http://collector:4318/v1/logs' },
      metrics: { protocol: 'http/protobuf', endpoint: 'http://collector:4318/v1/metrics' },
      console: null,
    });
  });

  it('a size may have a unit', () => {
    expect(read({ WHODUNIT_HISTORY: 'off' }).history).toBeNull();
    expect(read({ WHODUNIT_HISTORY: '30d' }).history).toEqual({ ageMs: 30 * 86_400_000, bytes: 2 ** 26 });
    expect(read({ WHODUNIT_HISTORY: '1GiB, 12h' }).history).toEqual({ ageMs: 43_200_000, bytes: 2 ** 30 });
    expect(() => read({ WHODUNIT_HISTORY: '14' })).toThrow('WHODUNIT_HISTORY is "14"');
    expect(read({ WHODUNIT_QUEUE_BYTES: '2GiB' }).queueBytes).toBe(2 ** 31);
    expect(read({ WHODUNIT_QUEUE_BYTES: '5000000' }).queueBytes).toBe(5_000_000);
  });

  it('an empty variable counts as unset', () => {
    expect(read({ OTEL_EXPORTER_OTLP_ENDPOINT: '', WHODUNIT_REPORT: '' })).toEqual(read());
  });
});

describe('settings', () => {
  it('the variable for one signal overrides the general one', () => {
    const env = {
      ...ENDPOINT,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: 'http/json',
      OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'https://metrics/in',
    };
    expect(read(env)).toMatchObject({
      logs: { protocol: 'grpc', endpoint: 'http://collector:4318' },
      metrics: { protocol: 'http/json', endpoint: 'https://metrics/in' },
    });
  });

  it('with an endpoint for logs only, only logs are sent', () => {
    const config = read({ OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'http://logs:4318/v1/logs' });
    expect([config.logs?.endpoint, config.metrics]).toEqual(['http://logs:4318/v1/logs', null]);
  });

  it.each<[Env, string[], unknown]>([
    [{ ...ENDPOINT, OTEL_LOGS_EXPORTER: 'console' }, [], { logs: null, console: 'text' }],
    [{ ...ENDPOINT, OTEL_LOGS_EXPORTER: 'otlp,console' }, [], { logs: { protocol: 'http/protobuf' }, console: 'text' }],
    [{ ...ENDPOINT, OTEL_LOGS_EXPORTER: 'none' }, [], { logs: null, console: null }],
    [{ ...ENDPOINT, OTEL_METRICS_EXPORTER: 'none' }, [], { metrics: null, page: null }],
    [{ ...ENDPOINT, OTEL_METRICS_EXPORTER: 'prometheus' }, [], { metrics: null, page: PAGE }],
    [{ ...ENDPOINT, OTEL_METRICS_EXPORTER: 'otlp,prometheus' }, [], { metrics: expect.anything(), page: PAGE }],
    [
      { OTEL_METRICS_EXPORTER: 'prometheus', OTEL_EXPORTER_PROMETHEUS_HOST: '::', OTEL_EXPORTER_PROMETHEUS_PORT: '1' },
      [],
      { page: { host: '::', port: 1 } },
    ],
    [{ OTEL_METRICS_EXPORTER: 'prometheus', OTEL_SDK_DISABLED: 'true' }, [], { page: null }],
    [ENDPOINT, ['--output', 'json'], { logs: { protocol: 'http/protobuf' }, console: 'json' }],
    [{ ...ENDPOINT, OTEL_SDK_DISABLED: 'true' }, [], { logs: null, metrics: null, console: 'text' }],
    [{ WHODUNIT_HEALTH_ADDR: 'off' }, [], { health: null }],
    [{ WHODUNIT_HEALTH_ADDR: '[::1]:80' }, [], { health: { host: '::1', port: 80 } }],
    [{ WHODUNIT_HEALTH_ADDR: ':8080' }, [], { health: { host: '0.0.0.0', port: 8080 } }],
    [{ WHODUNIT_REPORT: 'all', WHODUNIT_ARGUMENTS: 'off' }, [], { rules: { mode: 'all' }, arguments: 'off' }],
    [{ OTEL_METRIC_EXPORT_INTERVAL: '500' }, [], { metricIntervalMs: 500 }],
    [{ WHODUNIT_CONFIG: '/a', WHODUNIT_RECORDS_PER_MINUTE: '3' }, [], { rules: { path: '/a' }, recordsPerMinute: 3 }],
    [{ WHODUNIT_CONFIG: '/a' }, ['--rules', '/b'], { rules: { path: '/b' } }],
    [{ WHODUNIT_RECORDS_PER_MINUTE: 'off' }, [], { recordsPerMinute: Number.POSITIVE_INFINITY }],
    [{ WHODUNIT_REPORT: 'all' }, [], { recordsPerMinute: Number.POSITIVE_INFINITY }],
    [{ WHODUNIT_REPORT: 'all', WHODUNIT_RECORDS_PER_MINUTE: '3' }, [], { recordsPerMinute: 3 }],
    [{ WHODUNIT_SPANS: 'all' }, [], { spans: 'all' }],
    [{ WHODUNIT_DOCKER_SOCKET: '/run/docker.sock' }, [], { dockerSocket: '/run/docker.sock' }],
    [{ WHODUNIT_DOCKER_SOCKET: 'unix:///run/docker.sock' }, [], { dockerSocket: '/run/docker.sock' }],
    [{ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'otlp' }, [], { traces: { endpoint: 'http://collector:4318/v1/traces' } }],
    [ENDPOINT, [], { traces: null }],
    [{ OTEL_SDK_DISABLED: 'TRUE', ...ENDPOINT }, [], { logs: null }],
    [{ OTEL_SDK_DISABLED: 'yes', ...ENDPOINT }, [], { logs: { protocol: 'http/protobuf' } }],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
      [],
      { logs: { endpoint: 'collector:4317' } },
    ],
  ])('%j %j', (env, argv, expected) => {
    expect(read(env, ...argv)).toMatchObject(expected as object);
  });
});

describe('an invalid setting fails with exit code 78 and one line: key, value, what is allowed, remedy', () => {
  it.each<[Env, string[], string[]]>([
    [
      { OTEL_EXPORTER_OTLP_PROTOCOL: 'http' },
      [],
      ['OTEL_EXPORTER_OTLP_PROTOCOL is "http"', 'grpc, http/protobuf, http/json', '4318'],
    ],
    [{ ...ENDPOINT, OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: 'grcp' }, [], ['OTEL_EXPORTER_OTLP_LOGS_PROTOCOL is "grcp"']],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' },
      [],
      ['OTEL_EXPORTER_OTLP_ENDPOINT is "collector:4318"', 'http://localhost:4318'],
    ],
    [
      { ...ENDPOINT, OTEL_EXPORTER_OTLP_COMPRESSION: 'zip' },
      [],
      ['OTEL_EXPORTER_OTLP_COMPRESSION is "zip"', 'gzip, none'],
    ],
    [{ ...ENDPOINT, OTEL_EXPORTER_OTLP_TIMEOUT: '10s' }, [], ['OTEL_EXPORTER_OTLP_TIMEOUT is "10s"', 'milliseconds']],
    [
      { ...ENDPOINT, OTEL_EXPORTER_OTLP_CERTIFICATE: '/no/such.pem' },
      [],
      ['OTEL_EXPORTER_OTLP_CERTIFICATE is "/no/such.pem"', 'ENOENT'],
    ],
    [
      { ...ENDPOINT, OTEL_EXPORTER_OTLP_CLIENT_KEY: '/dev/null' },
      [],
      ['OTEL_EXPORTER_OTLP_CLIENT_KEY', 'Set both or neither'],
    ],
    [{ OTEL_LOGS_EXPORTER: 'file' }, [], ['OTEL_LOGS_EXPORTER is "file"', 'otlp, console, none']],
    [{ OTEL_METRICS_EXPORTER: 'statsd' }, [], ['OTEL_METRICS_EXPORTER is "statsd"', 'otlp, prometheus, none']],
    [{ OTEL_EXPORTER_PROMETHEUS_PORT: '0' }, [], ['OTEL_EXPORTER_PROMETHEUS_PORT is "0"', '1 to 65535', '9464']],
    [{ OTEL_METRIC_EXPORT_INTERVAL: '0' }, [], ['OTEL_METRIC_EXPORT_INTERVAL is "0"']],
    [{ WHODUNIT_REPORT: 'everything' }, [], ['WHODUNIT_REPORT is "everything"', 'default, all']],
    [{ WHODUNIT_ARGUMENTS: 'yes' }, [], ['WHODUNIT_ARGUMENTS is "yes"', 'redacted, full, off']],
    [
      { WHODUNIT_DOCKER_SOCKET: 'tcp://docker:2375' },
      [],
      ['WHODUNIT_DOCKER_SOCKET is "tcp://docker:2375"', '/var/run/docker.sock', 'default, none.'],
    ],
    [{ WHODUNIT_HEALTH_ADDR: '9465' }, [], ['WHODUNIT_HEALTH_ADDR is "9465"', 'host:port']],
    [{ WHODUNIT_HEALTH_ADDR: 'localhost:99999' }, [], ['WHODUNIT_HEALTH_ADDR']],
    [{ WHODUNIT_HEALTH_ADDR: '127.0.0.1:0' }, [], ['WHODUNIT_HEALTH_ADDR']],
    [{ WHODUNIT_QUEUE_BYTES: '1000' }, [], ['WHODUNIT_QUEUE_BYTES is "1000"', 'at least 4194304']],
    [{ WHODUNIT_QUEUE_BYTES: 'much' }, [], ['WHODUNIT_QUEUE_BYTES is "much"', '256MiB']],
    [{ WHODUNIT_SHUTDOWN_TIMEOUT: '-1' }, [], ['WHODUNIT_SHUTDOWN_TIMEOUT is "-1"']],
    [{ WHODUNIT_RECORDS_PER_MINUTE: '0' }, [], ['WHODUNIT_RECORDS_PER_MINUTE', '"0"', 'off']],
  ])('%j %j', (env, argv, parts) => {
    const error = failure(env, ...argv);
    expect(error.exitCode).toBe(78);
    expect(error.message).not.toContain('\n');
    for (const part of parts) expect(error.message).toContain(part);
  });
});

describe('the doctor rejects the settings that the service rejects', () => {
  it.each<Env>([
    { WHODUNIT_QUEUE_BYTES: '1000' },
    { WHODUNIT_SHUTDOWN_TIMEOUT: '-1' },
    { WHODUNIT_RECORDS_PER_MINUTE: '0' },
    { OTEL_METRIC_EXPORT_INTERVAL: '0' },
  ])('%j', (env) => {
    expect(failure(env, 'doctor')).toEqual(failure(env, 'run'));
  });
});

describe('the description of a knob matches its parser', () => {
  const knobs = Object.entries(KNOBS).filter(([, { reader }]) => reader !== 'loader');

  it.each(knobs)('the defaults of %s are allowed', (_, knob: Knob) => {
    const { kind, fallback, unless } = knob;
    for (const value of [fallback, unless?.fallback ?? '']) if (value !== '') expect(kind.parse(value)).toBeDefined();
  });

  it.each(knobs)('each literal value in the description of %s is allowed', (_, { kind }) => {
    const literals = [...kind.allowed.matchAll(/`([a-z0-9/_.-]+)`/g)].map(([, value]) => value ?? '');
    for (const value of literals) expect([value, kind.parse(value) !== undefined]).toEqual([value, true]);
  });
});
