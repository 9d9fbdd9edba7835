// SPDX-License-Identifier: Apache-2.0
// What is known of a crash, derived once from the event: the fault, what the probes copied of this very crash, and its frames. memory.ts,
// instructions.ts and aborts.ts explain it.
import { SIGABRT, SIGILL, SIGSYS, SIGTRAP } from '../verdict/signals.ts';
import type { Verdict } from '../verdict/verdict.ts';
import type { Crash, Frame, Mapping } from '../wire/crash.ts';
import type { Death, Fault } from '../wire/event.ts';
import { outsideLibraries, withoutReporting } from './frames.ts';
import { CRASHES_ON_PURPOSE } from './reporting.ts';

export interface CrashFacts {
  readonly signo: number;
  /** null: an abort, or the fault was not recorded. */
  readonly fault: Fault | null;
  readonly address: bigint | null;
  readonly instruction: bigint | null;
  readonly stack: bigint | null;
  /** null: not known. */
  readonly access: 'read' | 'write' | 'execute' | null;
  /** The processor, by the trap number that only x86 has. */
  readonly x86: boolean;
  /** Whether the probes looked for the mapping of the address. Only then, null means that there is none. */
  readonly mapped: boolean;
  readonly mapping: Mapping | null;
  readonly nextMapping: Mapping | null;
  /** Bytes at the instruction; empty: not known. */
  readonly code: readonly number[];
  /** What the C library kept as the reason of an abort. It decides, and is not shown: message.ts does that. */
  readonly message: string | null;
  /** From the place of the crash on: after a handler, those of the fault that it handled. Empty: the place is not known. */
  readonly frames: readonly Frame[];
  /** All frames of the thread, those that report the crash included. */
  readonly all: readonly Frame[];
  /** The pid in the victim's own namespace. */
  readonly vpid: number;
  /** Of an abort: those of the fault whose handler aborted. null: there is none in the stack. */
  readonly handled: CrashFacts | null;
}

/** x86: the error code of a page fault (arch/x86/include/asm/trap_pf.h). */
const PF_WRITE = 2;
const PF_INSTRUCTION = 16;
const TRAP_PAGE_FAULT = 14;
const SEGV_ACCERR = 2;

export function crashFacts(death: Death, verdict: Verdict): CrashFacts {
  const { fault, signo } = verdict;
  const { crash } = death;
  const own = crash !== null && isOf(crash, verdict) ? crash : null;
  const address = numberOf(fault?.address);
  const instruction = numberOf(fault?.instruction_pointer);
  // Of other aborts, and of a signal that the kernel forced, the copy has the mapping of another address.
  const looked = fault !== null && crash?.address === fault.address && (own !== null || crash.signo === SIGABRT);
  const mapping = looked ? crash.mapping : null;
  const nextMapping = looked ? crash.next_mapping : null;
  return {
    signo,
    fault,
    address,
    instruction,
    stack: numberOf(fault?.stack_pointer),
    access: fault === null ? null : accessOf(fault, mapping),
    x86: fault !== null && fault.trap_nr !== null,
    mapped: mapping !== null || nextMapping !== null,
    mapping,
    nextMapping,
    code: bytesOf(own?.code ?? null),
    message: crash?.signo === SIGABRT ? crash.message : null,
    frames: crash === null ? [] : framesOfPlace(crash, death, verdict),
    all: crash?.frames ?? [],
    vpid: death.process.vpid,
    handled: signo === SIGABRT ? handledFacts(death, verdict) : null,
  };
}

function handledFacts(death: Death, verdict: Verdict): CrashFacts | null {
  const { crash, handled_fault: fault } = death;
  if (crash === null || fault === null || framesOfHandled(crash, death) === null) return null;
  return crashFacts(death, { ...verdict, signo: fault.signo, fault });
}

/** A crash handler raises the signal again at another place: what was copied there says nothing of the fault. */
function isOf(crash: Crash, { fault, signo }: Verdict): boolean {
  if (crash.signo !== signo) return false;
  return fault === null || crash.instruction_pointer === fault.instruction_pointer;
}

/**
 * A handled fault is the place of the crash if the stack goes through it, since the handler then still runs; or if the verdict says that
 * the handler raised the signal again. It is not if the handler itself crashed. Empty: what was copied is another place than that of the fault.
 */
function framesOfPlace(crash: Crash, death: Death, verdict: Verdict): readonly Frame[] {
  const { handled_fault: handled } = death;
  const { frames, handled_frames } = crash;
  const ofHandled = isFaultOfHandler(crash, death, verdict) ? null : framesOfHandled(crash, death);
  if (ofHandled !== null) return withoutReporting(ofHandled);
  const raised = handled !== null && handled.tid === crash.tid && verdict.fault === handled;
  if (raised && handled_frames.length > 0) return withoutReporting(handled_frames);
  if (!isOf(crash, verdict)) return [];
  if (verdict.signo === SIGSYS) return outsideLibraries(frames);
  const [innermost] = frames;
  const onPurpose = CRASHES_ON_PURPOSE.test(innermost?.function ?? '');
  return isFaultInPlace(verdict) && !onPurpose ? frames : withoutReporting(frames);
}

/** The frames from the handled fault on. null: the stack does not go through it. */
function framesOfHandled({ frames, tid }: Crash, { handled_fault: handled }: Death): readonly Frame[] | null {
  if (handled?.tid !== tid) return null;
  const at = frames.findIndex(({ pc, found_by }) => found_by === 'signal frame' && pc === handled.instruction_pointer);
  return at > 0 ? frames.slice(at) : null;
}

/** The handler itself crashed: what ended the process is in it. */
function isFaultOfHandler(crash: Crash, { handled_fault: handled }: Death, verdict: Verdict): boolean {
  return verdict.fault !== handled && isOf(crash, verdict) && isFaultInPlace(verdict);
}

/** The fault itself is the place: free(3) that crashes is not what reports the crash. A trap may be in a function that reports. */
function isFaultInPlace({ signo, fault }: Verdict): boolean {
  return fault !== null && fault.address !== null && signo !== SIGILL && signo !== SIGTRAP;
}

/** x86 says it. Elsewhere it follows from what the mapping allows. */
function accessOf(fault: Fault, mapping: Mapping | null): CrashFacts['access'] {
  const { trap_nr, error_code, address, instruction_pointer, code } = fault;
  if (address === null) return null;
  if (trap_nr === TRAP_PAGE_FAULT && error_code !== null) {
    if ((error_code & PF_INSTRUCTION) !== 0) return 'execute';
    return (error_code & PF_WRITE) !== 0 ? 'write' : 'read';
  }
  if (address === instruction_pointer) return 'execute';
  const readOnly = code === SEGV_ACCERR && mapping !== null && /^r-/.test(mapping.access);
  return readOnly ? 'write' : null;
}

export function numberOf(hex: string | null | undefined): bigint | null {
  return hex == null ? null : BigInt(hex);
}

function bytesOf(hex: string | null): number[] {
  return (hex?.match(/[0-9a-f]{2}/g) ?? []).map((byte) => Number.parseInt(byte, 16));
}
