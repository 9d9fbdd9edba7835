// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { parseDuration, parseTime } from '../../../src/core/history/when.ts';

/** Sunday, 29 November 2026, 15:30:10, in the time zone of this machine. */
const NOW = new Date(2026, 10, 29, 15, 30, 10).getTime();
const local = (...parts: [number, number, number, number?, number?, number?]): number => new Date(...parts).getTime();
const HOUR = 3_600_000;

describe('times as people write them', () => {
  it.each<[string, number]>([
    ['now', NOW],
    ['1 hour ago', NOW - HOUR],
    ['an hour ago', NOW - HOUR],
    ['90 minutes ago', NOW - 1.5 * HOUR],
    ['1 day 2 hours ago', NOW - 26 * HOUR],
    ['2 days', NOW - 48 * HOUR],
    ['24h', NOW - 24 * HOUR],
    ['-24h', NOW - 24 * HOUR],
    ['1h30min', NOW - 1.5 * HOUR],
    ['1.5h', NOW - 1.5 * HOUR],
    ['7d', NOW - 168 * HOUR],
    ['1 week', NOW - 168 * HOUR],
    ['today', local(2026, 10, 29)],
    ['Yesterday', local(2026, 10, 28)],
    ['yesterday 14:00', local(2026, 10, 28, 14)],
    ['yesterday at 14:00', local(2026, 10, 28, 14)],
    ['monday', local(2026, 10, 23)],
    ['last Sunday', local(2026, 10, 22)],
    ['fri 8:15', local(2026, 10, 27, 8, 15)],
    ['03:00', local(2026, 10, 29, 3)],
    ['2026-11-29', local(2026, 10, 29)],
    ['2026-11-29 03:00', local(2026, 10, 29, 3)],
    ['2026-11-29 03:00:21', local(2026, 10, 29, 3, 0, 21)],
    ['2026-11-29T03:00', local(2026, 10, 29, 3)],
    ['2026-11-29T03:00:00Z', Date.UTC(2026, 10, 29, 3)],
    ['2026-11-29T03:00:00.5+01:00', Date.UTC(2026, 10, 29, 2, 0, 0, 500)],
    ['@1796000000', 1_796_000_000_000],
  ])('%s', (text, expected) => {
    expect(parseTime(text, NOW)).toBe(expected);
  });

  it.each([
    '',
    'some day',
    'tomorrow',
    '5',
    '2026-02-31',
    '2026-13-01',
    '25:00',
    '1 fortnight ago',
    '3:7',
    'NaN',
    '@x',
    'the 5th',
  ])('not %j', (text) => {
    expect(parseTime(text, NOW)).toBeNull();
  });
});

describe('durations', () => {
  it.each<[string, number | null]>([
    ['1h', HOUR],
    ['30 min', HOUR / 2],
    ['2d', 48 * HOUR],
    ['1 hour and 30 min', 1.5 * HOUR],
    ['soon', null],
    ['1h later', null],
    ['', null],
  ])('%j', (text, expected) => {
    expect(parseDuration(text)).toBe(expected);
  });
});
