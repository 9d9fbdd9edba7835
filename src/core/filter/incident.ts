// SPDX-License-Identifier: Apache-2.0
// An incident as a value, in the form in which it is stored. incidents.ts decides what belongs to it.
import type { OriginKey } from '../shares.ts';
import type { Attributes } from '../telemetry/attributes.ts';
import type { IncidentAct, Termination } from './act.ts';
import type { Members } from './members.ts';

/** The termination with the record. */
export interface Root {
  readonly uid: string;
  readonly name: string;
  readonly pid: number;
  readonly status: string;
  readonly endedNs: string;
  /** Who did it, in words. null: not known. */
  readonly by: string | null;
  /** Who asked for it, in words. null: not known. */
  readonly asked: string | null;
  /** What its record says of sender, trigger and requester. */
  readonly attributes: Attributes;
  /** Its resource, without the process. */
  readonly resource: Attributes;
}

/** As it is stored. A value never changes. */
export interface StoredIncident {
  readonly id: string;
  readonly origin: OriginKey;
  readonly act: IncidentAct;
  readonly key: string | null;
  /** CLOCK_BOOTTIME. */
  readonly firstNs: string;
  readonly lastNs: string;
  /** Absent: stored by an earlier version. */
  readonly killNs?: string | null;
  readonly link: StoredLink;
  readonly root: Root;
  /** Records of members so far, and terminations so far. */
  readonly parts: number;
  readonly total: number;
  readonly members: Members | null;
}

/** What is remembered of a termination for those that follow from it. */
interface StoredLink {
  readonly pid: number;
  readonly startNs: string;
  readonly parentPid: number;
  readonly endedNs: string;
  readonly status: number;
  readonly scope: string;
  /** Absent: stored by an earlier version. */
  readonly service?: string | null;
}

/** The members that one record reports. */
export interface Part {
  readonly incident: StoredIncident;
  readonly members: Members;
  /** The ring position of the first of them. null: of an earlier run. */
  readonly seq: bigint | null;
}

export function storedLink({ process, endedNs, status, scope, service }: Termination): StoredLink {
  const { pid, start_boottime_ns: startNs, parentPid } = process;
  return { pid, startNs: String(startNs), parentPid, endedNs: String(endedNs), status, scope, service };
}
