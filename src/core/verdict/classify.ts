// SPDX-License-Identifier: Apache-2.0
// From the facts of one termination to a verdict: its cause and its sender. causes.ts decides the cause, origin.ts the sender;
// core/words/ has the texts for people.
import type { Death, Fault, Signal } from '../wire/event.ts';
import { causeOf } from './causes.ts';
import { ignoredEvidence, otherEvidence, type Request, stackEvidence } from './evidence.ts';
import { type Facts, factsOf } from './facts.ts';
import * as frames from './frames.ts';
import { oomEvidence, oomGroup } from './oom.ts';
import { isGracefulStop, isVictim, requestOriginOf, wasHandled } from './origin.ts';
import { decodeStatus, signalName } from './signals.ts';
import { stopEvidence, stopOf } from './stop.ts';
import { syscallName } from './syscalls.ts';
import { triggerEvidence, triggerOf } from './trigger.ts';
import type { OomScope, SenderKind, Verdict } from './verdict.ts';

/** The verdict on a termination. Pure; never throws. */
export function classify(death: Death): Verdict {
  const { signal, exitCode, coreDumped } = decodeStatus(death.status_raw);
  const known = withOwnProgram(death);
  return signal === 0 ? exited(known, exitCode) : terminated(factsOf(known, signal), coreDumped);
}

/** The probes do not describe a sender that is the victim itself: it has the victim's program, so that the evidence names it alike. */
function withOwnProgram(death: Death): Death {
  const named = (signal: Signal | null): Signal | null =>
    signal === null || !isVictim(signal.sender, death)
      ? signal
      : { ...signal, sender: { ...signal.sender, exe: death.process.exe, args: death.process.args } };
  return { ...death, signal: named(death.signal), request: named(death.request) };
}

function terminated(facts: Facts, coreDumped: boolean): Verdict {
  const { death, signo, signal } = facts;
  const rule = causeOf(facts);
  const { cause } = rule;
  const trigger = triggerOf(cause, signal, death);
  const fault = cause === 'fault' || cause === 'seccomp' ? (facts.fault ?? handledFault(death, signo)) : null;
  return {
    cause,
    errorType: cause === 'oom_kill' ? 'oom_kill' : signalName(signo),
    signo,
    exitCode: null,
    coreDumped,
    ...times(death, signal),
    signal,
    disposition: facts.raisedAgain ? 'handled' : 'default',
    ...senderOf(rule.sender ?? facts.origin, signal),
    trigger,
    stop: stopOf(death, signo, signal),
    fault,
    refusedCall: cause === 'seccomp' ? callOf(fault) : null,
    oomScope: cause === 'oom_kill' ? oomScope(death, signal) : null,
    oomGroup: oomGroup(signal),
    oom: cause === 'oom_kill' ? death.oom : null,
    thread: firstThread(fault, signal, death),
    traced: death.ptraced,
    evidence: [
      ...rule.evidence(facts),
      ...triggerEvidence(trigger, signal),
      ...(cause === 'oom_kill' ? oomEvidence(death, signal) : []),
      ...stackEvidence(signal),
      ...ignoredEvidence(facts.ignored),
      ...stopEvidence(death),
      ...otherEvidence(death, signo, cause, signal === death.request ? null : requestOf(death)),
    ],
  };
}

function exited(death: Death, exitCode: number): Verdict {
  const request = requestOf(death);
  const isAnswer = (signal: Signal) =>
    exitCode === 0 ? isGracefulStop(signal, death) : wasHandled(signal, death.time_ns);
  const handled = request !== null && isAnswer(request.signal) ? request : null;
  const signal = handled?.signal ?? null;
  const cause = exitCode === 0 && handled !== null ? 'graceful_stop' : 'exit';
  const trigger = triggerOf(null, signal, death);
  return {
    cause,
    errorType: exitCode === 0 ? null : String(exitCode),
    signo: 0,
    exitCode,
    coreDumped: false,
    ...times(death, signal),
    signal,
    disposition: handled === null ? null : 'handled',
    ...senderOf(handled?.origin ?? null, signal),
    trigger,
    stop: stopOf(death, 0, signal),
    fault: null,
    refusedCall: null,
    oomScope: null,
    oomGroup: null,
    oom: null,
    thread: null,
    traced: death.ptraced,
    evidence: [
      `it exited with code ${exitCode}`,
      ...stopEvidence(death),
      ...otherEvidence(death, 0, cause, request),
      ...triggerEvidence(trigger, signal),
    ],
  };
}

function times(death: Death, signal: Signal | null): Pick<Verdict, 'endedNs' | 'uptimeNs' | 'signalToExitNs'> {
  return {
    endedNs: death.time_ns + death.clock_offset_ns,
    uptimeNs: death.time_ns - death.process.start_boottime_ns,
    signalToExitNs: signal === null ? null : death.time_ns - signal.time_ns,
  };
}

function senderOf(senderKind: SenderKind | null, signal: Signal | null): Pick<Verdict, 'senderKind' | 'sender'> {
  return { senderKind, sender: senderKind === 'process' && signal !== null ? signal.sender : null };
}

function requestOf(death: Death): Request | null {
  return death.request === null ? null : { signal: death.request, origin: requestOriginOf(death.request, death) };
}

/** The fault whose handler then raised the signal, or could not be run. */
function handledFault(death: Death, signo: number): Fault | null {
  return death.handled_fault?.signo === signo ? death.handled_fault : null;
}

function callOf(fault: Fault | null): string | null {
  return fault === null || fault.syscall === null ? null : syscallName(fault.syscall, fault.syscall_arch);
}

function oomScope(death: Death, signal: Signal | null): OomScope {
  if (death.oom?.cgroup != null || death.oom?.limit != null) return 'cgroup';
  return signal === null ? 'unknown' : frames.oomScope(signal.kernel_stack);
}

function firstThread(fault: Fault | null, signal: Signal | null, death: Death): Verdict['thread'] {
  if (fault !== null) return { tid: fault.tid, name: fault.thread_comm };
  if (signal === null || !isVictim(signal.sender, death)) return null;
  return { tid: signal.sender.tid, name: signal.sender.comm };
}
