// SPDX-License-Identifier: Apache-2.0
// A real Loki, with and without the shipped index labels: a backlog of two hours beside fresh records of another host, the number of streams
// of a host, every LogQL query of the dashboards, and the alerts with their sentences.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../scripts/stack/program.ts';
import { type FleetHost, startHost, type Termination } from './hosts.ts';
import { type Loki, startLoki } from './loki.ts';
import { SETTINGS, type Shipped, startShipped } from './shipped.ts';
import { shownQueries } from './shown.ts';

const ARRIVES_WITHIN_MS = 120_000;
const HOUR_MS = 3_600_000;
const RECORDS = '{service_name=~".+"} | telemetry_distro_name="whodunit"';
const BACKLOG = 24;

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

describe('with records of every kind', () => {
  let loki: Loki;
  let host: FleetHost;

  beforeAll(async () => {
    loki = later(await startLoki(true));
    // After the third record of a service in a minute, terminations are only in its summary.
    const env = { ...sendLogs(await collectorFor(loki)), WHODUNIT_RECORDS_PER_MINUTE: '3' };
    host = later(await startHost('web-1', env));
    const now = Date.now();
    const restarted = exit('shop', now);
    host.restart(host.terminate(restarted), restarted);
    for (const golden of ['death-oom', 'death-sigkill-by-another', 'death-segfault'])
      host.terminate({ golden, service: golden, endedMs: now, change: inATrace });
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
      async () => (await loki.count(RECORDS, 1)) >= 12 || undefined,
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

  /** Alerts on what did not happen here. */
  const QUIET = ['HostOutOfMemory', 'ForbiddenSystemCall'];
  const queries = shownQueries().filter(({ language, at }) => language === 'logql' && !QUIET.includes(at));

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
