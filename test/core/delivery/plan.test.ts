// SPDX-License-Identifier: Apache-2.0
// The plan of requests: what is sent next, and when a record is rejected. Then whole deliveries against servers that fail in many ways: no
// record may be lost for a reason that is not its own.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Failure, grpcFailure, httpFailure, type Outcome, unreached } from '../../../src/core/delivery/outcome.ts';
import {
  BACKOFF_MAX_MS,
  BACKOFF_UNREACHED_MAX_MS,
  type Decision,
  decide,
  FIRST_ROUND_REQUESTS,
  GROW_AFTER_RECORDS,
  type Moment,
  newPlan,
  nextStep,
  type Plan,
  PROOF_ROUNDS,
  RETRIES_BEFORE_SPLIT,
  RETRY_AFTER_MAX_MS,
  ROUND_WAIT_FACTOR,
  requestedMs,
  SUSPECTS_MAX,
  type Suspect,
} from '../../../src/core/delivery/plan.ts';

const FIRST_MS = 100;
const NOW = 5_000;
const WALL = 1_000_000;
const at = (changes: Partial<Moment> = {}): Moment => ({
  nowMs: NOW,
  wallMs: WALL,
  jitter: 0.5,
  firstMs: FIRST_MS,
  ...changes,
});

const http = (status: number, retryAfter?: string): Failure => httpFailure({ status, retryAfter, text: '' }, 0);
const OK: Outcome = { kind: 'success', partial: null };
const partial = (rejected: number): Outcome => ({ kind: 'success', partial: { rejected, message: '' } });
const AMBIGUOUS = http(500);
const REJECTED = http(400);
const MISCONFIGURED = http(404);
const THROTTLED = http(429);
const BROKEN = unreached('ECONNRESET', 'reset');
const REFUSED = unreached('ECONNREFUSED', 'refused');

const plan = (changes: Partial<Plan<string>> = {}): Plan<string> => ({ ...newPlan<string>(), ...changes });
const suspect = (row: string, changes: Partial<Suspect<string>> = {}): Suspect<string> => ({
  row,
  failure: AMBIGUOUS,
  sinceMs: 1,
  attempts: 3,
  passed: 0,
  rounds: 0,
  stage: { kind: 'waiting' },
  dueMs: NOW,
  ...changes,
});
const UNCONFIRMED = { stage: { kind: 'unconfirmed' } } as const;
const inRound = (left: number) => ({ stage: { kind: 'round', left } }) as const;

describe('the next step', () => {
  const next = (from: Plan<string>, waiting = 0, closing = false) => nextStep(from, waiting, closing, NOW);
  const rowsOf = (step: ReturnType<typeof next>) => (step.kind === 'send' ? step.rows : step);
  const waits = suspect('x', { dueMs: NOW + 1 });

  it.each<[string, ReturnType<typeof next>, unknown]>([
    ['is idle if there is nothing', next(plan()), { kind: 'idle', untilMs: null }],
    ['takes a batch if the queue has records', next(plan(), 1), { kind: 'take' }],
    ['sends the first part before it takes a batch', next(plan({ parts: [['a', 'b'], ['c']] }), 1), ['a', 'b']],
    ['sends no suspect before a part', next(plan({ parts: [['a']], suspects: [suspect('x')] })), ['a']],
    ['sends no suspect before a batch', next(plan({ suspects: [suspect('x')] }), 1), { kind: 'take' }],
    ['sends a suspect that is due if there is nothing else', next(plan({ suspects: [waits, suspect('y')] })), ['y']],
    [
      'of these, sends the one with the fewest attempts',
      next(plan({ suspects: [suspect('x'), suspect('y', { attempts: 2 }), suspect('z', { attempts: 4 })] })),
      ['y'],
    ],
    ['sends no more records than were accepted', next(plan({ parts: [['a', 'b', 'c']], recordsMax: 2 })), ['a', 'b']],
    [
      'sends a suspect whose round is not confirmed, too, if there is nothing else',
      next(plan({ suspects: [suspect('x', UNCONFIRMED)] })),
      ['x'],
    ],
    [
      'is idle until the first suspect is due',
      next(plan({ suspects: [suspect('y', { dueMs: NOW + 9 }), waits] })),
      { kind: 'idle', untilMs: NOW + 1 },
    ],
    [
      'sends a suspect that is due directly after others were accepted',
      next(plan({ parts: [['a']], suspects: [waits, suspect('y')], justAccepted: true }), 1),
      ['y'],
    ],
    ['sends none that is not due then', next(plan({ parts: [['a']], suspects: [waits], justAccepted: true })), ['a']],
    [
      'begins no round before the last one is confirmed',
      next(plan({ parts: [['a']], suspects: [suspect('x', UNCONFIRMED)], justAccepted: true })),
      ['a'],
    ],
    [
      'goes on with a round, due or not',
      next(plan({ parts: [['a']], suspects: [suspect('x'), suspect('y', { ...inRound(1), dueMs: NOW + 1 })] }), 1),
      ['y'],
    ],
    [
      'while closing, is no suspect',
      next(plan({ suspects: [suspect('x', inRound(1))] }), 0, true),
      { kind: 'idle', untilMs: null },
    ],
    [
      'while closing, begins no round',
      next(plan({ parts: [['a']], suspects: [suspect('x')], justAccepted: true }), 0, true),
      ['a'],
    ],
  ])('%s', (_, step, expected) => {
    expect(rowsOf(step)).toEqual(expected);
  });

  it.each([0, 1, 2, 3])('begins round %i with one request more than the round before', (rounds) => {
    const step = next(plan({ suspects: [suspect('w', UNCONFIRMED), suspect('x', { rounds })], justAccepted: true }));
    expect(step).toMatchObject({
      rows: ['x'],
      plan: {
        justAccepted: false,
        suspects: [
          { row: 'w', ...UNCONFIRMED },
          { row: 'x', ...inRound(rounds + FIRST_ROUND_REQUESTS) },
        ],
      },
    });
  });

  it.each<[string, Plan<string>]>([
    ['a part', plan({ parts: [['a']], justAccepted: true })],
    ['a lone suspect', plan({ suspects: [suspect('x', UNCONFIRMED)], justAccepted: true })],
    ['a round', plan({ suspects: [suspect('x', inRound(2))], justAccepted: true })],
  ])('after %s, an earlier acceptance begins no round', (_, from) => {
    expect(next(from)).toMatchObject({ kind: 'send', plan: { ...from, justAccepted: false } });
  });
});

describe('an accepted part', () => {
  const accept = (from: Partial<Plan<string>>, outcome: Outcome = OK, rows = ['a', 'b']) =>
    decide(plan({ parts: [rows, ['c']], failures: 3, ...from }), rows, outcome, at({ firstMs: 1_000 }));

  it('is settled, and the failures before it are forgotten', () => {
    expect(accept({})).toEqual({
      plan: plan({ parts: [['c']], everAccepted: true, justAccepted: true, acceptedSince: 2 }),
      accepted: ['a', 'b'],
      rejected: [],
      waitMs: 0,
    });
  });

  it.each([0, 1, 2])('confirms round %i of a suspect; the wait before the next one doubles', (rounds) => {
    const [after] = accept({ suspects: [suspect('x', { ...UNCONFIRMED, rounds, passed: 7 })] }).plan.suspects;
    const waitMs = 1_000 * ROUND_WAIT_FACTOR * 2 ** rounds;
    expect(after).toEqual(
      suspect('x', { rounds: rounds + 1, passed: 8, dueMs: NOW + Math.min(waitMs, BACKOFF_MAX_MS) }),
    );
  });

  it('with the last round rejects the suspect, and no other', () => {
    const proven = suspect('x', { ...UNCONFIRMED, rounds: PROOF_ROUNDS - 1 });
    const other = suspect('y', { rounds: PROOF_ROUNDS - 1 });
    const { plan: after, rejected } = accept({ suspects: [other, proven] });
    expect(rejected).toMatchObject([{ row: 'x', failure: AMBIGUOUS, attempts: 3 }]);
    expect(after.suspects).toEqual([{ ...other, passed: 1 }]);
  });

  it.each<[string, Partial<Plan<string>>, Partial<Suspect<string>>, number]>([
    ['after an outage, makes a suspect without rounds due', {}, {}, NOW],
    ['after an outage, leaves the wait between rounds', {}, { rounds: 1 }, NOW + 9],
    ['without an outage, leaves the wait', { failures: 0 }, {}, NOW + 9],
  ])('%s', (_, from, one, dueMs) => {
    const { suspects } = accept({ ...from, suspects: [suspect('x', { dueMs: NOW + 9, ...one })] }).plan;
    expect(suspects).toEqual([suspect('x', { passed: 1, ...one, dueMs })]);
  });

  it.each([
    ['of which one record was accepted confirms', 1, 1, true],
    ['of which no record was accepted confirms nothing', 2, 0, false],
  ])('%s (partial success)', (_, count, rounds, justAccepted) => {
    const decision = accept({ suspects: [suspect('x', UNCONFIRMED)] }, partial(count));
    expect(decision).toMatchObject({ accepted: ['a', 'b'], rejected: [], waitMs: 0 });
    expect(decision.plan).toMatchObject({ parts: [['c']], justAccepted, suspects: [{ rounds }] });
  });
});

describe('the size of a request', () => {
  const rows = (count: number) => Array.from({ length: count }, (_, index) => `${index}`);
  const planAfter = (from: Partial<Plan<string>>, count: number, outcome: Outcome) =>
    decide(plan({ parts: [rows(count)], ...from }), rows(count), outcome, at()).plan;

  it('leaves the rest of a part for the next request', () => {
    const step = nextStep(plan({ parts: [['a', 'b', 'c'], ['d']], recordsMax: 2 }), 0, false, NOW);
    expect(step).toMatchObject({ rows: ['a', 'b'], plan: { parts: [['a', 'b'], ['c'], ['d']] } });
  });

  it.each<[string, Outcome]>([
    ['fails', AMBIGUOUS],
    ['is bad', REJECTED],
  ])('is limited to half of one that %s', (_, outcome) => {
    expect(planAfter({ acceptedSince: 9 }, 5, outcome)).toMatchObject({ recordsMax: 2, acceptedSince: 0 });
  });

  it.each<[string, Outcome]>([
    ['fails', AMBIGUOUS],
    ['is bad', REJECTED],
  ])('is not limited any more if a record alone %s', (_, outcome) => {
    expect(planAfter({ recordsMax: 1 }, 1, outcome).recordsMax).toBe(Number.POSITIVE_INFINITY);
  });

  it('doubles after enough records were accepted', () => {
    const accepted = (acceptedSince: number) => planAfter({ recordsMax: 4, acceptedSince }, 2, OK);
    const enough = GROW_AFTER_RECORDS - 2;
    expect(accepted(enough - 1)).toMatchObject({ recordsMax: 4, acceptedSince: enough + 1 });
    expect(accepted(enough)).toMatchObject({ recordsMax: 8, acceptedSince: 0 });
  });
});

describe('a request that is bad', () => {
  it('is halved at once, without a wait', () => {
    const from = plan({ parts: [['a', 'b', 'c'], ['d']], failures: 2 });
    expect(decide(from, ['a', 'b', 'c'], REJECTED, at())).toEqual({
      plan: { ...from, parts: [['a'], ['b', 'c'], ['d']], recordsMax: 1 },
      accepted: [],
      rejected: [],
      waitMs: 0,
    });
  });

  it('with one record rejects it', () => {
    const from = plan({ parts: [['a'], ['d']], suspects: [suspect('x', UNCONFIRMED)] });
    expect(decide(from, ['a'], REJECTED, at())).toEqual({
      plan: { ...from, parts: [['d']] },
      accepted: [],
      rejected: [{ row: 'a', failure: REJECTED, attempts: 1 }],
      waitMs: 0,
    });
  });

  it('with a suspect rejects it, and nothing else', () => {
    const from = plan({ parts: [['x2']], suspects: [suspect('w'), suspect('x')] });
    expect(decide(from, ['x'], REJECTED, at())).toMatchObject({
      plan: { parts: [['x2']], suspects: [suspect('w')] },
      rejected: [{ row: 'x', failure: REJECTED }],
    });
  });
});

describe('a part that fails', () => {
  const fail = (failure: Failure, from: Partial<Plan<string>> = {}, rows = ['a', 'b', 'c']): Decision<string> =>
    decide(plan({ parts: [rows, ['d']], ...from }), rows, failure, at());

  it.each<[string, Failure, number]>([
    ['HTTP 500', AMBIGUOUS, 0],
    ['HTTP 404', MISCONFIGURED, 0],
    ['gRPC UNKNOWN', grpcFailure({ code: 2, message: '', details: undefined }), 0],
    ['HTTP 429, for the fourth time', THROTTLED, RETRIES_BEFORE_SPLIT - 1],
    ['a connection that breaks, for the fourth time', BROKEN, RETRIES_BEFORE_SPLIT - 1],
  ])('is halved: %s', (_, failure, failures) => {
    const decision = fail(failure, { failures });
    expect(decision).toMatchObject({ accepted: [], rejected: [], plan: { failures: failures + 1, suspects: [] } });
    expect(decision.plan.parts).toEqual([['a'], ['b', 'c'], ['d']]);
  });

  it.each<[string, Failure, number]>([
    ['HTTP 429, for the third time', THROTTLED, RETRIES_BEFORE_SPLIT - 2],
    ['a connection that breaks, for the third time', BROKEN, RETRIES_BEFORE_SPLIT - 2],
    ['no connection, however often', REFUSED, 1_000],
  ])('is kept as it is: %s', (_, failure, failures) => {
    expect(fail(failure, { failures }).plan).toEqual(plan({ parts: [['a', 'b', 'c'], ['d']], failures: failures + 1 }));
    expect(fail(failure, { failures }, ['a']).plan.suspects).toEqual([]);
  });

  it('with one record makes it a suspect', () => {
    const { plan: after, waitMs } = fail(AMBIGUOUS, { suspects: [suspect('x')] }, ['a']);
    expect(after.parts).toEqual([['d']]);
    expect(after.suspects).toEqual([suspect('x'), suspect('a', { sinceMs: WALL, attempts: 1, dueMs: NOW + waitMs })]);
  });

  it('makes the round before it count for nothing, but not those of others', () => {
    const others = [suspect('y', { rounds: 2 }), suspect('z', { ...inRound(1), rounds: 2 })];
    const { suspects } = fail(AMBIGUOUS, { suspects: [suspect('x', { ...UNCONFIRMED, rounds: 3 }), ...others] }).plan;
    expect(suspects).toEqual([suspect('x', { rounds: 0 }), ...others]);
  });

  it('beyond the limit of suspects, is exchanged for the one that waits longest', () => {
    const suspects = Array.from({ length: SUSPECTS_MAX }, (_, index) => suspect(`${index}`));
    const below = fail(AMBIGUOUS, { suspects: suspects.slice(1) }, ['a']).plan;
    expect([below.suspects.length, below.parts]).toEqual([SUSPECTS_MAX, [['d']]]);
    const { plan: after } = fail(AMBIGUOUS, { suspects }, ['a']);
    expect([after.suspects.length, after.suspects[0]?.row, after.suspects.at(-1)?.row]).toEqual([
      SUSPECTS_MAX,
      '1',
      'a',
    ]);
    expect(after.parts).toEqual([['0'], ['d']]);
  });
});

describe('a suspect', () => {
  const answer = (outcome: Outcome, changes: Partial<Suspect<string>> = {}, from: Partial<Plan<string>> = {}) =>
    decide(
      plan({ parts: [['a']], suspects: [suspect('w', UNCONFIRMED), suspect('x', changes)], ...from }),
      ['x'],
      outcome,
      at(),
    );

  it('that is accepted shows that the target refuses for reasons of its own: no round counts, all are sent again', () => {
    const others = [
      suspect('u', { ...UNCONFIRMED, rounds: 3, dueMs: NOW + 9 }),
      suspect('v', { rounds: 3, passed: 1, dueMs: NOW + 9 }),
    ];
    expect(answer(OK, inRound(2), { suspects: [...others, suspect('x', inRound(2))] })).toEqual({
      plan: plan({
        parts: [['a']],
        suspects: [suspect('u', { passed: 1 }), suspect('v', { passed: 2 })],
        everAccepted: true,
        justAccepted: true,
        acceptedSince: 1,
      }),
      accepted: ['x'],
      rejected: [],
      waitMs: 0,
    });
  });

  it.each<[string, Failure, Suspect<string>['stage'], Suspect<string>['stage']]>([
    ['HTTP 500 is one request of its round', AMBIGUOUS, inRound(2).stage, inRound(1).stage],
    ['HTTP 404, too', MISCONFIGURED, inRound(2).stage, inRound(1).stage],
    ['after the last one, the round waits for its confirmation', AMBIGUOUS, inRound(1).stage, UNCONFIRMED.stage],
    ['HTTP 429 ends the round', THROTTLED, inRound(2).stage, { kind: 'waiting' }],
    ['so does a connection that breaks', BROKEN, inRound(1).stage, { kind: 'waiting' }],
    ['and HTTP 500 with Retry-After', http(500, '7'), inRound(1).stage, { kind: 'waiting' }],
    ['without a round, HTTP 500 changes nothing', AMBIGUOUS, { kind: 'waiting' }, { kind: 'waiting' }],
    ['nor does it for a round that is not confirmed', AMBIGUOUS, UNCONFIRMED.stage, UNCONFIRMED.stage],
    ['and neither does HTTP 429', THROTTLED, UNCONFIRMED.stage, UNCONFIRMED.stage],
  ])('that fails: %s', (_, failure, stage, expected) => {
    const decision = answer(failure, { stage, rounds: 2 });
    const dueMs = decision.plan.suspects[1]?.dueMs ?? 0;
    expect(decision.plan).toEqual(
      plan({
        parts: [['a']],
        suspects: [
          suspect('w', UNCONFIRMED),
          suspect('x', { stage: expected, rounds: 2, failure, attempts: 4, dueMs }),
        ],
      }),
    );
    expect([decision.accepted, decision.rejected]).toEqual([[], []]);
  });

  it('delays others only if the target asks for it', () => {
    expect(answer(AMBIGUOUS).waitMs).toBe(0);
    expect(answer(http(429, '7')).waitMs).toBe(7_000);
  });

  it('is sent again later and later', () => {
    const due = (attempts: number) => (answer(AMBIGUOUS, { attempts }).plan.suspects[1]?.dueMs ?? 0) - NOW;
    expect([due(1), due(2), due(3), due(60)]).toEqual([100, 200, 400, BACKOFF_MAX_MS / 2]);
  });

  it.each<[string, Partial<Plan<string>>, number[]]>([
    [
      'while the target fails on everything, shares its back-off with all others',
      { failures: 3 },
      [NOW + 400, NOW + 400],
    ],
    ['also if it failed more often than others', { failures: 1 }, [NOW + 400, NOW + 400]],
    ['while others are accepted, has a back-off of its own', { failures: 0 }, [NOW, NOW + 400]],
  ])('%s', (_, from, dueMs) => {
    const { suspects } = answer(AMBIGUOUS, { attempts: 3 }, from).plan;
    expect(suspects.map((one) => one.dueMs)).toEqual(dueMs);
  });

  it('does not shorten the wait of another', () => {
    const suspects = [suspect('w', { dueMs: NOW + 9_000 }), suspect('x')];
    expect(answer(AMBIGUOUS, {}, { failures: 1, suspects }).plan.suspects[0]?.dueMs).toBe(NOW + 9_000);
  });

  it('is not taken for a part that begins with the same record', () => {
    const from = plan({ parts: [['x', 'y']], suspects: [suspect('x')] });
    expect(decide(from, ['x', 'y'], OK, at()).plan.suspects).toHaveLength(1);
  });
});

describe('the wait after a failed part', () => {
  const wait = (failure: Failure, failures: number, changes: Partial<Moment> = {}, everAccepted = false): number =>
    decide(plan({ parts: [['a']], failures, everAccepted }), ['a'], failure, at(changes)).waitMs;

  it.each<[string, number, number]>([
    ['doubles, with full jitter: first', wait(AMBIGUOUS, 0), 50],
    ['second', wait(AMBIGUOUS, 1), 100],
    ['third', wait(THROTTLED, 2), 200],
    ['without jitter', wait(AMBIGUOUS, 2, { jitter: 0 }), 0],
    ['is limited', wait(AMBIGUOUS, 1_000, { jitter: 1 }), BACKOFF_MAX_MS],
    ['is limited for the smallest first wait, too', wait(AMBIGUOUS, 1_000, { jitter: 1, firstMs: 0.001 }), 1_048.576],
    ['is shorter if no server is reached', wait(REFUSED, 1_000, { jitter: 1 }), BACKOFF_UNREACHED_MAX_MS],
    ['is long with wrong settings: at least', wait(MISCONFIGURED, 0, { jitter: 0 }), BACKOFF_MAX_MS / 2],
    ['and at most', wait(MISCONFIGURED, 0, { jitter: 1 }), BACKOFF_MAX_MS],
    ['is as for others if the settings were right before', wait(MISCONFIGURED, 0, {}, true), 50],
    ['is at least Retry-After', wait(http(503, '7'), 0), 7_000],
    ['also of HTTP 500', wait(http(500, '7'), 0), 7_000],
    ['but no more than the limit', wait(http(503, '86400'), 0), RETRY_AFTER_MAX_MS],
  ])('%s', (_, waitMs, expected) => {
    expect(waitMs).toBe(expected);
  });

  it('that was requested is 0 if none was', () => {
    expect([requestedMs(MISCONFIGURED), requestedMs(AMBIGUOUS), requestedMs(http(503, '2'))]).toEqual([0, 0, 2_000]);
  });
});

/** How a whole delivery ended. */
interface Delivered {
  readonly accepted: ReadonlySet<number>;
  readonly rejected: ReadonlySet<number>;
  readonly waiting: ReadonlySet<number>;
  readonly requests: number;
  readonly firstRejectedMs: number | null;
}

/** Delivers `records` to `server`; one arrives every `everyMs`. Ends after `requests`, or when nothing is left. */
function deliver(
  records: number,
  everyMs: number,
  requestsMax: number,
  server: (rows: readonly number[], request: number) => Outcome,
  random: () => number = Math.random,
): Delivered {
  const [accepted, rejected] = [new Set<number>(), new Set<number>()];
  let [nowMs, taken, requests] = [0, 0, 0];
  let firstRejectedMs: number | null = null;
  let state = newPlan<number>();
  const arrived = (): number => Math.min(records, 1 + Math.floor(nowMs / everyMs));
  while (requests < requestsMax && accepted.size + rejected.size < records) {
    const step = nextStep(state, arrived() - taken, false, nowMs);
    if (step.kind === 'take') {
      const rows = Array.from({ length: Math.min(arrived() - taken, 16) }, (_, index) => taken + index);
      taken += rows.length;
      state = { ...state, parts: [rows] };
    } else if (step.kind === 'idle') {
      const arrivesMs = taken < records ? taken * everyMs : Number.POSITIVE_INFINITY;
      nowMs = Math.max(nowMs, Math.min(step.untilMs ?? Number.POSITIVE_INFINITY, arrivesMs));
    } else {
      requests += 1;
      nowMs += 1;
      const outcome = server(step.rows, requests);
      const decision = decide(step.plan, step.rows, outcome, { nowMs, wallMs: nowMs, jitter: random(), firstMs: 500 });
      state = decision.plan;
      nowMs += decision.waitMs;
      for (const row of decision.accepted) accepted.add(row);
      for (const { row } of decision.rejected) rejected.add(row);
      if (decision.rejected.length > 0) firstRejectedMs ??= nowMs;
    }
  }
  const waiting = new Set([...state.parts.flat(), ...state.suspects.map(({ row }) => row)]);
  return { accepted, rejected, waiting, requests, firstRejectedMs };
}

describe('a delivery', () => {
  const POISON = 20;
  const poisoned = (failure: Failure) => (rows: readonly number[]) => (rows.includes(POISON) ? failure : OK);

  it.each<[string, Failure]>([
    ['HTTP 500', AMBIGUOUS],
    ['HTTP 403', http(403)],
    ['HTTP 422', http(422)],
    ['RESOURCE_EXHAUSTED', grpcFailure({ code: 8, message: '', details: undefined })],
  ])(
    'to a server that fails on one record (%s) brings the others, and rejects it after at least half a minute',
    (_, failure) => {
      const { accepted, rejected, firstRejectedMs, requests } = deliver(300, 1_000, 10_000, poisoned(failure));
      expect([accepted.size, [...rejected]]).toEqual([299, [POISON]]);
      expect(firstRejectedMs).toBeGreaterThan(30_000);
      expect(requests).toBeLessThan(400);
    },
  );

  it.each<[string, Failure]>([
    ['HTTP 503', http(503)],
    ['HTTP 429', THROTTLED],
    ['a connection that breaks', BROKEN],
  ])('to a server that answers one record with %s brings the others, and keeps it for ever', (_, failure) => {
    const { accepted, rejected, waiting } = deliver(300, 1_000, 3_000, poisoned(failure));
    expect([accepted.size, rejected.size, [...waiting]]).toEqual([299, 0, [POISON]]);
  });

  it('to a server that fails on more than one record at a time sends few that fail', () => {
    const { accepted, requests } = deliver(2_000, 1, 5_000, (rows) => (rows.length > 1 ? AMBIGUOUS : OK));
    expect(accepted.size).toBe(2_000);
    expect(requests).toBeLessThan(2_050);
  });

  it('to a server that fails on everything for a day sends no more, the more records wait', () => {
    let [nowMs, requests] = [0, 0];
    let state = plan({ suspects: Array.from({ length: 600 }, (_, index) => suspect(`${index}`)), failures: 1 });
    for (; nowMs < 86_400_000; requests += 1) {
      const step = nextStep(state, 0, false, nowMs);
      if (step.kind === 'send') state = decide(step.plan, step.rows, AMBIGUOUS, at({ nowMs, firstMs: 500 })).plan;
      else if (step.kind === 'idle') nowMs = step.untilMs ?? nowMs;
    }
    expect(requests).toBeLessThan(20_000); // with a back-off for each: 2.7 million
    expect(new Set(state.suspects.map(({ attempts }) => attempts > 3))).toEqual(new Set([true]));
  });

  it('of one record that fails waits for ever: no other is accepted', () => {
    const { rejected, waiting, requests } = deliver(1, 1, 2_000, () => AMBIGUOUS);
    expect([rejected.size, [...waiting], requests]).toEqual([0, [0], 2_000]);
  });

  it('to a server that refuses some records for good (HTTP 400) rejects exactly these', () => {
    const bad = new Set([3, 17, 18, 90]);
    const { accepted, rejected } = deliver(100, 10, 1_000, (rows) =>
      rows.some((row) => bad.has(row)) ? REJECTED : OK,
    );
    expect([accepted.size, [...rejected].sort((a, b) => a - b)]).toEqual([96, [...bad]]);
  });

  it('brings the others past many records that the server fails on, and rejects only these', () => {
    const isBad = (row: number): boolean => row % 50 === 7;
    const { accepted, rejected } = deliver(2_000, 200, 100_000, (rows) => (rows.some(isBad) ? AMBIGUOUS : OK));
    expect([...rejected].every(isBad)).toBe(true);
    expect([...accepted].some(isBad)).toBe(false);
    expect(accepted.size).toBe(1_960);
  });

  it('loses nothing to a server that fails at any interval, in any pattern', () => {
    const patterns = fc.array(fc.boolean(), { minLength: 1, maxLength: 12 }).filter((ok) => ok.includes(true));
    fc.assert(
      fc.property(patterns, fc.integer({ min: 1, max: 2_000 }), (pattern, everyMs) => {
        const server = (_: unknown, request: number) => (pattern[request % pattern.length] ? OK : AMBIGUOUS);
        expect(deliver(120, everyMs, 20_000, server).accepted.size).toBe(120);
      }),
      { numRuns: 300 },
    );
  });

  it('loses nothing to a server that fails at random, at any rate', () => {
    fc.assert(
      fc.property(fc.integer(), fc.double({ min: 0, max: 0.9, noNaN: true }), (seed, rate) => {
        const random = lcg(seed);
        const server = () => (random() < rate ? AMBIGUOUS : OK);
        expect(deliver(60, 500, 50_000, server, random).rejected.size).toBe(0);
      }),
      { numRuns: 200, seed: 20_261_129 },
    );
  });

  it('loses nothing to an outage of any answer, and sends all when it is over', () => {
    const failures = [AMBIGUOUS, MISCONFIGURED, THROTTLED, BROKEN, REFUSED, http(422), http(503, '2')];
    fc.assert(
      fc.property(fc.constantFrom(...failures), fc.integer({ min: 1, max: 60 }), (failure, length) => {
        const server = (_: unknown, request: number) => (request > 5 && request <= 5 + length ? failure : OK);
        expect(deliver(200, 100, 20_000, server).accepted.size).toBe(200);
      }),
      { numRuns: 200 },
    );
  });
});

/** A reproducible random generator (Numerical Recipes). */
function lcg(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

it('a target that has never accepted a record, and refuses the first one for its settings, is not asked again soon', () => {
  const first = decide({ ...newPlan<string>(), parts: [['a']] }, ['a'], MISCONFIGURED, at());
  expect(first.waitMs).toBe(0.75 * BACKOFF_MAX_MS);
});
