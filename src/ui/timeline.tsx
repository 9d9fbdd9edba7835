// SPDX-License-Identifier: Apache-2.0
// The chart with its range and its causes. Each cause is a button that filters.
import type { OverviewAnswer } from '../core/page/answers.ts';
import { changed, type Filters } from './address.ts';
import { Chart } from './chart.tsx';
import { causeClass, causeName, count } from './words.ts';

const RANGES = [
  { label: '1 h', hours: 1 },
  { label: '24 h', hours: 24 },
  { label: '7 d', hours: 168 },
  { label: 'all', hours: null },
] as const;

interface Props {
  readonly overview: OverviewAnswer;
  readonly filters: Filters;
  readonly onFilter: (filters: Filters) => void;
}

export function Timeline({ overview, filters, onFilter }: Props) {
  const bins = overview.series[0]?.counts.length ?? 0;
  const { fromMs, stepMs } = overview;
  const untilMs = fromMs + bins * stepMs;
  const show = (from: number, until: number) =>
    onFilter(changed(filters, { since: iso(from), until: until >= Date.now() ? '' : iso(until) }));
  const width = untilMs - fromMs;
  const recent = (hours: number | null) =>
    onFilter(changed(filters, { since: hours === null ? '' : `${hours} hours ago`, until: '' }));
  return (
    <section class="panel timeline" aria-labelledby="timeline">
      <header>
        <h2 id="timeline">Deaths over time</h2>
        <span class="muted">{count(overview.total, 'record')}</span>
        <div class="buttons">
          {RANGES.map(({ label, hours }) => (
            <button key={label} type="button" onClick={() => recent(hours)}>
              {label}
            </button>
          ))}
          <button type="button" onClick={() => show(fromMs + width / 4, untilMs - width / 4)} aria-label="Zoom in">
            +
          </button>
          <button type="button" onClick={() => show(fromMs - width / 2, untilMs + width / 2)} aria-label="Zoom out">
            −
          </button>
        </div>
      </header>
      {bins > 0 && <Chart overview={overview} onZoom={show} />}
      <ul class="legend" aria-label="Causes">
        {overview.series.map(({ cause, counts }) => (
          <li key={cause}>
            <button
              type="button"
              aria-pressed={filters.cause === cause}
              onClick={() => onFilter(changed(filters, { cause: filters.cause === cause ? '' : cause }))}
            >
              <span class={causeClass(cause)} />
              {causeName(cause)} <b>{counts.reduce((sum, n) => sum + n, 0).toLocaleString()}</b>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function iso(ms: number): string {
  return new Date(Math.round(ms)).toISOString();
}
