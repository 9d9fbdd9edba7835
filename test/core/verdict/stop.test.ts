// SPDX-License-Identifier: Apache-2.0
// What a stop (SIGSTOP and its kind) says about the end of a process: in the sentence, and in the evidence.
import { describe, expect, it } from 'vitest';
import { classify } from '../../../src/core/verdict/classify.ts';
import type { Stop as Stopped } from '../../../src/core/verdict/verdict.ts';
import type { Death, Signal, Stop } from '../../../src/core/wire/event.ts';
import { recordOf } from '../../support/circumstances.ts';
import {
  actor,
  END,
  exitedWith,
  itself,
  kernelSignal,
  killedBy,
  noinfoSignal,
  OFFSET,
  signal,
} from '../../support/deadly.ts';

const SECOND = 1_000_000_000n;
const sh = actor({ pid: 77, comm: 'sh', exe: '/usr/bin/dash', args: ['sh'], ancestors: [] });
const stop = (changes: Partial<Stop> = {}): Stop => ({
  since_ns: END - 2n * SECOND,
  continued_ns: null,
  signal: signal(19, { sender: sh, committed: false, time_ns: END - 2n * SECOND }),
  ...changes,
});
/** A SIGTERM that came one second before the end. */
const request = (changes: Parameters<typeof signal>[1] = {}) =>
  signal(15, { committed: false, time_ns: END - SECOND, ...changes });
const killed = (changes: Partial<Death> = {}) => killedBy(9, { signal: signal(9), stop: stop(), ...changes });

const bodyOf = (death: Death) => String(recordOf(death).body);
const evidenceOf = (death: Death) => (recordOf(death).attributes['whodunit.evidence'] as string[]).join('\n');

describe('the sentence', () => {
  it.each<[string, Death, string | null]>([
    ['it was stopped when it was killed', killed(), 'for 2.0 s by SIGSTOP, sent by sh (pid 77, alice).'],
    [
      'it had stopped itself',
      killed({ stop: stop({ signal: signal(19, { sender: itself() }) }) }),
      'for 2.0 s by SIGSTOP of its own.',
    ],
    ['Ctrl-Z', killed({ stop: stop({ signal: kernelSignal(20) }) }), 'for 2.0 s by SIGTSTP: Ctrl-Z at its terminal.'],
    [
      'it read in the background',
      killed({ stop: stop({ signal: kernelSignal(21, [], { sender: itself() }) }) }),
      'for 2.0 s by SIGTTIN: it read from its terminal in the background.',
    ],
    [
      'another process of its group wrote in the background',
      killed({ stop: stop({ signal: kernelSignal(22) }) }),
      'for 2.0 s by SIGTTOU: a process of its group wrote to its terminal in the background, or changed its settings.',
    ],
    [
      'the delivery was not seen: the time of the signal counts',
      killed({ stop: stop({ since_ns: null }) }),
      'for 2.0 s by SIGSTOP, sent by sh (pid 77, alice).',
    ],
    [
      'SIGTERM waited until it was continued',
      killedBy(15, {
        signal: signal(15, { victim_stopped: true, time_ns: END - SECOND }),
        stop: stop({ continued_ns: END - 1000n }),
      }),
      'for 1.0 s by SIGSTOP, sent by sh (pid 77, alice), when SIGTERM came.',
    ],
    [
      'a handled SIGTERM waited until it was continued',
      exitedWith(0, {
        request: request({ action: 'handled', victim_stopped: true }),
        stop: stop({ continued_ns: END - 1000n }),
      }),
      'for 1.0 s by SIGSTOP, sent by sh (pid 77, alice), when SIGTERM came.',
    ],
    ['it had been continued before', killed({ stop: stop({ continued_ns: END - SECOND }) }), null],
    ['another signal than SIGKILL proves that it ran', killedBy(15, { signal: signal(15), stop: stop() }), null],
    ['there is no stop', killed({ stop: null }), null],
  ])('%s', (_, death, words) => {
    const [, said = null] = bodyOf(death).split('; it had been stopped ');
    expect(said).toBe(words);
  });
});

describe('the evidence of SIGTERM before SIGKILL', () => {
  it.each<[string, Death, string]>([
    [
      'a handler did not run',
      killed({ request: request({ action: 'handled', victim_stopped: true }) }),
      'came while it was stopped',
    ],
    ['no handler', killed({ request: request({ victim_stopped: true }) }), 'came while it was stopped'],
    ['an ignored one', killed({ request: request({ action: 'ignored', victim_stopped: true }) }), 'was ignored'],
    ['it was not stopped', killed({ stop: null, request: request() }), 'was blocked'],
    [
      'an older loader',
      killed({ stop: null, request: request({ victim_stopped: null }) }),
      'was blocked, or came while it was stopped',
    ],
    [
      'it was continued',
      killed({
        stop: stop({ continued_ns: END - 1000n }),
        request: request({ action: 'handled', victim_stopped: true }),
      }),
      'came while it was stopped, and was handled after it had been continued',
    ],
  ])('%s', (_, death, words) =>
    expect(evidenceOf(death)).toContain(`SIGTERM from bash (pid 99) ${words}, 1.000 s before the termination`),
  );
});

it('the evidence says which process stopped it, since when, and when it was continued', () => {
  expect(evidenceOf(killed({ stop: stop({ continued_ns: END - SECOND }) }))).toContain(
    'stopped by SIGSTOP, sent with kill(2) by sh (pid 77), SI_USER, 2.000 s before the termination; continued 1.000 s before the termination',
  );
});

describe('the evidence of the stop', () => {
  it.each<[string, Signal, string]>([
    ['by itself', signal(19, { sender: itself() }), 'SIGSTOP, sent by the process itself'],
    ['by Ctrl-Z', kernelSignal(20), 'SIGTSTP from the kernel: Ctrl-Z at its terminal'],
    ['by the kernel, for another reason', kernelSignal(19), 'SIGSTOP from the kernel: the reason is not known'],
    ['by an unknown process', noinfoSignal(19), 'SIGSTOP, the sender is not known'],
  ])('%s', (_, stopping, words) => {
    expect(classify(killed({ stop: stop({ signal: stopping }) })).evidence).toContain(
      `stopped by ${words}, 2.000 s before the termination`,
    );
  });
});

describe('the stop in the verdict', () => {
  const stopIn = (death: Death) => classify(death).stop;
  it.each<[string, Signal, Pick<Stopped, 'senderKind' | 'sender' | 'why'>]>([
    ['another process sent it', signal(19, { sender: sh }), { senderKind: 'process', sender: sh, why: null }],
    [
      "another process sent the terminal's signal: no key was typed",
      signal(20, { sender: sh }),
      { senderKind: 'process', sender: sh, why: null },
    ],
    ['it stopped itself', signal(19, { sender: itself() }), { senderKind: 'self', sender: null, why: null }],
    ['Ctrl-Z', kernelSignal(20), { senderKind: 'kernel', sender: null, why: 'Ctrl-Z at its terminal' }],
    ['the kernel, for another reason', kernelSignal(19), { senderKind: 'kernel', sender: null, why: null }],
  ])('%s', (_, stopping, known) => {
    expect(stopIn(killed({ stop: stop({ signal: stopping }) }))).toEqual({
      signo: stopping.signo,
      sinceNs: END + OFFSET - 2n * SECOND,
      lastedNs: 2n * SECOND,
      continued: false,
      ...known,
    });
  });

  it('explains no exit long after it was continued, without a signal', () => {
    expect(stopIn(exitedWith(1, { stop: stop({ continued_ns: END - SECOND }) }))).toBeNull();
  });
});

it('without arguments, the process that stopped it has none, and no name is made of them', () => {
  const script = actor({ pid: 77, args: ['bash', '/opt/secret.sh'], ancestors: [] });
  const record = recordOf(killed({ stop: stop({ signal: signal(19, { sender: script }) }) }), { argumentsMode: 'off' });
  expect(JSON.stringify([record.body, record.attributes])).not.toContain('secret');
  expect(record.attributes).toMatchObject({ 'whodunit.stop.sender.name': 'bash', 'whodunit.stop.sender.pid': 77 });
});
