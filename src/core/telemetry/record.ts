// SPDX-License-Identifier: Apache-2.0
// Builds the log record of docs/telemetry.md from a verdict and identities, in the shape that the official OTLP exporters accept
// (ReadableLogRecord). core/filter/ decides which terminations get a record; io/ sends it.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { MemoryReading } from '../cgroup/use.ts';
import type { CrashReport } from '../crash/crash.ts';
import type { CrashHistory } from '../crash/history.ts';
import type { Ending } from '../filter/memory.ts';
import { contradicted } from '../identity/claims.ts';
import type { Identities, VictimIdentity } from '../identity/identity.ts';
import type { Memory } from '../identity/memory.ts';
import type { Role } from '../identity/role.ts';
import type { Requester } from '../requests/join.ts';
import type { SystemdReason } from '../requests/systemd.ts';
import { hrTime, isoTime, seconds } from '../time.ts';
import { codeName, SIGABRT, signalName, TERMINATION_REQUESTS } from '../verdict/signals.ts';
import type { Cause, Verdict } from '../verdict/verdict.ts';
import { VERSION } from '../version.ts';
import { ancestryFacts } from '../words/ancestry.ts';
import { type Exited, exitMeaning } from '../words/explain.ts';
import { executableFacts, faultLabel } from '../words/labels.ts';
import { readingEvidence, usersClause } from '../words/oom.ts';
import { requesterClause, selectionClause, systemdClause } from '../words/requester.ts';
import { roleClause, runnerEvidence } from '../words/role.ts';
import { sentence } from '../words/sentence.ts';
import { signalMeaningOf } from '../words/signal-meanings.ts';
import { visible } from '../words/visible.ts';
import { commandLinesAbove, readerAttributes, senderAttributes, stopAttributes, triggerAttributes } from './actors.ts';
import { type Attributes, attributesOf, type Pair } from './attributes.ts';
import { oomAttributes } from './oom.ts';
import { loginAttributes, requesterAttributes } from './requester.ts';
import { resourceValue } from './resource.ts';
import * as semconv from './semconv.ts';
import type { TraceContext } from './trace-context.ts';

/** One object for all records: exporters group by its identity. */
export const SCOPE = { name: semconv.SCOPE_NAME, version: VERSION, schemaUrl: semconv.SCHEMA_URL } as const;

export interface RecordInput {
  readonly uid: string;
  /** The id of its incident. */
  readonly incident: string;
  readonly verdict: Verdict;
  readonly identities: Identities;
  readonly resource: Attributes;
  /** null: it did not crash. */
  readonly crash: CrashReport | null;
  /** How the process that triggered it had ended. null: not known. */
  readonly before: Ending | null;
  /** The process that read its output, and ended before. null: it was not terminated by SIGPIPE, or not known. */
  readonly reader: Ending | null;
  /** null: its place is not known. */
  readonly crashHistory: CrashHistory | null;
  /** null: the termination belongs to no trace. */
  readonly trace: TraceContext | null;
  /** What the thread that triggered it said of its work. */
  readonly thread: readonly Pair[];
  /** Time at which the service read the event, ns since 1970. */
  readonly observedNs: bigint;
  /** Terminations of the same service in the last 10 minutes, this one included. */
  readonly recent: number;
  /** The machine's memory shortly before the signal of an out-of-memory daemon. null: another sender, or not known. */
  readonly memory: Memory | null;
  /** What was read of the cgroup that ran out of memory. null: another cause, or its cgroup is not visible. */
  readonly reading: MemoryReading | null;
  /** Where its core dump is. null: none was written, or not known. */
  readonly coreDump: string | null;
  /** null: no command is known that asked for it. */
  readonly requester: Requester | null;
  /** null: systemd did not send the signal. */
  readonly systemd: SystemdReason | null;
}

/** Pure. The record shares `resource` with the input. */
export function buildRecord(input: RecordInput): ReadableLogRecord {
  const { verdict, identities, trace, crash } = input;
  const severity = severityOf(verdict, identities.role);
  const stop = stopClause(input);
  const meaning = verdict.exitCode === null ? null : exitMeaning(verdict.exitCode, exitedOf(identities.victim));
  return {
    eventName: semconv.EVENT_PROCESS_TERMINATION,
    hrTime: hrTime(verdict.endedNs),
    hrTimeObserved: hrTime(input.observedNs),
    severityNumber: severity.number,
    severityText: severity.text,
    body: visible(sentence(verdict, identities, meaning, crash, stop, moreOf(input))),
    attributes: recordAttributes(input, meaning, stop) as ReadableLogRecord['attributes'],
    droppedAttributesCount: 0,
    resource: resourceValue(input.resource),
    instrumentationScope: SCOPE,
    ...(trace === null ? {} : { spanContext: trace }),
  };
}

/** How the process ended that triggered this termination, and what else used its memory, as clauses. null: neither is known. */
function moreOf({ before, reader, reading, verdict, identities }: RecordInput): string | null {
  if (reader !== null) return `the reader of its output, ${reader.name} (pid ${reader.pid}), ${reader.words}`;
  const clauses = [before === null ? null : `it ${before.words}`, usersClause(reading, verdict.oom, identities.victim)];
  return clauses.filter((clause) => clause !== null).join('; ') || null;
}

/** What it means that this sender stopped it, and who asked for that. null: nothing more is known. */
function stopClause({ identities, memory, requester, systemd }: RecordInput): string | null {
  const clauses = [
    roleClause(identities, memory),
    selectionClause(identities.sender),
    systemd === null || identities.role?.shutsDown ? null : systemdClause(systemd, identities.victim),
    requester === null ? null : requesterClause(requester),
  ].filter((clause) => clause !== null);
  return clauses.length === 0 ? null : clauses.join(', ');
}

function exitedOf({ executableName, program, goBuildId }: VictimIdentity): Exited {
  return { executable: executableName, script: program.script, runtime: goBuildId === null ? null : 'go' };
}

/** SeverityNumber and SeverityText, as in the table of docs/telemetry.md. `role`: of the sender. */
export function severityOf(
  verdict: Pick<Verdict, 'cause' | 'signo' | 'exitCode'>,
  role: Pick<Role, 'shutsDown'> | null,
): { number: number; text: string } {
  if (FATAL.has(verdict.cause)) return { number: 21, text: 'FATAL' };
  if (WARN.has(verdict.cause)) return { number: 13, text: 'WARN' };
  const stopped = verdict.cause === 'killed' && (TERMINATION_REQUESTS.has(verdict.signo) || role?.shutsDown === true);
  if (stopped || INFO.has(verdict.cause) || verdict.exitCode === 0) return { number: 9, text: 'INFO' };
  return { number: 17, text: 'ERROR' };
}

const FATAL: ReadonlySet<Cause> = new Set(['fault', 'abort', 'oom_kill', 'seccomp']);
/** The init of its pid namespace has a record of its own if something is wrong with it. */
const INFO: ReadonlySet<Cause> = new Set(['terminal', 'namespace_exit']);
const WARN: ReadonlySet<Cause> = new Set(['broken_pipe', 'timer', 'hangup']);

function recordAttributes(input: RecordInput, meaning: string | null, stop: string | null): Attributes {
  const { uid, verdict, identities, recent, crash } = input;
  const { thread } = verdict;
  const dropped = contradicted(identities.victim.declared.dropped, input.resource);
  return attributesOf([
    ...input.thread,
    [semconv.LOG_RECORD_UID, uid],
    [semconv.INCIDENT_ID, input.incident],
    [semconv.CAUSE, verdict.cause],
    [semconv.ERROR_TYPE, verdict.errorType],
    [semconv.PROCESS_EXIT_TIME, isoTime(verdict.endedNs)],
    [semconv.PROCESS_UPTIME, seconds(verdict.uptimeNs)],
    [semconv.RECENT_TERMINATIONS, recent],
    [semconv.PROCESS_ANCESTOR_COMMAND_LINES, commandLinesAbove(identities.victim)],
    [semconv.PROCESS_FOREIGN_ROOT, identities.victim.foreignRoot],
    [semconv.PROCESS_EXECUTABLE_STATE, identities.victim.executableState],
    [
      semconv.EVIDENCE,
      [
        ...verdict.evidence,
        ...readingEvidence(input.reading, identities.victim),
        ...(stop === null ? [] : [stop]),
        ...runnerEvidence(identities),
        ...(crash?.evidence ?? []),
        ...ancestryFacts(identities),
        ...executableFacts(identities),
        ...droppedEvidence(dropped),
      ].map(visible),
    ],
    [semconv.IDENTITY_DROPPED, dropped.length === 0 ? null : dropped],
    [semconv.PROCESS_EXIT_CODE, verdict.exitCode],
    [semconv.EXIT_MEANING, meaning],
    [semconv.THREAD_ID, thread?.tid],
    [semconv.THREAD_NAME, thread?.name],
    ...signalAttributes(verdict),
    [semconv.CORE_DUMP_LOCATION, input.coreDump === null ? null : visible(input.coreDump)],
    [semconv.SENDER_KIND, verdict.senderKind],
    ...senderAttributes(identities.sender),
    ...loginAttributes(verdict.sender),
    ...requesterAttributes(input.requester),
    [semconv.SYSTEMD_REASON, input.systemd?.reasons],
    ...triggerAttributes(identities.trigger, verdict.trigger),
    [semconv.TRIGGER_TERMINATION_UID, input.before?.uid],
    ...readerAttributes(input.reader),
    ...stopAttributes(verdict.stop, identities.stopper),
    [semconv.SENDER_ROLE, identities.role?.role],
    ...memoryAttributes(input.memory),
    ...faultAttributes(verdict),
    ...crashAttributes(crash),
    ...historyAttributes(input.crashHistory),
    ...oomAttributes(verdict, input.reading, identities.victim),
  ]);
}

function droppedEvidence(names: readonly string[]): string[] {
  if (names.length === 0) return [];
  return [`the process claimed ${names.join(', ')}: dropped, because only the kernel states these`];
}

function signalAttributes(verdict: Verdict): Pair[] {
  const { signal, signalToExitNs } = verdict;
  const number = verdict.signo || signal?.signo;
  if (number === undefined) return [];
  // The fault's code was recorded at delivery, so it is known even if the generation was missed.
  const code = verdict.fault?.code ?? signal?.code;
  return [
    [semconv.SIGNAL_NUMBER, number],
    [semconv.SIGNAL_NAME, signalName(number)],
    [semconv.SIGNAL_MEANING, signalMeaningOf(number, verdict.cause)],
    [semconv.SIGNAL_CODE, code === undefined ? null : codeName(number, code)],
    [semconv.SIGNAL_DISPOSITION, verdict.disposition],
    [semconv.SIGNAL_TIME_TO_EXIT, signalToExitNs === null ? null : seconds(signalToExitNs)],
    [semconv.CORE_DUMPED, verdict.signo === 0 ? null : verdict.coreDumped],
  ];
}

function memoryAttributes(memory: Memory | null): Pair[] {
  if (memory === null) return [];
  return [
    [semconv.MACHINE_MEMORY_TOTAL, memory.total],
    [semconv.MACHINE_MEMORY_AVAILABLE, memory.available],
    [semconv.MACHINE_SWAP_TOTAL, memory.swapTotal],
    [semconv.MACHINE_SWAP_FREE, memory.swapFree],
  ];
}

function faultAttributes({ cause, fault, signo, signal, refusedCall }: Verdict): Pair[] {
  if (cause === 'seccomp') return [[semconv.FAULT_SYSCALL, refusedCall]];
  if (cause !== 'fault' && cause !== 'abort') return [];
  const type: Pair = [semconv.EXCEPTION_TYPE, signalName(signo)];
  if (fault === null) {
    if (signal === null) return [type];
    return [type, [semconv.EXCEPTION_MESSAGE, signo === SIGABRT ? 'aborted by itself' : codeName(signo, signal.code)]];
  }
  return [
    type,
    [semconv.FAULT_ADDRESS, fault.address],
    [semconv.FAULT_INSTRUCTION_POINTER, fault.instruction_pointer],
    [semconv.EXCEPTION_MESSAGE, faultLabel(fault.signo, fault.code, fault.address)],
  ];
}

/** The last pair of a key wins: the message of an abort replaces what faultAttributes() says. */
function crashAttributes(crash: CrashReport | null): Pair[] {
  if (crash === null) return [];
  const { message, words, place } = crash;
  return [
    ...(message === null ? [] : [[semconv.EXCEPTION_MESSAGE, message] as const]),
    [semconv.EXCEPTION_STACKTRACE, crash.stacktrace],
    [semconv.CRASH_REASON, crash.reason],
    [semconv.CRASH_EXPLANATION, words === null ? null : visible(words)],
    [semconv.CRASH_PLACE, place === null ? null : visible(place)],
    [semconv.CRASH_FINGERPRINT, crash.fingerprint],
    [semconv.CRASH_STACK, crash.stack],
    [semconv.CRASH_FRAMES, crash.frames],
  ];
}

function historyAttributes(history: CrashHistory | null): Pair[] {
  if (history === null) return [];
  return [
    [semconv.CRASH_COUNT, history.count],
    [semconv.CRASH_FIRST_SEEN, isoTime(history.firstNs)],
  ];
}
