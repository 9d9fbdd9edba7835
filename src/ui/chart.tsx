// SPDX-License-Identifier: Apache-2.0
// Deaths over time by cause, as stacked bars. Dragging over a range zooms in; so do the keys and buttons.
import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { OverviewAnswer, Series } from '../core/page/answers.ts';
import { CAUSES, causeName, count, exactly } from './words.ts';

const HEIGHT = 190;
/** A range that a person dragged over, and not a click. */
const DRAG_PX_MIN = 6;

interface Props {
  readonly overview: OverviewAnswer;
  readonly onZoom: (fromMs: number, untilMs: number) => void;
}

export function Chart({ overview, onZoom }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const zoom = useRef(onZoom);
  zoom.current = onZoom;
  const range = useRef(rangeOf(overview));
  range.current = rangeOf(overview);
  const dark = useDark();
  const series = sorted(overview.series);
  const key = `${series.map(({ cause }) => cause)}/${dark}`;
  useEffect(() => {
    const target = place.current;
    if (target === null) return;
    const drawn = new uPlot(optionsOf(series, target, range, zoom), stacked(overview, series), target);
    plot.current = drawn;
    const sizes = new ResizeObserver(() => drawn.setSize({ width: target.clientWidth, height: HEIGHT }));
    sizes.observe(target);
    return () => {
      sizes.disconnect();
      drawn.destroy();
    };
  }, [key]);
  useEffect(() => plot.current?.setData(stacked(overview, series)), [overview, series]);
  return <div ref={place} class="plot" role="img" aria-label={inWords(overview)} />;
}

function sorted(series: readonly Series[]): readonly Series[] {
  const place = (cause: string) => (CAUSES as readonly string[]).indexOf(cause);
  return [...series].sort((a, b) => place(a.cause) - place(b.cause));
}

/** The tallest sum first: the next ones are drawn over it. */
function stacked({ fromMs, stepMs, series: [first] }: OverviewAnswer, series: readonly Series[]): uPlot.AlignedData {
  const bins = first?.counts.length ?? 0;
  const times = Array.from({ length: bins }, (_, bin) => (fromMs + (bin + 0.5) * stepMs) / 1000);
  const sums = series.map((_, from) =>
    times.map((_, bin) => series.slice(from).reduce((sum, { counts }) => sum + (counts[bin] ?? 0), 0)),
  );
  return [times, ...sums];
}

function optionsOf(
  series: readonly Series[],
  target: HTMLElement,
  range: { readonly current: [number, number] },
  zoom: { readonly current: Props['onZoom'] },
): uPlot.Options {
  const colour = colours(target);
  const axis = { stroke: colour('--muted'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false } };
  const bars = uPlot.paths.bars?.({ size: [0.85, 40], align: 0 });
  return {
    width: target.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false }, y: false },
    scales: { x: { time: true, range: () => range.current }, y: { range: (_, __, max) => [0, Math.max(max, 1)] } },
    axes: [
      { ...axis, values: (_, times, __, ___, step) => times.map((time) => axisTime(time, step)) },
      { ...axis, size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000] },
    ],
    series: [
      {},
      ...series.map(({ cause }) => ({
        fill: colour(`--cause-${cause.replaceAll('_', '-')}`),
        stroke: 'transparent',
        width: 0,
        points: { show: false },
        ...(bars === undefined ? {} : { paths: bars }),
      })),
    ],
    hooks: {
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          if (width < DRAG_PX_MIN) return;
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          zoom.current(plot.posToVal(left, 'x') * 1000, plot.posToVal(left + width, 'x') * 1000);
        },
      ],
    },
  };
}

/** A canvas knows no variables of the style sheet, and no light-dark(): the style of an element has the colour itself. */
function colours(near: HTMLElement): (name: string) => string {
  return (name) => {
    const probe = near.appendChild(document.createElement('span'));
    probe.style.color = `var(${name}, var(--cause-unknown))`;
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
  };
}

function rangeOf({ fromMs, stepMs, series: [first] }: OverviewAnswer): [number, number] {
  return [fromMs / 1000, (fromMs + stepMs * (first?.counts.length ?? 1)) / 1000];
}

const DAY = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const MINUTE = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const SECOND = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const DAY_S = 86_400;

/** `step`: between two labels, in seconds. */
function axisTime(time: number, step: number): string {
  const midnight = new Date(time * 1000).getHours() === 0 && step >= 3600;
  return (step >= DAY_S || midnight ? DAY : step >= 60 ? MINUTE : SECOND).format(time * 1000);
}

function inWords({ total, series, fromMs, stepMs }: OverviewAnswer): string {
  const bins = series[0]?.counts.length ?? 0;
  const sums = series.map(({ cause, counts }) => `${causeName(cause)} ${counts.reduce((sum, n) => sum + n, 0)}`);
  return `${count(total, 'record')} from ${exactly(fromMs)} to ${exactly(fromMs + bins * stepMs)}: ${sums.join(', ')}`;
}

const DARK = '(prefers-color-scheme: dark)';

function useDark(): boolean {
  const [dark, setDark] = useState(() => matchMedia(DARK).matches);
  useEffect(() => {
    const media = matchMedia(DARK);
    const listen = () => setDark(media.matches);
    media.addEventListener('change', listen);
    return () => media.removeEventListener('change', listen);
  }, []);
  return dark;
}
