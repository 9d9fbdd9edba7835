// SPDX-License-Identifier: Apache-2.0
// What the service reads of a memory cgroup after an out-of-memory kill in it (docs/decisions/0108). files.ts decodes the kernel's files,
// io/memory-cgroups.ts reads them.

/** What its memory holds, in bytes. `shmem`: shared memory and tmpfs. null: not known. */
export interface MemoryParts {
  readonly anon: number | null;
  /** Without `shmem`. */
  readonly file: number | null;
  readonly shmem: number | null;
  readonly kernel: number | null;
}

/** How often since the cgroup was made. null: not known. */
export interface MemoryEvents {
  /** It was throttled at memory.high. */
  readonly high: number | null;
  /** Its limit was reached. */
  readonly max: number | null;
  /** An allocation was about to fail. */
  readonly oom: number | null;
  /** A process was killed. Version 1 counts only those of the cgroup itself, not of those below it. */
  readonly oomKill: number | null;
}

/** The share of the last 10 seconds in which some, or all, processes waited for memory, in percent. */
export interface Pressure {
  readonly some: number;
  readonly full: number;
}

/** A process of the cgroup, or of one below it. */
export interface UsingProcess {
  readonly pid: number;
  readonly comm: string;
  /** Resident memory in bytes. */
  readonly rss: number;
  /** In its pid namespace. */
  readonly vpid: number;
}

export interface CgroupUse {
  /** Its path. `/`: all of the machine. */
  readonly cgroup: string;
  /** In bytes; null: not known. */
  readonly usage: number | null;
  readonly peak: number | null;
  readonly parts: MemoryParts;
  readonly events: MemoryEvents;
  readonly pressure: Pressure | null;
  /** memory.oom.group. null: not known. */
  readonly group: boolean | null;
  /** The limit of the victim's own cgroup, if that lies below. null: it does not, it has none, or it is not known. */
  readonly ownLimit: number | null;
  /** Those that were read, largest first. */
  readonly processes: readonly UsingProcess[];
  /** All processes were read. */
  readonly isComplete: boolean;
}

/**
 * `unknown`: `removed` before it was read; `unreadable`; `late`: not in time; `crowded`: too many were to be read; `stale`: the kill was
 * too long ago. null: the cgroups of the machine are not visible to the service.
 */
export type MemoryReading =
  | { readonly kind: 'read'; readonly use: CgroupUse }
  | { readonly kind: 'unknown'; readonly why: Unread };

export const UNREAD = ['removed', 'unreadable', 'late', 'crowded', 'stale'] as const;
export type Unread = (typeof UNREAD)[number];
