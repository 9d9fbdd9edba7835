// SPDX-License-Identifier: Apache-2.0
// The dashboards at the intervals at which metrics are sent, 15 s and 60 s, and with both settings of Grafana's data source: a panel of
// counts shows each termination once, and no panel is empty. Prometheus has the samples of an hour; this file computes Grafana's variables.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Point, type Prometheus, startPrometheus } from './prometheus.ts';
import { dashboards, filled, type Panel, panelsOf, type Target } from './shown.ts';

/** Some whole hour; the samples end at it. */
const NOW = 1_795_442_400;
const HOUR = 3600;
/** Points that a panel of usual width asks for. */
const MAX_DATA_POINTS = 800;
/** The name of a service for each interval of the metrics. */
const INTERVALS = [15, 60] as const;

/** Minutes before NOW at which processes of the service terminate; at the second, whodunit is restarted shortly before. */
const TERMINATED = [47, 29, 12, 8];
const RESTARTED = 30;

let prometheus: Prometheus;

beforeAll(async () => {
  prometheus = await startPrometheus({ openMetrics: samples() });
});

afterAll(() => prometheus?.stop());

/** The counters as whodunit sends them: a new series begins with 0, also after a restart. */
function samples(): string {
  const series = INTERVALS.map((interval) => {
    const labels = `service_name="every ${interval}",host_name="web-1",instance="a",whodunit_cause="exit",error_type="1"`;
    const lines: string[] = [];
    // Not at the steps of a panel.
    for (let at = NOW - HOUR + 7; at <= NOW; at += interval) {
      const minutes = (NOW - at) / 60;
      const since = minutes < RESTARTED ? RESTARTED : Number.POSITIVE_INFINITY;
      const value = TERMINATED.filter((when) => when >= minutes && when < since).length;
      if (minutes < Math.max(...TERMINATED) + 1)
        lines.push(`whodunit_process_terminations_total{${labels}} ${value} ${at}\n`);
    }
    return lines.join('');
  });
  return `# TYPE whodunit_process_terminations counter\n${series.join('')}# EOF\n`;
}

/** `setting`: the scrape interval of the data source, in seconds. As Grafana computes them (pkg/promlib/models/query.go). */
function variables(panel: Panel, target: Target, range: number, setting: number) {
  const minStep = seconds(target.interval ?? panel.interval) ?? setting;
  const interval = Math.max(minStep, Math.ceil(range / MAX_DATA_POINTS));
  const scrape = seconds(target.interval) ?? setting;
  const rateInterval = Math.max(interval + scrape, 4 * scrape);
  return { $__interval: `${interval}s`, $__rate_interval: `${rateInterval}s`, $__range: `${range}s` };
}

function seconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [, number, unit] = /^(\d+)([sm])$/.exec(text) ?? [];
  return Number(number) * (unit === 'm' ? 60 : 1);
}

/** Evaluates the query of a panel for the last `range` seconds and one service. */
async function shown(panel: Panel, target: Target, range: number, setting: number, service: string): Promise<Point[]> {
  const all = variables(panel, target, range, setting);
  const query = filled(target.expr, { ...all, $service: service });
  const step = seconds(all.$__interval) ?? 0;
  return target.instant
    ? (await prometheus.range(query, NOW, NOW, 1)).flat()
    : (await prometheus.range(query, NOW - range, NOW, step)).flat();
}

const panels = dashboards.flatMap((dashboard) =>
  panelsOf(dashboard).flatMap((panel) => panel.targets.map((target) => ({ title: panel.title, panel, target }))),
);
const isOfTerminations = ({ target }: { target: Target }) =>
  target.datasource.type === 'prometheus' && target.expr.includes('whodunit_process_terminations_total');
const bars = panels.filter(
  (query) => isOfTerminations(query) && query.panel.type === 'timeseries' && !query.target.expr.includes('[10m]'),
);
const stats = panels.filter((query) => isOfTerminations(query) && query.target.instant === true);

const settings = INTERVALS.flatMap((interval) => INTERVALS.map((setting) => ({ interval, setting })));

describe.each(settings)('metrics every $interval s, data source with $setting s', ({ interval, setting }) => {
  const service = `every ${interval}`;

  it.each(bars)('$title has one bar of 1 for each termination', async ({ panel, target }) => {
    for (const range of [900, HOUR]) {
      const expected = TERMINATED.filter((minutes) => minutes * 60 < range - 60).length;
      const drawn = (await shown(panel, target, range, setting, service)).filter(([, value]) => value !== 0);
      expect(
        drawn.map(([, value]) => value),
        `${range} s`,
      ).toEqual(Array(expected).fill(1));
    }
  });

  it.each(stats)('$title has a number, also if nothing has terminated', async ({ panel, target }) => {
    expect(await shown(panel, target, 900, setting, service)).not.toEqual([]);
    if (panel.type === 'stat') expect(await shown(panel, target, 900, setting, 'calm')).toEqual([[NOW, 0]]);
  });

  it('the number of terminations is right', async () => {
    const [terminations] = stats;
    if (terminations === undefined) throw new Error('no stat');
    const [[, value = 0] = []] = await shown(terminations.panel, terminations.target, 900, setting, service);
    expect(Math.round(value)).toBe(2);
  });
});

describe('every panel', () => {
  it.each(panels.filter(({ target }) => target.expr.includes('$__rate_interval')))(
    '$title has at least two samples in each window, at both settings of the data source',
    ({ panel, target }) => {
      for (const setting of INTERVALS)
        expect(seconds(variables(panel, target, 900, setting).$__rate_interval)).toBeGreaterThanOrEqual(2 * 60);
    },
  );
});
