// SPDX-License-Identifier: Apache-2.0
// What was read of the cgroup that ran out of memory, in words. The victim is gone by then: its own memory is in the facts of the kernel.
import type { CgroupUse, MemoryReading, Unread, UsingProcess } from '../cgroup/use.ts';
import type { VictimIdentity } from '../identity/identity.ts';
import { displayName } from '../naming/program.ts';
import type { Oom } from '../wire/event.ts';
import { quotedName } from './quoted.ts';
import { size } from './units.ts';

/** Processes in the sentence, and in the attribute. */
const NAMED_MAX = 3;
export const CONSUMERS_MAX = 10;
/** What uses less than this part of the limit explains nothing. */
const EXPLAINS_PART = 16;

/** The other processes of the cgroup, largest first. */
export function othersIn({ processes }: CgroupUse, victim: Pick<VictimIdentity, 'pid'>): readonly UsingProcess[] {
  return processes.filter(({ pid }) => pid !== victim.pid).slice(0, CONSUMERS_MAX);
}

export function processLabel({ comm, pid }: UsingProcess): string {
  return `${displayName({ comm })} (pid ${pid})`;
}

/** `redis-server (pid 99) had 12 MiB, tmpfs and shared memory 8 MiB`: what else was in the cgroup. null: nothing large, or not known. */
export function usersClause(reading: MemoryReading | null, oom: Oom | null, victim: VictimIdentity): string | null {
  if (reading?.kind !== 'read') return null;
  const { use } = reading;
  const { shmem, kernel } = use.parts;
  const others = othersIn(use, victim);
  const all = others.reduce((sum, { rss }) => sum + rss, 0);
  const least = (oom?.limit == null ? (use.usage ?? all) : Number(oom.limit)) / EXPLAINS_PART;
  const users = [
    ...others.slice(0, NAMED_MAX).map((process) => ({ name: processLabel(process), bytes: process.rss })),
    ...(use.cgroup === '/'
      ? []
      : [
          { name: 'tmpfs and shared memory', bytes: shmem ?? 0 },
          { name: 'the kernel', bytes: kernel ?? 0 },
        ]),
  ].filter(({ bytes }) => bytes > 0 && bytes >= least);
  if (users.length === 0) return null;
  return users.map(({ name, bytes }, index) => `${name}${index === 0 ? ' had' : ''} ${size(bytes)}`).join(', ');
}

/** What was read, or why nothing was. */
export function readingEvidence(reading: MemoryReading | null, victim: VictimIdentity): string[] {
  if (reading === null) return [];
  if (reading.kind === 'unknown') return [`the memory of its cgroup was not read: ${WHY[reading.why]}`];
  const { use } = reading;
  return [
    sizesIn(use),
    processesIn(use, victim),
    eventsOf(use),
    pressureOf(use),
    ownLimitOf(use, victim),
    initOf(use, victim),
  ].filter((fact) => fact !== null);
}

const WHY: Readonly<Record<Unread, string>> = {
  removed: 'the cgroup was gone',
  unreadable: 'its files could not be read',
  late: 'it took too long',
  crowded: 'there were too many such kills in that second',
  stale: 'the kill was too long ago',
};

/** The init of the victim's pid namespace, if it was seen to run after the kill. null: it was not seen. */
export function initAfter({ processes }: CgroupUse, victim: VictimIdentity): UsingProcess | null {
  const isAbove = (pid: number): boolean => victim.ancestors.some((ancestor) => ancestor.pid === pid);
  return processes.find(({ pid, vpid }) => vpid === 1 && pid !== 1 && isAbove(pid)) ?? null;
}

function sizesIn({ cgroup, usage, peak, parts }: CgroupUse): string | null {
  if (cgroup === '/' || usage === null) return null;
  const list = [
    ['anonymous', parts.anon],
    ['files', parts.file],
    ['tmpfs and shared memory', parts.shmem],
    ['kernel', parts.kernel],
  ] as const;
  const split = list.flatMap(([name, bytes]) => (bytes === null ? [] : `${name} ${size(bytes)}`)).join(', ');
  return `a moment later ${quotedName(cgroup)} used ${size(usage)}${peak === null ? '' : `, at most ${size(peak)} before`}${split === '' ? '' : `: ${split}`}`;
}

function processesIn(use: CgroupUse, victim: VictimIdentity): string | null {
  const { cgroup, isComplete } = use;
  const others = othersIn(use, victim);
  if (others.length === 0) return null;
  const where = cgroup === '/' ? 'on the machine' : `in ${quotedName(cgroup)}`;
  const list = others.map((process) => `${processLabel(process)} ${size(process.rss)}`).join(', ');
  return `the largest other processes ${where}${isComplete ? '' : ', as far as they were read'}: ${list}`;
}

function eventsOf({ cgroup, events: { max, oomKill } }: CgroupUse): string | null {
  if (cgroup === '/' || (max === null && oomKill === null)) return null;
  const hits = max === null ? [] : [`its limit was reached ${max === 1 ? 'once' : `${max} times`}`];
  const kills = oomKill === null ? [] : [`processes killed for it: ${oomKill}`];
  return `since ${quotedName(cgroup)} was made: ${[...hits, ...kills].join(', ')}`;
}

function pressureOf({ pressure, cgroup }: CgroupUse): string | null {
  if (pressure === null) return null;
  const where = cgroup === '/' ? 'on the machine' : `in ${quotedName(cgroup)}`;
  return `in the last 10 s, some process ${where} waited for memory ${pressure.some} % of the time, all of them ${pressure.full} %`;
}

function ownLimitOf({ ownLimit }: CgroupUse, { cgroup }: VictimIdentity): string | null {
  return ownLimit === null ? null : `the limit of its own cgroup, ${quotedName(cgroup ?? '')}, is ${size(ownLimit)}`;
}

function initOf(use: CgroupUse, victim: VictimIdentity): string | null {
  const init = initAfter(use, victim);
  return init === null ? null : `PID 1 of its pid namespace, ${processLabel(init)}, lives on`;
}
