// SPDX-License-Identifier: Apache-2.0
// The scoring: output is right only if it is correct, and ambiguous output gets the better reading.
import { describe, expect, it } from 'vitest';
import { expected, record, truth } from '../sample.ts';
import type { Death } from '../truth.ts';
import { endingOf, type Observation, observationsOf } from './observed.ts';
import { weigh } from './weigh.ts';

const end = (ending: { code: number } | { signal: number }, pid = truth.pid): Observation => ({
  kind: 'end',
  pid,
  ending,
});
const sent = (sender: number, pid = truth.pid, signal = 9): Observation => ({
  kind: 'signal',
  pid,
  signal,
  sender: { pid: sender, comm: 'x' },
});
const killer = truth.killer?.pid ?? Number.NaN;
const exited: Death = { ...truth, signal: null, exit_code: 3, killer: null };
const kernel = { ...expected, senderKind: 'kernel' } as const;
const self = { ...expected, senderKind: 'self' } as const;

describe('the status', () => {
  it.each([
    ['right', truth, [end({ signal: 9 })]],
    ['right', exited, [end({ code: 3 })]],
    ['right', truth, [end({ signal: 9 }), end({ signal: 9 }, 43)]],
    ['missed', truth, []],
    ['missed', truth, [end({ signal: 9 }, 43)]],
    ['wrong', truth, [end({ code: 9 })]],
    ['wrong', exited, [end({ signal: 3 })]],
    ['wrong', exited, [end({ code: 0 })]],
    ['doubled', truth, [end({ signal: 9 }), end({ signal: 9 })]],
    ['invented', truth, [end({ code: 0 }), end({ signal: 9 })]],
    ['missed', truth, [end({ signal: 9 }), { kind: 'thread', pid: truth.pid }]],
  ] as const)('is %s', (status, death, observed) => {
    expect(weigh([death], 0, expected, observed, ['status'])).toMatchObject({ status, sender: null });
  });

  it('of two terminations with one pid is assigned in order, and the rest goes to the last', () => {
    const truths = [exited, { ...exited, exit_code: 4 }];
    const observed = [end({ code: 3 }), end({ code: 4 }), end({ code: 5 })];
    expect(weigh(truths, 0, expected, observed, ['status']).status).toBe('right');
    expect(weigh(truths, 1, expected, observed, ['status']).endings).toEqual([{ code: 4 }, { code: 5 }]);
    expect(weigh(truths, 1, expected, observed.slice(0, 1), ['status']).status).toBe('missed');
  });

  it('is not scored if the termination needs no report or the tool shows no status', () => {
    expect(weigh([exited], 0, undefined, [], ['status', 'sender'])).toMatchObject({ status: null, sender: null });
    expect(weigh([truth], 0, expected, [], ['sender']).status).toBeNull();
  });
});

describe('the sender', () => {
  it.each([
    ['right', expected, [sent(killer)]],
    ['right', expected, [sent(51), sent(killer)]],
    ['right', expected, [sent(51, truth.pid, 15), sent(killer)]],
    ['right', expected, [sent(killer, -truth.pid)]],
    ['wrong', expected, [sent(51)]],
    ['silent', expected, []],
    ['silent', expected, [sent(killer, 43)]],
    ['silent', expected, [sent(0)]],
    ['right', self, [sent(truth.pid)]],
    ['right', self, [sent(truth.pid, 43)]],
    ['wrong', self, [sent(51)]],
    ['blamed', kernel, [sent(51)]],
    ['none', kernel, [sent(51), sent(truth.pid)]],
    ['none', kernel, []],
    ['none', kernel, [sent(0)]],
    ['none', kernel, [sent(truth.pid)]],
    ['none', kernel, [{ kind: 'signal', pid: truth.pid, signal: 9, sender: null }]],
  ] as const)('is %s', (sender, expectation, observed) => {
    expect(weigh([truth], 0, expectation, observed, ['sender']).sender).toBe(sender);
  });

  it('of an exit is the sender of the signal handled before it, if there was one', () => {
    const asked = { ...expected, handledSignal: 15 };
    const byKiller = { ...exited, killer: truth.killer };
    expect(weigh([byKiller], 0, asked, [sent(killer, truth.pid, 15)], ['sender']).sender).toBe('right');
    expect(weigh([exited], 0, { cause: 'exit', errorType: '3' }, [sent(51)], ['sender']).sender).toBeNull();
  });
});

describe('observations of a record', () => {
  it('from a record of whodunit are scored like those of other tools', () => {
    expect(weigh([truth], 0, expected, observationsOf(record), ['status', 'sender'])).toMatchObject({
      status: 'right',
      sender: 'right',
    });
  });

  it.each([
    [0x0300, { code: 3 }],
    [0x0f, { signal: 15 }],
    [0x8b, { signal: 11 }],
  ])('decode the exit_code %i of the kernel', (raw, ending) => {
    expect(endingOf(raw)).toEqual(ending);
  });
});
