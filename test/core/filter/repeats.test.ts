// SPDX-License-Identifier: Apache-2.0
// Which rules decide alike for all terminations with one key, how many keys are known, and in which minute counted terminations are.
import { describe, expect, it } from 'vitest';
import { CrashLoops, LATE_MS, WINDOW_MS } from '../../../src/core/filter/aggregate.ts';
import { rulesOf } from '../../../src/core/filter/built-in.ts';
import { filteredUntil, KEYS_MAX, type Meaning, Repeats } from '../../../src/core/filter/repeats.ts';
import { parseRules, type RuleText, type Subject } from '../../../src/core/filter/rules.ts';
import { death, END } from '../../support/deadly.ts';

const SUBJECT: Subject = {
  executable: ['/usr/bin/grep', 'grep'],
  cgroup: '/user.slice/user-1000.slice/session-3.scope',
  container: null,
  unit: 'session-3.scope',
  service: 'unknown_service:grep',
  user: 'alice',
  exitCode: 1,
  signo: 0,
  cause: 'exit',
  uptimeSeconds: 0.01,
  arguments: 'grep -q x y',
};
const KEY = { key: 'f00d', file: true, claims: true };

function isArmed(own: readonly RuleText[], subject: Partial<Subject> = {}, key: Partial<typeof KEY> = {}): boolean {
  const parsed = parseRules({ rules: own });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));
  const until = filteredUntil(
    death({ repeat: { ...KEY, ...key } }),
    { ...SUBJECT, ...subject },
    rulesOf(parsed.rules, 'default'),
  );
  if (until !== null) expect(until).toBe(END + 60_000_000_000n);
  return until !== null;
}
const rule = (conditions: Omit<RuleText, 'name' | 'action'>, action: RuleText['action'] = 'count'): RuleText => ({
  name: JSON.stringify(conditions),
  action,
  ...conditions,
});
const noise = rule({ executable: 'grep', exit_code: 1 }, 'ignore');

describe('a filtered termination arms its key', () => {
  it.each([
    ['by the built-in rule for short-lived unnamed processes', [], {}, {}, true],
    [
      'if it ended by SIGPIPE, since a cause depends on more than the key',
      [],
      { exitCode: null, signo: 13, cause: 'sigpipe' as never },
      {},
      false,
    ],
    ['if it ran for long: then it is reported', [], { uptimeSeconds: 11 }, {}, false],
    ['if the names of its service could not be read', [], { exitCode: 2 }, { claims: false }, false],
    ['if it is the answer of a command, whatever its service', [], {}, { claims: false }, true],
    ['by a rule on executable and exit code', [noise], {}, {}, true],
    ['if its executable is known by its comm only', [noise], {}, { file: false }, false],
    ['by a rule on the arguments', [rule({ arguments: '*x*' })], {}, {}, false],
    [
      'if a rule before reads the arguments and may match another',
      [rule({ arguments: '*z*' }, 'report'), noise],
      {},
      {},
      false,
    ],
    [
      'if a rule before reads the arguments, but of another executable',
      [rule({ executable: 'sshd', arguments: '*' }, 'report'), noise],
      {},
      {},
      true,
    ],
    ['by a rule on unit, user and cgroup', [rule({ unit: '*.scope', user: 'alice', cgroup: '*' })], {}, {}, true],
    [
      'if a rule before reads a shorter time than the key has',
      [rule({ uptime_above: 5 }, 'report'), noise],
      {},
      {},
      false,
    ],
    ['if a rule before reads the time that the key has', [rule({ uptime_above: 10 }, 'report'), noise], {}, {}, true],
    ['if a rule before reads a longer time', [rule({ uptime_above: 3600 }, 'report'), noise], {}, {}, true],
    ['if it ran for long, by a rule on that', [rule({ uptime_above: 10 })], { uptimeSeconds: 11 }, {}, true],
    [
      'if it ran for long, and the rule asks for longer',
      [rule({ uptime_above: 60 })],
      { uptimeSeconds: 61 },
      {},
      false,
    ],
    ['if it did not run for long, by a rule on that', [rule({ uptime_below: 60 })], {}, {}, true],
    ['by a rule that reports it', [rule({ exit_code: 1 }, 'report')], {}, {}, false],
  ] as const)('%s: %j %j %j: %s', (_, own, subject, key, expected) => {
    expect(isArmed(own as readonly RuleText[], subject, key)).toBe(expected);
  });

  it('only if its loader sent a key', () => {
    expect(filteredUntil(death({ repeat: null }), SUBJECT, rulesOf([], 'default'))).toBeNull();
  });
});

describe('the keys that are known', () => {
  const ORIGIN_KEYS_MAX = 3;
  const connected = (originKeysMax = ORIGIN_KEYS_MAX): Repeats => {
    const repeats = new Repeats();
    repeats.greet({ origin_keys_max: originKeysMax });
    return repeats;
  };
  const meaning: Meaning = {
    as: 'aggregated',
    key: 'checkout',
    origin: '1000 ',
    executable: null,
    cause: 'exit',
    errorType: '3',
    sender: null,
    severity: { number: 17, text: 'ERROR' },
    resource: {},
    metric: true,
  };
  const arm = (repeats: Repeats, key: string, uid: number, untilNs = END + 1n) =>
    repeats.arm(death({ repeat: { ...KEY, key }, origin: { cgroup: 1n, uid } }), 'boot', meaning, untilNs);
  const armed = (repeats: Repeats) => repeats.requests().map(({ key }) => key);

  it('leave room for other origins, however many one has', () => {
    const repeats = connected();
    for (let i = 0; i < KEYS_MAX; i += 1) {
      arm(repeats, `mallory ${i}`, 1);
      repeats.count(total(`mallory ${i}`, BigInt(i)), 'boot');
    }
    expect(repeats.requests()).toHaveLength(ORIGIN_KEYS_MAX);
    arm(repeats, 'alice', 2);
    expect(armed(repeats)).toEqual(['alice']);
  });

  it('make room if the loader has counted nothing under them', () => {
    const repeats = connected();
    for (let i = 0; i <= ORIGIN_KEYS_MAX; i += 1) arm(repeats, String(i), 1);
    expect(armed(repeats)).toHaveLength(ORIGIN_KEYS_MAX + 1);
    expect(repeats.stored()).toHaveLength(ORIGIN_KEYS_MAX);
  });

  it('are none if the loader arms none', () => {
    const repeats = connected(0);
    arm(repeats, 'one', 1);
    expect([armed(repeats), repeats.stored()]).toEqual([[], []]);
  });

  it('are the same objects until they change', () => {
    const repeats = connected();
    arm(repeats, 'one', 1);
    arm(repeats, 'other', 1);
    const before = repeats.stored();
    repeats.count(total('one', 7n), 'boot');
    const after = repeats.stored();
    expect(after.map((stored, index) => stored === before[index])).toEqual([false, true]);
    expect(after[0]).toMatchObject({ key: 'one', id: '7', total: '1' });
  });

  it('are not armed for a time that was over before the process terminated', () => {
    const repeats = connected();
    arm(repeats, 'late', 1, END);
    expect([armed(repeats), repeats.stored()]).toEqual([[], []]);
  });

  const total = (key: string, id: bigint) =>
    ({ type: 'repeat', id, key, as: 'aggregated', total: 1n, first_ns: 1n, last_ns: 1n, clock_offset_ns: 0n }) as const;
});

describe('a minute of which some were counted', () => {
  const one = (endedNs: bigint) => ({
    key: 'checkout',
    origin: '1000 ',
    endedNs,
    executable: null,
    cause: 'exit' as const,
    sender: null,
    severity: { number: 17, text: 'ERROR' },
    command: () => null,
    cgroup: null,
    resource: {},
  });
  const SECOND = 1_000_000_000n;

  it('waits for the last total, and the next minute has records of its own meanwhile', () => {
    const loops = new CrashLoops(1);
    expect(loops.add(one(0n), 0)).toBe(false);
    expect(loops.add(one(SECOND), 1_000)).toBe(true);
    expect(loops.countUntil('checkout')).toBe(60n * SECOND);
    expect(loops.add(one(60n * SECOND), WINDOW_MS)).toBe(false);
    expect(loops.due(WINDOW_MS + LATE_MS - 1)).toEqual([]);
    loops.addCounted(one(59n * SECOND), 500, 2n * SECOND, WINDOW_MS + 1_000);
    const open = loops.open();
    expect(loops.due(WINDOW_MS + LATE_MS)).toMatchObject([
      { count: 501, startNs: 0n, firstNs: SECOND, lastNs: 59n * SECOND },
    ]);
    expect(open).toMatchObject([{ count: 501 }]);
    expect(loops.idle).toBe(false);
  });

  it('is the same object in stored form until it changes', () => {
    const loops = new CrashLoops(0);
    loops.add(one(0n), 0);
    loops.add({ ...one(0n), key: 'cart' }, 0);
    const before = loops.open();
    loops.add({ ...one(SECOND), key: 'cart' }, 1);
    const after = loops.open();
    expect(after.map((stored, index) => stored === before[index])).toEqual([true, false]);
    expect(after.map(({ count }) => count)).toEqual([1, 2]);
  });

  it('that is closed already opens another one for what arrives later', () => {
    const loops = new CrashLoops(1);
    loops.addCounted(one(59n * SECOND), 500, 2n * SECOND, 0);
    expect(loops.add(one(60n * SECOND), 1)).toBe(true);
    expect(loops.due(WINDOW_MS)).toMatchObject([{ count: 501, firstNs: 2n * SECOND }]);
  });
});
