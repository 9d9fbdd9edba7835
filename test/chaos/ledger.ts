// SPDX-License-Identifier: Apache-2.0
// The ledger of true terminations, as reaper/main.go writes it, and the outcome of each: delivered, filtered, refused, missing. Pure. Only
// the number of losses comes from the code under test; the terminations and the records do not.
import { constants } from 'node:os';
import type { LogRecord } from '../../scripts/stack/otlp-file.ts';

export interface TrueDeath {
  readonly pid: number;
  /** The process started between these two times, ns since 1970. */
  readonly startAfter: bigint;
  readonly startBefore: bigint;
  /** When wait4(2) had returned in the parent, ns of CLOCK_BOOTTIME. */
  readonly reapedNs: bigint;
  /** The status from wait4(2). */
  readonly status: number;
}

/** The exit code of the terminations that the faulty collector refuses (reaper/main.go). */
export const REFUSED_CODE = 113;

/**
 * How far two readings of the wall clock may be apart: the loader samples the offset between boot time and wall time when it reads a
 * record, and the clock may be slewed meanwhile. A pid is reused only after all others (unless a process sets ns_last_pid), which takes
 * longer.
 */
const CLOCK_TOLERANCE_NS = 10_000_000n;
const EXAMPLES_MAX = 20;
const EVENT_NAME = 'whodunit.process.termination';
const INCIDENT_NAME = 'whodunit.incident';

export function readLedger(text: string): TrueDeath[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [pid = '', startAfter = '', startBefore = '', reapedNs = '', status = ''] = line.split(' ');
      return {
        pid: Number(pid),
        startAfter: BigInt(startAfter),
        startBefore: BigInt(startBefore),
        reapedNs: BigInt(reapedNs),
        status: Number(status),
      };
    });
}

/** The parts of a record that identify its process. */
export interface Reported {
  readonly uid: string;
  readonly pid: number;
  readonly startNs: bigint;
  /** As from wait4(2), without the core bit. */
  readonly status: number;
  readonly executable: string;
  /** With arguments, and no part was left out. */
  readonly whole: boolean;
  readonly incident: string;
}

/** The record of the members of an incident. */
export interface ReportedMembers {
  readonly uid: string;
  readonly incident: string;
  readonly count: number;
  /** Those whose pid it has. Their uids are made of the record's. */
  readonly listed: readonly Reported[];
}

/** Returns undefined for a record of another event. */
export function reportedBy({ eventName, attributes, resource }: LogRecord): Reported | undefined {
  if (eventName !== EVENT_NAME) return undefined;
  const signal = attributes['process.exit.code'] === undefined ? Number(attributes['whodunit.signal.number']) : 0;
  return {
    uid: String(attributes['log.record.uid']),
    pid: Number(resource['process.pid']),
    startNs: nanoseconds(String(resource['process.creation.time'])),
    status: signal === 0 ? Number(attributes['process.exit.code']) << 8 : signal,
    executable: String(resource['process.executable.path']),
    whole:
      Array.isArray(resource['process.command_args']) &&
      !String(attributes['whodunit.evidence']).includes('were left out'),
    incident: String(attributes['whodunit.incident.id']),
  };
}

/** Returns undefined for a record of another event. */
export function membersBy({ eventName, attributes, resource }: LogRecord): ReportedMembers | undefined {
  if (eventName !== INCIDENT_NAME) return undefined;
  const uid = String(attributes['log.record.uid']);
  const incident = String(attributes['whodunit.incident.id']);
  const executable = String(resource['process.executable.path']);
  const groups = attributes['whodunit.incident.members'] as readonly string[];
  const listed = groups.flatMap((group) =>
    pidsOf(group).map((pid) => ({
      uid: `${uid}/${pid}`,
      pid,
      startNs: 0n,
      status: statusOf(group),
      executable,
      whole: false,
      incident,
    })),
  );
  return { uid, incident, count: Number(attributes['whodunit.aggregated.count']), listed };
}

/** `sleep (pid 12): SIGKILL`, `200 × sleep: SIGKILL (pids 1201-1204, 1206 and 44 more)`. */
function pidsOf(group: string): number[] {
  const [, list = ''] = /\(pids? ([\d, -]+)/.exec(group) ?? [];
  return list
    .split(',')
    .filter((part) => part.trim() !== '')
    .flatMap((part) => {
      const [from = 0, to = from] = part.split('-').map(Number);
      return Array.from({ length: to - from + 1 }, (_, index) => from + index);
    });
}

function statusOf(group: string): number {
  const [, code, signal] = /: (?:exit code (\d+)|(SIG\w+))/.exec(group) ?? [];
  return code === undefined ? (constants.signals[signal as NodeJS.Signals] ?? -1) : Number(code) << 8;
}

function nanoseconds(iso: string): bigint {
  const [seconds, fraction = ''] = iso.replace(/Z$/, '').split('.');
  return BigInt(Date.parse(`${seconds}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
}

export interface Account {
  readonly deaths: number;
  readonly delivered: number;
  /** No record, because a filter rule applies. */
  readonly filtered: number;
  /** No record, because the collector permanently refused it. */
  readonly refused: number;
  /** Repeated records with the same log.record.uid, which a receiver can remove. */
  readonly copies: number;
  /** Terminations with two records of different uids. */
  readonly duplicates: number;
  /** Terminations without a record that should have one. */
  readonly missing: number;
  /** Records whose status is not that of wait4(2), and records of the test's executable without a termination. */
  readonly wrong: number;
  /** Processes outside the test that have a record. */
  readonly othersReported: number;
  /** Some of the missing, duplicate and wrong records, to find the reason. */
  readonly examples: readonly string[];
}

/** Which terminations may have no record, by status. */
export interface Expected {
  readonly filtered: (status: number) => boolean;
  readonly refused: (status: number) => boolean;
}
/** Whether a record with the same pid is about this termination. */
export type IsAbout = (death: TrueDeath, record: Reported) => boolean;
/** For account(): where no pid is reused, and no other time is known. */
export const samePid = (): boolean => true;
export const ALL_DELIVERED: Expected = { filtered: () => false, refused: () => false };

/**
 * Compares ledger and records. `executable`: that of the test's processes, to find records without a termination.
 */
export function account(
  ledger: readonly TrueDeath[],
  records: readonly Reported[],
  executable: string,
  expected: Expected = ALL_DELIVERED,
  isAbout: IsAbout = sameStart,
): Account {
  const byPid = Map.groupBy(records, ({ pid }) => pid);
  const claimed = new Set<string>();
  const examples: string[] = [];
  const note = (what: string, { pid, reapedNs, status }: TrueDeath, records: readonly Reported[]) => {
    if (examples.length === EXAMPLES_MAX) return;
    const said = records.map(({ uid, startNs, status }) => `${uid} started ${startNs}, status ${status}`).join(' and ');
    examples.push(
      `${what}: pid ${pid}, status ${status}, reaped at ${reapedNs}${said === '' ? '' : `; reported: ${said}`}`,
    );
  };
  const sum = { delivered: 0, filtered: 0, refused: 0, copies: 0, duplicates: 0, missing: 0, wrong: 0 };
  for (const death of ledger) {
    const mine = (byPid.get(death.pid) ?? []).filter((record) => isAbout(death, record));
    const uids = new Set(mine.map(({ uid }) => uid));
    for (const uid of uids) claimed.add(uid);
    sum.copies += mine.length - uids.size;
    if (uids.size > 1) {
      sum.duplicates += 1;
      note('reported twice', death, mine);
    }
    if (mine.some(({ status }) => status !== death.status)) {
      sum.wrong += 1;
      note('wrong status', death, mine);
    }
    if (uids.size > 0) sum.delivered += 1;
    else if (expected.filtered(death.status)) sum.filtered += 1;
    else if (expected.refused(death.status)) sum.refused += 1;
    else {
      sum.missing += 1;
      note('missing', death, []);
    }
  }
  const unclaimed = records.filter(({ uid }) => !claimed.has(uid));
  const invented = unclaimed.filter((record) => record.executable === executable);
  const othersReported = new Set(unclaimed.map(({ uid }) => uid)).size - new Set(invented.map(({ uid }) => uid)).size;
  sum.wrong += invented.length;
  for (const { pid, uid } of invented.slice(0, EXAMPLES_MAX - examples.length))
    examples.push(`invented: ${uid}, pid ${pid}`);
  return { deaths: ledger.length, ...sum, othersReported, examples };
}

function sameStart({ startAfter, startBefore }: TrueDeath, { startNs }: Reported): boolean {
  return startNs >= startAfter - CLOCK_TOLERANCE_NS && startNs <= startBefore + CLOCK_TOLERANCE_NS;
}
