// SPDX-License-Identifier: Apache-2.0
// Points in time and durations as people write them, in the time zone of this machine. Pure: the present is an argument.

const UNITS_MS: readonly (readonly [names: string, ms: number])[] = [
  ['s sec secs second seconds', 1_000],
  ['m min mins minute minutes', 60_000],
  ['h hr hrs hour hours', 3_600_000],
  ['d day days', 86_400_000],
  ['w week weeks', 7 * 86_400_000],
];
const UNIT_MS = new Map(UNITS_MS.flatMap(([names, ms]) => names.split(' ').map((name) => [name, ms] as const)));
const DAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];
const WEEK_DAYS = 7;

/** What is allowed, for messages. */
export const TIMES =
  '"1 hour ago", 24h, today, yesterday, "yesterday 14:00", monday, 03:00, 2026-11-29, "2026-11-29 03:00", or @ and seconds since 1970';
export const DURATIONS = '30min, 1h, 2d, or "1 hour 30 min"';

/** `1h`, `2 days`, `1 hour 30 min`, in ms. null: it is none. */
export function parseDuration(text: string): number | null {
  const parts = [
    ...text
      .trim()
      .toLowerCase()
      .matchAll(/(\d{1,6}(?:\.\d{1,3})?|an?) ?([a-z]+)(?:,? (?:and )?|$|(?=\d))/gy),
  ];
  const read = parts.reduce((length, [part]) => length + part.length, 0);
  if (parts.length === 0 || read !== text.trim().length) return null;
  let ms = 0;
  for (const [, count = '', unit = ''] of parts) {
    const unitMs = UNIT_MS.get(unit);
    if (unitMs === undefined) return null;
    ms += (count.startsWith('a') ? 1 : Number(count)) * unitMs;
  }
  return ms;
}

/** ms since 1970. null: it is no time. */
export function parseTime(text: string, nowMs: number): number | null {
  const words = text.trim().toLowerCase().replaceAll(/\s+/g, ' ');
  if (words === 'now') return nowMs;
  const ago = parseDuration(words.replace(/ ago$/, '').replace(/^-/, ''));
  if (ago !== null) return nowMs - ago;
  const epoch = /^@(\d{1,11}(?:\.\d{1,9})?)$/.exec(words);
  if (epoch !== null) return Number(epoch[1]) * 1000;
  const iso = /^\d{4}-\d{2}-\d{2}t\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:z|[+-]\d{2}:?\d{2})$/.test(words);
  if (iso) return valid(Date.parse(text.trim()));
  const [, date = '', clock] = /^(.*?)(?:(?:^|[ t])(?:at )?(\d{1,2}:\d{2}(?::\d{2})?))?$/.exec(words) ?? [];
  const day = date === '' && clock !== undefined ? midnight(nowMs, 0) : dayOf(date, nowMs);
  if (day === null) return null;
  return clock === undefined ? day.getTime() : atClock(day, clock);
}

/** The beginning of a day. */
function dayOf(words: string, nowMs: number): Date | null {
  if (words === 'today') return midnight(nowMs, 0);
  if (words === 'yesterday') return midnight(nowMs, 1);
  const day = DAYS.findIndex((name) => name === words.replace(/^last /, '') || name.slice(0, 3) === words);
  if (day >= 0) return midnight(nowMs, (new Date(nowMs).getDay() - day + WEEK_DAYS) % WEEK_DAYS || WEEK_DAYS);
  const [, year, month, date] = /^(\d{4})-(\d{1,2})-(\d{1,2})$/.exec(words) ?? [];
  if (year === undefined) return null;
  const found = new Date(Number(year), Number(month) - 1, Number(date));
  // 31 February is another day.
  return found.getMonth() === Number(month) - 1 && found.getDate() === Number(date) ? found : null;
}

function midnight(nowMs: number, daysBefore: number): Date {
  const now = new Date(nowMs);
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() - daysBefore);
}

function atClock(day: Date, clock: string): number | null {
  const [hours = 0, minutes = 0, seconds = 0] = clock.split(':').map(Number);
  if (hours > 23 || minutes > 59 || seconds > 59) return null;
  return new Date(day.getFullYear(), day.getMonth(), day.getDate(), hours, minutes, seconds).getTime();
}

function valid(ms: number): number | null {
  return Number.isNaN(ms) ? null : ms;
}
