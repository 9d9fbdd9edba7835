// SPDX-License-Identifier: Apache-2.0
// A real Loki, with and without the shipped index labels: a backlog of two hours beside fresh records of another host, the number of streams
// of a host, every LogQL query of the dashboards, and the alerts with their sentences.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type FleetHost, startHost, type Termination } from '../../scripts/stack/fleet-host.ts';
import { type Loki, startLoki } from '../../scripts/stack/loki.ts';
import { until } from '../../scripts/stack/program.ts';
import { SETTINGS, type Shipped, startShipped } from '../../scripts/stack/shipped.ts';
import { POD } from './kubernetes.ts';
import { shownQueries } from './shown.ts';

const ARRIVES_WITHIN_MS = 120_000;
const HOUR_MS = 3_600_000;
const RECORDS = '{service_name=~".+"} | telemetry_distro_name="whodunit"';
const BACKLOG = 24;
const FLEET =
  'host.name=web-1,host.id=1,k8s.cluster.name=a,deployment.environment.name=b,cloud.region=c,cloud.provider=d';

const cleanUp: (() => unknown)[] = [];
async function cleanAll(): Promise<void> {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
}

function later<T extends { stop: () => unknown }>(started: T): T {
  cleanUp.push(() => started.stop());
  return started;
}

/** The collector with the file for Loki. Metrics and spans have no backend here. */
async function collectorFor(loki: Loki): Promise<Shipped> {
  return later(await startShipped(['collector', 'backends/self-hosted'], { LOKI: loki.url }));
}

const sendLogs = ({ http }: Shipped): NodeJS.ProcessEnv => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: http,
  OTEL_METRICS_EXPORTER: 'none',
});

const sendDirectly = ({ url }: Loki): NodeJS.ProcessEnv => ({
  OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: `${url}/otlp/v1/logs`,
  OTEL_METRICS_EXPORTER: 'none',
});

const exit = (service: string, endedMs: number, changes: Partial<Termination> = {}): Termination => ({
  golden: 'death-exit-3',
  service,
  endedMs,
  ...changes,
});

/** Waits until the record of every termination is in Loki, or was rejected, and returns the number of those in Loki. */
async function settled(loki: Loki, hosts: readonly FleetHost[], records: number): Promise<number> {
  const diagnostics = () => hosts.map(({ program }) => program.output()).join('') + loki.output();
  return until(
    `${records} records`,
    ARRIVES_WITHIN_MS,
    async () => {
      const found = await loki.count(RECORDS, 24);
      const rejected = hosts.some(({ program }) => /reject/.test(program.output()));
      return found >= records || rejected ? found : undefined;
    },
    diagnostics,
  );
}

describe('a backlog of two hours beside fresh records of another host', () => {
  afterEach(cleanAll);

  /** One service on two hosts. Returns how many records of the backlog are in Loki. */
  async function backlogIn(shipped: boolean, collectorOf = collectorFor): Promise<number> {
    const loki = later(await startLoki(shipped));
    const collector = await collectorOf(loki);
    const fresh = later(await startHost('web-1', sendLogs(collector)));
    fresh.terminate(exit('shop', Date.now()));
    expect(await settled(loki, [fresh], 1)).toBe(1);
    const delayed = later(await startHost('web-2', sendLogs(collector)));
    const start = Date.now() - 2 * HOUR_MS;
    for (let i = 0; i < BACKLOG; i += 1) delayed.terminate(exit('shop', start + (i * 2 * HOUR_MS) / BACKLOG));
    return (await settled(loki, [delayed], 1 + BACKLOG)) - 1;
  }

  it('arrives completely with the shipped index labels', async () => {
    expect(await backlogIn(true)).toBe(BACKLOG);
  });

  it('arrives completely with grafana-cloud.yaml in a Loki with the default index labels', async () => {
    const grafanaCloud = async ({ url }: Loki) => {
      const env = { ...SETTINGS, GRAFANA_CLOUD_OTLP_ENDPOINT: `${url}/otlp` };
      return later(await startShipped(['collector', 'backends/grafana-cloud'], env));
    };
    expect(await backlogIn(false, grafanaCloud)).toBe(BACKLOG);
  });

  it('is refused by a Loki without them: this is why they are needed', async () => {
    expect(await backlogIn(false)).toBeLessThan(BACKLOG);
  });
});

describe('the streams of a host', () => {
  afterEach(cleanAll);

  it.each([
    { shipped: true, streams: 3 },
    { shipped: false, streams: 15 },
  ])('that runs five pods of each of three services, shipped labels: $shipped, are $streams', async (expected) => {
    const loki = later(await startLoki(expected.shipped));
    const host = later(await startHost('web-1', sendLogs(await collectorFor(loki))));
    for (const service of ['cart', 'checkout', 'shop'])
      for (let pod = 0; pod < 5; pod += 1)
        host.terminate(
          exit(service, Date.now(), { declared: `service.instance.id=${pod},k8s.pod.name=${service}-${pod}` }),
        );
    expect(await settled(loki, [host], 15)).toBe(15);
    const streams = await loki.streams('{service_name=~".+"}');
    expect(streams).toHaveLength(expected.streams);
    if (expected.shipped)
      for (const labels of streams)
        expect(labels).toMatchObject({ host_name: 'web-1', telemetry_distro_name: 'whodunit' });
  });
});

describe('structured metadata', () => {
  afterEach(cleanAll);

  /** Loki's defaults: max_structured_metadata_entries_count and max_structured_metadata_size. */
  const [ENTRIES_MAX, BYTES_MAX] = [128, 65_536];
  const NAMES = Array.from({ length: 64 }, (_, i) => `declared.by.the.process.${i}=${'v'.repeat(20)}`);

  // biome-ignore lint/suspicious/noExplicitAny: a line
  function long(death: any) {
    const args = Array.from({ length: 40 }, (_, i) => `--flag-${i}=${'a'.repeat(90)}`);
    const ancestor = { ...death.process.ancestors[0], args: args.slice(0, 2), uid: 0, login_uid: 1000 };
    death.process.ancestors = Array.from({ length: 6 }, (_, i) => ({ ...ancestor, pid: 10 + i }));
    Object.assign(death.process, { args, uts_hostname: 'web-0', cgroup: `/kubepods/pod${POD.uid}/${POD.containerId}` });
    death.process.env.TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    if (death.signal?.sender)
      Object.assign(death.signal.sender, { args: args.slice(0, 10), ancestors: death.process.ancestors });
  }

  it('of records with all that a process may declare stays within the limits of Loki', async () => {
    const loki = later(await startLoki(true));
    const host = later(await startHost('web-1', { ...sendDirectly(loki), OTEL_RESOURCE_ATTRIBUTES: FLEET }));
    const kinds = ['death-sigkill-by-another', 'death-segfault', 'death-oom', 'death-exit-after-sigterm'];
    for (const golden of kinds)
      host.terminate({ golden, service: golden, endedMs: Date.now(), declared: NAMES.join(','), change: long });
    expect(await settled(loki, [host], kinds.length)).toBe(kinds.length);
    for (const labels of await loki.labels(RECORDS)) {
      const bytes = Object.entries(labels).reduce((sum, [name, value]) => sum + name.length + value.length, 0);
      expect(Object.keys(labels).length, labels.service_name).toBeLessThanOrEqual(ENTRIES_MAX);
      expect(bytes, labels.service_name).toBeLessThanOrEqual(BYTES_MAX);
    }
  });
});

/** How the records get to Loki. */
const WAYS = [
  { way: 'through the collector', settings: async (loki: Loki) => sendLogs(await collectorFor(loki)) },
  { way: 'directly', settings: async (loki: Loki) => sendDirectly(loki) },
] as const;

describe.each(WAYS)('with records of every kind, $way', ({ settings }) => {
  let loki: Loki;
  let host: FleetHost;

  beforeAll(async () => {
    loki = later(await startLoki(true));
    // After the third record of a service in a minute, terminations are only in its summary.
    const env = { ...(await settings(loki)), WHODUNIT_RECORDS_PER_MINUTE: '3' };
    host = later(await startHost('web-1', env));
    const now = Date.now();
    const restarted = exit('shop', now);
    host.restart(host.terminate(restarted), restarted);
    for (const golden of ['death-oom', 'death-sigkill-by-another', 'death-segfault'])
      host.terminate({ golden, service: golden, endedMs: now, change: inATrace });
    host.terminate({ golden: 'death-oom', service: 'of-a-full-host', endedMs: now, change: ofTheHost });
    host.terminate({ golden: 'death-exit-3', service: 'confined', endedMs: now, change: bySeccomp });
    // What the kernel's own tool for containers and systemd do at the end of a grace period.
    for (const [service, exe, uid] of [
      ['stopped-by-runc', '/usr/sbin/runc', 0],
      ['stopped-by-systemd', '/usr/lib/systemd/systemd', 0],
      ['stopped-by-user-manager', '/usr/lib/systemd/systemd', 1000],
      ['killed-by-a-false-runc', '/home/mallory/runc', 1000],
    ] as const)
      host.terminate({
        golden: 'death-sigkill-by-another',
        service,
        endedMs: now,
        change: ({ signal }) =>
          Object.assign(signal.sender, { exe, comm: exe.split('/').at(-1), uid, pid: service.length }),
      });
    // One act: a record, and one for the five others.
    for (let i = 0; i < 6; i += 1)
      host.terminate({
        golden: 'death-sigkill-by-another',
        service: 'swept',
        endedMs: now,
        change: ({ signal }) => Object.assign(signal.sender, { pid: 77 }),
      });
    for (let i = 0; i < 7; i += 1) host.terminate(exit('looping', now));
    for (let i = 0; i < 3; i += 1) host.terminate(comesBack('coming-back', now + i));
    await until(
      'the records',
      ARRIVES_WITHIN_MS,
      async () => (await loki.count(RECORDS, 1)) >= 14 || undefined,
      loki.output,
    );
    await host.program.stop(); // sends the summary
    await until(
      'the summary',
      ARRIVES_WITHIN_MS,
      async () => (await loki.count(`${RECORDS} | whodunit_aggregated_count!=""`, 1)) > 0 || undefined,
      () => loki.output() + host.program.output(),
    );
  });

  afterAll(cleanAll);

  /** A termination after that of a millisecond before, of a program that systemd starts. */
  function comesBack(service: string, endedMs: number) {
    const change = ({ process }: { process: { ancestors: object[]; start_boottime_ns: string } }) => {
      process.ancestors = [{ pid: 1, comm: 'systemd' }];
      process.start_boottime_ns = String(BigInt(endedMs) * 1_000_000n - 500_000n);
    };
    return { ...exit(service, endedMs), change };
  }

  function inATrace(death: { process: { env: Record<string, string>; start_boottime_ns: string }; time_ns: string }) {
    death.process.env.TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    death.process.start_boottime_ns = String(BigInt(death.time_ns) - 1_000_000_000n);
  }

  // biome-ignore lint/suspicious/noExplicitAny: a line
  function ofTheHost(death: any) {
    Object.assign(death.oom, { cgroup: null, limit: null });
    death.signal.kernel_stack = [...death.signal.kernel_stack.slice(0, 5), '__alloc_pages_slowpath'];
  }

  // biome-ignore lint/suspicious/noExplicitAny: a line
  function bySeccomp(death: any) {
    Object.assign(death, { status_raw: 31, seccomp_mode: 3 });
  }

  const queries = shownQueries().filter(({ language }) => language === 'logql');

  it.each(queries)('$at has data', async ({ expr }) => {
    expect(await loki.count(expr, 1), expr).toBeGreaterThan(0);
  });

  it('the dashboards have data without the index labels, too', async () => {
    for (const { expr } of queries) {
      const everyStream = expr.replaceAll('{telemetry_distro_name="whodunit",', '{service_name=~".+",');
      expect(await loki.count(everyStream, 1), everyStream).toBeGreaterThan(0);
    }
  });

  it('there is one alert for each service, with the sentence of a record, and none for the end of a grace period', async () => {
    const expected = [
      ['CrashLoopAggregated', 'looping', /^looping terminated \d+ more times within/],
      ['CrashLoopReported', 'coming-back', /^sleep \(pid \d+\) terminated for the third time in /],
      ['CrashedInATrace', 'death-oom', /^sleep \(pid \d+\) /],
      ['CrashedInATrace', 'death-segfault', /^sleep \(pid \d+\) /],
      ...['confined', 'death-oom', 'death-segfault', 'of-a-full-host'].map(
        (service) => ['Fatal', service, /^sleep \(pid \d+\) /] as const,
      ),
      ['ForbiddenSystemCall', 'confined', /^sleep \(pid \d+\) /],
      ['HostOutOfMemory', undefined, /^sleep \(pid \d+\) /],
      ['KilledByProcess', 'death-sigkill-by-another', /^sleep \(pid \d+\) was killed by SIGKILL, sent by bash/],
      ['KilledByProcess', 'killed-by-a-false-runc', /^sleep \(pid \d+\) was killed by SIGKILL, sent by runc/],
      ['KilledByProcess', 'swept', /^sleep \(pid \d+\) was killed by SIGKILL, sent by bash/],
      ['ManyTerminatedAtOnce', 'swept', /^bash .* terminated 6 processes within .*: first sleep/],
    ] as const;
    const alerts = await until(
      'the alerts',
      ARRIVES_WITHIN_MS,
      async () => {
        const found = await loki.alerts();
        return found.length >= expected.length ? found : undefined;
      },
      loki.output,
    );
    const found = alerts.map(({ labels, annotations }) => [
      labels.alertname,
      labels.service_name,
      annotations.description,
    ]);
    expect(found.sort()).toEqual(expected.map(([name, service, text]) => [name, service, expect.stringMatching(text)]));
    for (const { annotations } of alerts) expect(annotations.runbook_url).toMatch(/^https:.*alerts\.md#[a-z]+$/);
  });
});
