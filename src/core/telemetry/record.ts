// SPDX-License-Identifier: Apache-2.0
// From a death, its verdict and its resource to the log record of docs/telemetry.md, in the shape that the official OTLP
// exporters take (ReadableLogRecord). Which deaths get a record is left to match.ts, sending to io/.
import { hash } from 'node:crypto';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { placementOf } from '../identity/placement.ts';
import {
  type ArgumentsMode,
  type Attributes,
  attributesOf,
  executableName,
  type Host,
  type Pair,
  shownArguments,
  userName,
} from '../identity/resource.ts';
import { hrTime, isoTime, seconds } from '../time.ts';
import { codeName, SIGABRT, signalName } from '../verdict/signals.ts';
import { syscallName } from '../verdict/syscalls.ts';
import type { Cause, Verdict } from '../verdict/verdict.ts';
import { VERSION } from '../version.ts';
import type { Death } from '../wire/event.ts';
import { exitMeaning } from '../words/explain.ts';
import { ancestorLabels, faultLabel, STOP_SIGNALS, sentence } from '../words/sentence.ts';
import * as semconv from './semconv.ts';
import { traceContextOf } from './trace-context.ts';

/** The namespace of our UUIDs: UUIDv5 of the DNS namespace and `whodunit.process.termination`. Never to be changed. */
const UID_NAMESPACE = '10d02fbe-7865-59ac-adb0-d12ce59b073d';

/** Its identity must stay the same: exporters group by it. */
export const SCOPE = { name: semconv.SCOPE_NAME, version: VERSION, schemaUrl: semconv.SCHEMA_URL } as const;

export interface RecordInput {
  readonly death: Death;
  readonly verdict: Verdict;
  readonly uid: string;
  readonly resource: Attributes;
  readonly host: Host;
  readonly argumentsMode: ArgumentsMode;
  /** When the service read the death, ns since 1970. */
  readonly observedNs: bigint;
  /** Ends of the same service in the last 10 minutes, this one included. */
  readonly recent: number;
}

/** The key of one death: UUIDv5 (RFC 9562) of boot id, tgid and start time. The same death always gets the same. */
export function recordUid(bootId: string, pid: number, startBoottimeNs: bigint): string {
  return uidOf(`${bootId}/${pid}/${startBoottimeNs}`);
}

/** UUIDv5 (RFC 9562) of a name in our namespace. */
export function uidOf(name: string): string {
  const hex = hash('sha1', Buffer.concat([NAMESPACE_BYTES, Buffer.from(name)]));
  const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(18, 20)}-${hex.slice(20, 32)}`;
}

const NAMESPACE_BYTES = Buffer.from(UID_NAMESPACE.replaceAll('-', ''), 'hex');

/** The record. Pure; the result shares `resource` with the input. */
export function buildRecord(input: RecordInput): ReadableLogRecord {
  const { death, verdict } = input;
  const severity = severityOf(verdict);
  const spanContext = traceContextOf(death);
  return {
    eventName: semconv.EVENT_PROCESS_TERMINATION,
    hrTime: hrTime(death.time_ns + death.clock_offset_ns),
    hrTimeObserved: hrTime(input.observedNs),
    severityNumber: severity.number,
    severityText: severity.text,
    body: sentence(death, verdict, input.host),
    attributes: recordAttributes(input) as ReadableLogRecord['attributes'],
    droppedAttributesCount: 0,
    resource: resourceValue(input.resource),
    instrumentationScope: SCOPE,
    ...(spanContext === null ? {} : { spanContext }),
  };
}

/** SeverityNumber and its text, as the table of docs/telemetry.md has them. */
export function severityOf(verdict: Pick<Verdict, 'cause' | 'signo' | 'exitCode'>): { number: number; text: string } {
  if (FATAL.has(verdict.cause)) return { number: 21, text: 'FATAL' };
  if (WARN.has(verdict.cause)) return { number: 13, text: 'WARN' };
  const stopped = verdict.cause === 'killed' && STOP_SIGNALS.has(verdict.signo);
  if (stopped || verdict.cause === 'terminal' || verdict.exitCode === 0) return { number: 9, text: 'INFO' };
  return { number: 17, text: 'ERROR' };
}

const FATAL: ReadonlySet<Cause> = new Set(['fault', 'abort', 'oom_kill', 'seccomp']);
const WARN: ReadonlySet<Cause> = new Set(['broken_pipe', 'timer', 'hangup']);

function recordAttributes({ death, verdict, uid, host, argumentsMode, recent }: RecordInput): Attributes {
  const { exitCode, thread } = verdict;
  return attributesOf([
    [semconv.LOG_RECORD_UID, uid],
    [semconv.CAUSE, verdict.cause],
    [semconv.ERROR_TYPE, verdict.errorType],
    [semconv.PROCESS_EXIT_TIME, isoTime(death.time_ns + death.clock_offset_ns)],
    [semconv.PROCESS_UPTIME, seconds(death.time_ns - death.process.start_boottime_ns)],
    [semconv.RECENT_TERMINATIONS, recent],
    [semconv.EVIDENCE, verdict.evidence],
    [semconv.PROCESS_EXIT_CODE, exitCode],
    [semconv.EXIT_MEANING, exitCode === null ? null : exitMeaning(exitCode, executableName(death.process))],
    [semconv.THREAD_ID, thread?.tid],
    [semconv.THREAD_NAME, thread?.name],
    ...signalAttributes(death, verdict),
    ...senderAttributes(verdict, host, argumentsMode),
    ...faultAttributes(verdict),
    ...oomAttributes(death, verdict),
  ]);
}

function signalAttributes(death: Death, verdict: Verdict): Pair[] {
  const { signal } = verdict;
  const number = verdict.signo || signal?.signo;
  if (number === undefined) return [];
  // The fault's code is that of the delivery, and is there where the generation was missed.
  const code = verdict.fault?.code ?? signal?.code;
  return [
    [semconv.SIGNAL_NUMBER, number],
    [semconv.SIGNAL_NAME, signalName(number)],
    [semconv.SIGNAL_CODE, code === undefined ? null : codeName(number, code)],
    [semconv.SIGNAL_DISPOSITION, verdict.disposition],
    [semconv.SIGNAL_TIME_TO_EXIT, signal === null ? null : seconds(death.time_ns - signal.time_ns)],
    [semconv.CORE_DUMPED, verdict.signo === 0 ? null : verdict.coreDumped],
  ];
}

function senderAttributes({ senderKind, sender }: Verdict, host: Host, mode: ArgumentsMode): Pair[] {
  const kind: Pair = [semconv.SENDER_KIND, senderKind];
  if (sender === null) return [kind];
  const placement = placementOf(sender.cgroup);
  const { args, ancestors } = sender;
  return [
    kind,
    [semconv.SENDER_PID, sender.pid],
    [semconv.SENDER_EXECUTABLE_NAME, executableName(sender)],
    [semconv.SENDER_EXECUTABLE_PATH, sender.exe],
    [semconv.SENDER_COMMAND_LINE, args === null ? null : shownArguments(args, mode)?.join(' ')],
    [semconv.SENDER_USER_ID, sender.uid],
    [semconv.SENDER_USER_NAME, userName(sender.uid, placement, host)],
    [semconv.SENDER_CONTAINER_ID, placement.containerId],
    [semconv.SENDER_K8S_POD_UID, placement.podUid],
    [semconv.SENDER_SYSTEMD_UNIT, placement.unit],
    [semconv.SENDER_ANCESTORS, ancestors.length === 0 ? null : ancestorLabels(ancestors)],
  ];
}

function faultAttributes({ cause, fault, signo, signal }: Verdict): Pair[] {
  if (cause === 'seccomp') {
    const call = fault?.syscall ?? null;
    return [[semconv.FAULT_SYSCALL, call === null ? null : syscallName(call, fault?.syscall_arch ?? null)]];
  }
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

function oomAttributes({ oom }: Death, { cause, oomScope }: Verdict): Pair[] {
  if (cause !== 'oom_kill') return [];
  const scope: Pair = [semconv.OOM_SCOPE, oomScope];
  if (oom === null) return [scope];
  const bytes = (value: bigint | null): number | null => (value === null ? null : Number(value));
  return [
    scope,
    [semconv.OOM_CGROUP, oom.cgroup],
    [semconv.OOM_LIMIT, bytes(oom.limit)],
    [semconv.OOM_ANON_RSS, bytes(oom.anon_rss)],
    [semconv.OOM_FILE_RSS, bytes(oom.file_rss)],
    [semconv.OOM_SHMEM_RSS, bytes(oom.shmem_rss)],
    [semconv.OOM_TOTAL_VM, bytes(oom.total_vm)],
    [semconv.OOM_SCORE_ADJ, oom.score_adj],
  ];
}

/** A resource by value. Exporters read its attributes and schema URL; there is nothing to wait for or to merge with. */
export function resourceValue(attributes: Attributes): ReadableLogRecord['resource'] {
  const resource: ReadableLogRecord['resource'] = {
    attributes: attributes as ReadableLogRecord['attributes'],
    schemaUrl: semconv.SCHEMA_URL,
    merge: () => resource,
    getRawAttributes: () => Object.entries(attributes) as ReturnType<ReadableLogRecord['resource']['getRawAttributes']>,
  };
  return resource;
}
