// SPDX-License-Identifier: Apache-2.0
// The members of an incident: exact counts, and bounded lists of which they were. Values in a form that can be stored.
import type { OriginKey } from '../shares.ts';
import type { Cause } from '../verdict/verdict.ts';

/** Names and statuses that are counted separately, and pids that are listed. Further ones are in the counts. */
export const GROUPS_MAX = 32;
export const PIDS_MAX = 256;

export interface Member {
  readonly name: string;
  /** null: not known, as the kernel only counted it. */
  readonly pid: number | null;
  readonly origin: OriginKey;
  /** `exit code 1`, `SIGKILL`, `SIGKILL after SIGTERM`. */
  readonly status: string;
  readonly cause: Cause;
  /** ns since 1970. */
  readonly endedNs: bigint;
  readonly severity: { readonly number: number; readonly text: string };
}

/** What the members have in common that the kernel counts under one key. */
export interface CountedMember extends Pick<Member, 'name' | 'status'> {
  /** The id of their incident. */
  readonly incident: string;
}

/** Members with the same name and status. */
export interface Group {
  readonly name: string;
  readonly status: string;
  readonly origin: OriginKey;
  readonly count: number;
  readonly pids: readonly number[];
}

export interface Members {
  readonly count: number;
  readonly firstNs: string;
  readonly lastNs: string;
  readonly byCause: readonly (readonly [Cause, number])[];
  readonly severity: Member['severity'];
  readonly groups: readonly Group[];
  /** Those that are in no group. */
  readonly ungrouped: number;
}

/** `times`: so many that ended alike, of which this is the last. */
export function add(before: Members | null, member: Member, times = 1): Members {
  const { endedNs, cause, severity } = member;
  const known = before ?? { ...NONE, firstNs: String(endedNs), lastNs: String(endedNs), severity };
  const groups = grouped(known.groups, member, times);
  return {
    count: known.count + times,
    firstNs: String(least(BigInt(known.firstNs), endedNs)),
    lastNs: String(-least(-BigInt(known.lastNs), -endedNs)),
    byCause: increased(known.byCause, cause, times),
    severity: severity.number > known.severity.number ? severity : known.severity,
    groups: groups ?? known.groups,
    ungrouped: known.ungrouped + (groups === null ? times : 0),
  };
}

const NONE = { count: 0, byCause: [], groups: [], ungrouped: 0 } as const;

/** null: its origin may have no further group (dynamic thresholds, as Shares.admits()). */
function grouped(groups: readonly Group[], member: Member, times: number): readonly Group[] | null {
  const { name, status, origin, pid } = member;
  const at = groups.findIndex((one) => one.name === name && one.status === status && one.origin === origin);
  const listed = groups.reduce((sum, { pids }) => sum + pids.length, 0);
  const pids: readonly number[] = pid !== null && listed < PIDS_MAX ? [pid] : [];
  const known = groups[at];
  if (known !== undefined) {
    const more = { ...known, count: known.count + times, pids: [...known.pids, ...pids] };
    return groups.with(at, more);
  }
  const own = groups.filter((one) => one.origin === origin).length;
  if (own >= GROUPS_MAX - groups.length) return null;
  return [...groups, { name, status, origin, count: times, pids }];
}

function increased(counts: Members['byCause'], cause: Cause, times: number): Members['byCause'] {
  const at = counts.findIndex(([known]) => known === cause);
  return at === -1 ? [...counts, [cause, times]] : counts.with(at, [cause, (counts[at]?.[1] ?? 0) + times]);
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
