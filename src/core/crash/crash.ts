// SPDX-License-Identifier: Apache-2.0
// Everything that a record says of a crash, from one event and its verdict: why, where, the stack, its fingerprint, the message.
// telemetry/record.ts and words/sentence.ts write it.
import type { ArgumentsMode } from '../identity/arguments.ts';
import { cutText } from '../identity/redact.ts';
import type { CrashReasonValue } from '../telemetry/semconv.ts';
import { signalName } from '../verdict/signals.ts';
import type { Cause, Verdict } from '../verdict/verdict.ts';
import type { Crash } from '../wire/crash.ts';
import type { Death, Fault } from '../wire/event.ts';
import { faultLabel } from '../words/labels.ts';
import { quotedText } from '../words/quoted.ts';
import { duration } from '../words/units.ts';
import { explainCrash } from './explain.ts';
import type { Explanation } from './explanation.ts';
import { crashFacts } from './facts.ts';
import { fingerprintOf } from './fingerprint.ts';
import { placeOf } from './frames.ts';
import { interpreterEvidence } from './interpreters.ts';
import { messageOf } from './message.ts';
import { framesOf, stacktraceOf } from './stacktrace.ts';

/** What a record says of a crash. null: not known. */
export interface CrashReport {
  readonly reason: CrashReasonValue | null;
  /** The reason as a clause, with the message of an abort. */
  readonly words: string | null;
  /** The function that crashed: `leaf+0x1f (chain)`. */
  readonly place: string | null;
  /** null: no stack was looked for. */
  readonly stack: Crash['state'] | null;
  /** Of an abort, or of the fault before an exit. */
  readonly message: string | null;
  readonly stacktrace: string | null;
  readonly frames: readonly string[] | null;
  readonly fingerprint: string | null;
  readonly evidence: readonly string[];
}

const CRASHES: ReadonlySet<Cause> = new Set(['fault', 'abort', 'seccomp']);
/** Characters of message and place in a sentence. The attributes have more. */
const MESSAGE_CHARS_MAX = 200;
const PLACE_CHARS_MAX = 160;
/** How a stack ends that reaches the thread's first function. With guesses, it is not known to be complete; the evidence has those. */
const OUTERMOST = 'outermost';
/** Files that could not be read, of which the evidence speaks. */
const PROBLEMS_MAX = 3;

/** null: it did not crash, and has no stack. */
export function crashReport(death: Death, verdict: Verdict, mode: ArgumentsMode): CrashReport | null {
  const { crash } = death;
  if (!CRASHES.has(verdict.cause) || verdict.senderKind === 'process') return withoutCrash(death, verdict);
  const facts = crashFacts(death, verdict);
  const explanation = explainCrash(facts, verdict);
  const message = crash === null || verdict.cause !== 'abort' ? null : messageOf(crash, mode);
  const place = placeOf(facts.frames);
  const shown = facts.frames.length > 0 ? facts.frames : facts.all;
  const fingerprint = fingerprintOf(facts.frames);
  return {
    reason: explanation?.reason ?? null,
    words: wordsOf(explanation, message),
    place: place === null ? null : cutText(place, PLACE_CHARS_MAX),
    stack: crash?.state ?? null,
    message,
    stacktrace: crash === null ? null : stacktraceOf(crash),
    frames: shown.length === 0 ? null : framesOf(shown),
    fingerprint,
    evidence: [...(explanation?.evidence ?? []), ...(crash === null ? [] : stackEvidence(crash, fingerprint))],
  };
}

/** The process was killed, or exited: the copy shows where it was, or the fault that it handled before. */
function withoutCrash(death: Death, verdict: Verdict): CrashReport | null {
  const { crash, handled_fault: fault } = death;
  if (crash === null) return null;
  if (verdict.cause !== 'exit') return crash.signo === verdict.signo ? whereItWas(crash) : null;
  if (fault === null || fault.tid !== crash.tid || fault.instruction_pointer !== crash.instruction_pointer) return null;
  if (crash.frames[0]?.module === null) return null; // just-in-time code: its faults are how it checks for null
  return afterFault(death, crash, { ...verdict, signo: fault.signo, fault });
}

/** How long after a fault an exit is its consequence. */
const CONSEQUENCE_NS = 1_000_000_000n;

/**
 * A fault, a handler that took it, and an exit at once: as Go programs end that panic. Virtual machines handle faults all the time: theirs
 * explain nothing.
 */
function afterFault(death: Death, crash: Crash, verdict: Verdict & { readonly fault: Fault }): CrashReport {
  const { frames } = crash;
  const facts = crashFacts(death, verdict);
  const before = death.time_ns - verdict.fault.time_ns;
  const stack = {
    ...whereItWas(crash),
    evidence: [
      `the stack is that of the fault, which a handler took ${duration(before)} before the exit`,
      ...stackEvidence(crash, null),
    ],
  };
  const place = placeOf(facts.frames);
  if (before > CONSEQUENCE_NS || place === null || interpreterEvidence(frames) !== null) return stack;
  const explanation = explainCrash(facts, verdict);
  return {
    ...stack,
    reason: explanation?.reason ?? null,
    message: faultLabel(verdict.fault.signo, verdict.fault.code, verdict.fault.address),
    words: `${explanation?.words ?? `a fault (${signalName(verdict.signo)})`}, ${duration(before)} before, which a handler took`,
    place: cutText(place, PLACE_CHARS_MAX),
    fingerprint: fingerprintOf(facts.frames),
    evidence: [...(explanation?.evidence ?? []), ...stack.evidence],
  };
}

/** A watchdog, or a person, sent SIGABRT or another signal of crashes: the stack shows what the process did, and no fault of its own. */
function whereItWas(crash: Crash): CrashReport {
  const { frames } = crash;
  return {
    reason: null,
    words: null,
    place: null,
    stack: crash.state,
    message: null,
    stacktrace: stacktraceOf(crash),
    frames: frames.length === 0 ? null : framesOf(frames),
    fingerprint: null,
    evidence: [
      ...(frames.length === 0 ? [] : ['the stack is what the thread that took the signal did']),
      ...stackEvidence(crash, null),
    ],
  };
}

function wordsOf(explanation: Explanation | null, message: string | null): string | null {
  const words = explanation?.words ?? null;
  if (message === null) return words;
  const short = quotedText(cutText(message.replace(/\.$/, ''), MESSAGE_CHARS_MAX));
  return words === null ? short : `${words}: ${short}`;
}

/** Why there is no stack. `unwound` and `repeated` have one. */
const WITHOUT: Readonly<Record<Exclude<Crash['state'], 'unwound' | 'repeated'>, string>> = {
  no_slot: 'its stack was not copied: other crashes used all slots, or the half that one origin may use',
  busy: 'its stack was not unwound: too many crashes at once',
  lost: 'its stack is lost: the loader that had copied it is gone',
  failed: 'its stack could not be unwound',
  timeout: 'its stack was not unwound in time',
};

function stackEvidence(crash: Crash, fingerprint: string | null): string[] {
  const { state, end, frames, handled_frames, problems } = crash;
  if (state !== 'unwound' && state !== 'repeated')
    return [state === 'failed' && end !== '' ? `${WITHOUT.failed}: ${end}` : WITHOUT[state]];
  const first = fingerprint === null ? '' : ` (fingerprint ${fingerprint})`;
  const repeated = `the stack is the one of an equal crash in the 10 s before${first}`;
  const guesses = frames.filter(({ guess }) => guess).length;
  const interpreter = interpreterEvidence([...frames, ...handled_frames]);
  return [
    ...(state === 'repeated' ? [repeated] : []),
    ...(guesses === 0 ? [] : [`${guesses} of ${frames.length} frames are guesses: they may not exist`]),
    ...(crash.complete || frames.length === 0 || end === OUTERMOST
      ? []
      : [`the stack is not complete: it ends with "${end}"`]),
    ...(interpreter === null ? [] : [interpreter]),
    ...problems.slice(0, PROBLEMS_MAX).map((problem) => `no names: ${problem}`),
  ];
}
