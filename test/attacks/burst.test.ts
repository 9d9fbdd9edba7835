// SPDX-License-Identifier: Apache-2.0
// Many crashes at once: every record arrives, nearly all with a stack, and the others say why they have none. Crashes of one user do not take
// the stacks of another's.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { LogRecord } from '../../scripts/stack/otlp-file.ts';
import { LOAD, type Program, startProgram, until } from '../../scripts/stack/program.ts';
import { watched } from '../support/watched.ts';
import { MALLORY, startAs } from './attacker.ts';

const WITHIN_MS = 120_000;
const CRASHES = 300;
const WITH_STACK_MIN = 0.95;
const VICTIMS = 20;
const VICTIMS_PER_SECOND = 10;
const ALL_AT_ONCE = 0;
/** How many places the load has. */
const EVERYWHERE = 4096;
const FLOOD_PER_SECOND = 1500;
const FLOOD_SECONDS = 300;
const FLOOD_HEAD_START_MS = 1_000;
const WITH_STACK = ['unwound', 'repeated'];
const WITHOUT_STACK = ['no_slot', 'busy', 'timeout'];

const both = watched({ WHODUNIT_REPORT: 'all' });
const floods: Program[] = [];
afterEach(async () => {
  for (const flood of floods.splice(0)) await flood.stop();
});

const parentOf = ({ resource }: LogRecord): unknown => resource['process.parent_pid'];
const stateOf = ({ attributes }: LogRecord): string => String(attributes['whodunit.crash.stack']);

/** Lets children of the load crash, and returns their records. */
async function crash(perSecond: number, count: number, places: number): Promise<LogRecord[]> {
  const load = startProgram(LOAD, ['crash', String(perSecond), String(count), String(places)]);
  const ended = await load.ended;
  expect(ended, load.output()).toEqual({ code: 0, signal: null });
  const arrived = () => both.collector.logs().filter((record) => parentOf(record) === load.pid);
  await until(
    'all records',
    WITHIN_MS,
    () => arrived().length >= count || undefined,
    () => `${arrived().length} of ${count} arrived`,
  );
  expect(arrived()).toHaveLength(count);
  return arrived();
}

/** Records by what became of the stack. */
function states(records: readonly LogRecord[]): Record<string, number> {
  const counted: Record<string, number> = {};
  for (const record of records) counted[stateOf(record)] = (counted[stateOf(record)] ?? 0) + 1;
  return counted;
}

const withStack = (records: readonly LogRecord[]): number =>
  records.filter((record) => WITH_STACK.includes(stateOf(record))).length;

describe(`${CRASHES} crashes`, () => {
  it('in a second, each at another place, are reported with their stacks', { timeout: 2 * WITHIN_MS }, async () => {
    const records = await crash(CRASHES, CRASHES, CRASHES);
    expect(withStack(records), JSON.stringify(states(records))).toBeGreaterThanOrEqual(WITH_STACK_MIN * CRASHES);
    for (const record of records.filter((one) => WITH_STACK.includes(stateOf(one))))
      expect(record.attributes['exception.stacktrace']).toMatch(/^#0 crash_at\+/);
  });

  it('in a second, at one place, have one fingerprint', { timeout: 2 * WITHIN_MS }, async () => {
    const records = await crash(CRASHES, CRASHES, 1);
    expect(withStack(records), JSON.stringify(states(records))).toBeGreaterThanOrEqual(WITH_STACK_MIN * CRASHES);
    expect(states(records).unwound ?? 0).toBeLessThan(CRASHES / 10);
    const fingerprints = records.map(({ attributes }) => attributes['whodunit.crash.fingerprint']);
    expect(new Set(fingerprints.filter((one) => one !== undefined)).size).toBe(1);
  });

  it('at once are reported, and those without a stack say why', { timeout: 2 * WITHIN_MS }, async () => {
    const records = await crash(ALL_AT_ONCE, CRASHES, CRASHES);
    for (const record of records) expect([...WITH_STACK, ...WITHOUT_STACK]).toContain(stateOf(record));
  });
});

it("a user's crashes leave other users' crashes their stacks", { timeout: 3 * WITHIN_MS }, async () => {
  const args = ['crash', FLOOD_PER_SECOND, FLOOD_SECONDS * FLOOD_PER_SECOND, EVERYWHERE].map(String);
  floods.push(startAs(MALLORY, LOAD, args), startAs(MALLORY, LOAD, args));
  await sleep(FLOOD_HEAD_START_MS);
  const records = await crash(VICTIMS_PER_SECOND, VICTIMS, VICTIMS);
  for (const flood of floods) expect(flood.alive(), flood.output()).toBe(true);
  expect(withStack(records), JSON.stringify(states(records))).toBe(VICTIMS);
});
