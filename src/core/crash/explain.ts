// SPDX-License-Identifier: Apache-2.0
// Why a process crashed, from facts and frames: which table applies to which signal.
import { SIGABRT, SIGBUS, SIGSEGV, SIGSYS } from '../verdict/signals.ts';
import type { Verdict } from '../verdict/verdict.ts';
import { explainAbort } from './aborts.ts';
import { BUS_ERRORS } from './bus.ts';
import { type Explanation, firstOf } from './explanation.ts';
import type { CrashFacts } from './facts.ts';
import { explainInstruction } from './instructions.ts';
import { MEMORY } from './memory.ts';
import { CRASHES_ON_PURPOSE } from './reporting.ts';

/** null: nothing more is known than the signal. */
export function explainCrash(facts: CrashFacts, verdict: Verdict): Explanation | null {
  if (facts.signo === SIGSYS) return forbiddenCall(verdict);
  if (facts.signo === SIGABRT) return explainAbortOf(facts);
  return explainFault(facts);
}

/** A crash reporter takes the fault, and aborts: the fault is the reason. Runtimes that do so say more. */
function explainAbortOf(facts: CrashFacts): Explanation | null {
  const abort = explainAbort(facts);
  const fault = facts.handled === null ? null : explainFault(facts.handled);
  if (fault === null || (abort !== null && abort.reason !== 'abort_call')) return abort;
  const evidence = [...fault.evidence, ...(abort?.evidence ?? [])];
  return { ...fault, words: `${fault.words}, whose handler aborted`, evidence };
}

function explainFault(facts: CrashFacts): Explanation | null {
  const instruction = explainInstruction(facts);
  if (instruction?.reason === 'trap') return trapOf(facts, instruction);
  if (instruction !== null) return instruction;
  if (facts.signo === SIGSEGV) return memoryFault(facts);
  return facts.signo === SIGBUS ? firstOf(BUS_ERRORS, facts) : null;
}

function memoryFault(facts: CrashFacts): Explanation | null {
  const memory = firstOf(MEMORY, facts);
  const onPurpose = facts.address === 0n && CRASHES_ON_PURPOSE.test(facts.all[0]?.function ?? '');
  return memory !== null && onPurpose ? trapOf(facts, memory) : memory;
}

/** Runtimes and C libraries without abort(3) report by a trap: the functions around it say why. */
function trapOf(facts: CrashFacts, trap: Explanation): Explanation {
  const why = explainAbort(facts);
  return why === null ? trap : { ...why, evidence: [...why.evidence, ...trap.evidence] };
}

function forbiddenCall({ cause, refusedCall }: Verdict): Explanation | null {
  if (cause !== 'seccomp' || refusedCall === null) return null;
  return { reason: 'forbidden_call', words: `call of ${refusedCall}, which seccomp forbids`, evidence: [] };
}
