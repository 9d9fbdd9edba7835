// SPDX-License-Identifier: Apache-2.0
// The files of memory cgroups, version 1 and 2, and /proc/PID/status, as text → values. What a file does not say is null. io/memory-cgroups.ts
// reads them.
import type { MemoryEvents, MemoryParts, Pressure, UsingProcess } from './use.ts';

/** The names of the files. null: this version has none. */
export interface CgroupFiles {
  readonly usage: string;
  readonly peak: string;
  readonly limit: string;
  readonly stat: string;
  readonly events: string;
  /** Version 1: how often the limit was reached. */
  readonly failures: string | null;
  /** Version 1: kernel memory. Version 2 has it in `stat`. */
  readonly kernel: string | null;
  readonly pressure: string | null;
  readonly group: string | null;
}

export const FILES: Readonly<Record<1 | 2, CgroupFiles>> = {
  1: {
    usage: 'memory.usage_in_bytes',
    peak: 'memory.max_usage_in_bytes',
    limit: 'memory.limit_in_bytes',
    stat: 'memory.stat',
    events: 'memory.oom_control',
    failures: 'memory.failcnt',
    kernel: 'memory.kmem.usage_in_bytes',
    pressure: null,
    group: null,
  },
  2: {
    usage: 'memory.current',
    peak: 'memory.peak',
    limit: 'memory.max',
    stat: 'memory.stat',
    events: 'memory.events',
    failures: null,
    kernel: null,
    pressure: 'memory.pressure',
    group: 'memory.oom.group',
  },
};

/** Version 1 writes no limit as LONG_MAX, rounded down to pages; version 2 as `max`. */
const UNLIMITED = 2 ** 62;

/** A file of one number. null: it is none, or `max`. */
export function parseBytes(text: string | null): number | null {
  const value = text === null ? null : numberOf(/^(\d+)\n?$/.exec(text)?.[1]);
  return value === null || value >= UNLIMITED ? null : value;
}

/** `kernelText`: the file of version 1. Its totals include the cgroups below. */
export function parseParts(text: string | null, kernelText: string | null): MemoryParts {
  const lines = linesOf(text ?? '');
  const [anon, cache, shmem] = lines.has('total_rss')
    ? [lines.get('total_rss'), lines.get('total_cache'), lines.get('total_shmem')]
    : [lines.get('anon'), lines.get('file'), lines.get('shmem')];
  return {
    anon: anon ?? null,
    file: cache === undefined ? null : Math.max(0, cache - (shmem ?? 0)),
    shmem: shmem ?? null,
    kernel: kernelText === null ? kernelOf(lines) : parseBytes(kernelText),
  };
}

/** Before 5.18 there is no sum. */
const KERNEL_PARTS = ['slab', 'kernel_stack', 'pagetables', 'percpu', 'sock', 'vmalloc'] as const;

function kernelOf(lines: ReadonlyMap<string, number>): number | null {
  const sum = lines.get('kernel');
  if (sum !== undefined) return sum;
  const parts = KERNEL_PARTS.flatMap((name) => lines.get(name) ?? []);
  return parts.length === 0 ? null : parts.reduce((total, part) => total + part, 0);
}

/** memory.events, or memory.oom_control and memory.failcnt. */
export function parseEvents(text: string | null, failures: string | null): MemoryEvents {
  const lines = linesOf(text ?? '');
  return {
    high: lines.get('high') ?? null,
    // 0 after a kill: this kernel does not count them (6.18).
    max: lines.get('max') ?? (parseBytes(failures) || null),
    oom: lines.get('oom') ?? null,
    oomKill: lines.get('oom_kill') ?? null,
  };
}

export function parsePressure(text: string | null): Pressure | null {
  const average = (line: string): number =>
    Number(new RegExp(`^${line} avg10=(\\d+\\.\\d+) `, 'm').exec(text ?? '')?.[1]);
  const [some, full] = [average('some'), average('full')];
  return Number.isNaN(some) || Number.isNaN(full) ? null : { some, full };
}

export function parseGroup(text: string | null): boolean | null {
  const set = /^([01])\n?$/.exec(text ?? '')?.[1];
  return set === undefined ? null : set === '1';
}

/** cgroup.procs. 0: a process outside of the reader's pid namespace. The last line counts only if it is whole. */
export function parsePids(text: string): number[] {
  return [...text.matchAll(/^(\d{1,10})\n/gm)].map(([, pid]) => Number(pid)).filter((pid) => pid > 0);
}

/** /proc/PID/status. null: it has no memory, as a kernel thread or a process that ended. */
export function parseStatus(text: string): UsingProcess | null {
  const field = (name: string): string | undefined => new RegExp(`^${name}:\\t(.*)$`, 'm').exec(text)?.[1];
  const pid = numberOf(field('Pid'));
  const rss = numberOf(/^\s*(\d+) kB$/.exec(field('VmRSS') ?? '')?.[1]);
  if (pid === null || rss === null) return null;
  const vpid = numberOf(field('NSpid')?.split('\t').at(-1)) ?? pid;
  return { pid, comm: field('Name') ?? '', rss: rss * 1024, vpid };
}

/** Where the memory cgroups of the whole machine are mounted, for a reader in the first cgroup namespace. null: they are not. */
export function parseMount(mountinfo: string): { readonly directory: string; readonly version: 1 | 2 } | null {
  let unified: string | null = null;
  for (const line of mountinfo.split('\n')) {
    const [left = '', right = ''] = line.split(' - ');
    const [, , , root, directory = ''] = left.split(' ');
    const [type, , options = ''] = right.split(' ');
    if (root !== '/') continue;
    if (type === 'cgroup' && options.split(',').includes('memory'))
      return { directory: unescaped(directory), version: 1 };
    if (type === 'cgroup2') unified ??= unescaped(directory);
  }
  return unified === null ? null : { directory: unified, version: 2 };
}

/** proc(5): space, tab, line feed and backslash are octal. */
function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

function linesOf(text: string): Map<string, number> {
  return new Map([...text.matchAll(/^(\w+) (\d+)$/gm)].map(([, name = '', value]) => [name, Number(value)]));
}

function numberOf(text: string | undefined): number | null {
  return text === undefined || !/^\d+$/.test(text) ? null : Number(text);
}
