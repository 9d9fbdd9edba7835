// SPDX-License-Identifier: Apache-2.0
// The ledger of true deaths, as reaper/main.go writes it, and what became of each: delivered, filtered, refused, lost. Pure. What is
// counted as lost comes from the counters of the code under test; the deaths and the records do not.
import type { LogRecord } from '../../scripts/stack/otlp-file.ts';

export interface TrueDeath {
  readonly pid: number;
  /** It was born between these two, ns since 1970. */
  readonly bornAfter: bigint;
  readonly bornBefore: bigint;
  /** Its parent knew of its end at this time, ns of CLOCK_BOOTTIME. */
  readonly deadBy: bigint;
  /** What wait4(2) gave. */
  readonly status: number;
}

/** The exit code of the deaths that a misbehaving collector refuses (reaper/main.go). */
export const REFUSED_CODE = 113;

/**
 * How far two readings of the wall clock may be apart: the loader samples the offset between boot time and wall time when it reads a
 * record, and the clock may be slewed meanwhile. A pid is used again only after all the others, unless a process asks for it
 * (ns_last_pid): that takes longer.
 */
const CLOCK_TOLERANCE_NS = 10_000_000n;
const EXAMPLES_MAX = 20;
const EVENT_NAME = 'whodunit.process.termination';

export function readLedger(text: string): TrueDeath[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [pid = '', bornAfter = '', bornBefore = '', deadBy = '', status = ''] = line.split(' ');
      return {
        pid: Number(pid),
        bornAfter: BigInt(bornAfter),
        bornBefore: BigInt(bornBefore),
        deadBy: BigInt(deadBy),
        status: Number(status),
      };
    });
}

/** Of a record, what says whom it is about. */
export interface Reported {
  readonly uid: string;
  readonly pid: number;
  readonly bornNs: bigint;
  /** As wait4 would have it, but for the core bit. */
  readonly status: number;
  readonly executable: string;
}

/** undefined: it is about something else. */
export function reportedBy({ eventName, attributes, resource }: LogRecord): Reported | undefined {
  if (eventName !== EVENT_NAME) return undefined;
  const signal = attributes['process.exit.code'] === undefined ? Number(attributes['whodunit.signal.number']) : 0;
  return {
    uid: String(attributes['log.record.uid']),
    pid: Number(resource['process.pid']),
    bornNs: nanoseconds(String(resource['process.creation.time'])),
    status: signal === 0 ? Number(attributes['process.exit.code']) << 8 : signal,
    executable: String(resource['process.executable.path']),
  };
}

function nanoseconds(iso: string): bigint {
  const [seconds, fraction = ''] = iso.replace(/Z$/, '').split('.');
  return BigInt(Date.parse(`${seconds}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
}

export interface Account {
  readonly deaths: number;
  readonly delivered: number;
  /** No record, as the rules of filtering say. */
  readonly filtered: number;
  /** No record, since the collector refused it for good. */
  readonly refused: number;
  /** Second copies that have fallen to log.record.uid. */
  readonly copies: number;
  /** Deaths with two records of different uids. */
  readonly duplicates: number;
  /** Deaths without a record that should have had one. */
  readonly missing: number;
  /** Records with another status than wait4's, and records of our dead that did not die. */
  readonly wrong: number;
  /** Others of this machine of whom there is a record. */
  readonly othersReported: number;
  /** Some of the missing, the duplicates and the wrong ones, to find the reason. */
  readonly examples: readonly string[];
}

/** What may be without a record, by its status. */
export interface Expected {
  readonly filtered: (status: number) => boolean;
  readonly refused: (status: number) => boolean;
}
export const ALL_DELIVERED: Expected = { filtered: () => false, refused: () => false };

/**
 * `executable`: that of the terminated processes, so that a record without a termination is noticed. `isAbout`: whether a record of the same pid is about
 * this death.
 */
export function account(
  ledger: readonly TrueDeath[],
  records: readonly Reported[],
  executable: string,
  expected: Expected = ALL_DELIVERED,
  isAbout: (death: TrueDeath, record: Reported) => boolean = bornThen,
): Account {
  const byPid = Map.groupBy(records, ({ pid }) => pid);
  const claimed = new Set<string>();
  const examples: string[] = [];
  const note = (what: string, { pid, deadBy, status }: TrueDeath, records: readonly Reported[]) => {
    if (examples.length === EXAMPLES_MAX) return;
    const said = records.map(({ uid, bornNs, status }) => `${uid} born ${bornNs}, status ${status}`).join(' and ');
    examples.push(
      `${what}: pid ${pid}, status ${status}, dead by ${deadBy}${said === '' ? '' : `; reported: ${said}`}`,
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
      note('reported wrongly', death, mine);
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

function bornThen({ bornAfter, bornBefore }: TrueDeath, { bornNs }: Reported): boolean {
  return bornNs >= bornAfter - CLOCK_TOLERANCE_NS && bornNs <= bornBefore + CLOCK_TOLERANCE_NS;
}
