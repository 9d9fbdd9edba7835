// SPDX-License-Identifier: Apache-2.0
// The attributes of an out-of-memory kill, in a record.
import type { CgroupUse, MemoryReading } from '../cgroup/use.ts';
import type { VictimIdentity } from '../identity/identity.ts';
import type { Verdict } from '../verdict/verdict.ts';
import { initAfter, othersIn, processLabel } from '../words/oom.ts';
import { size } from '../words/units.ts';
import { visible } from '../words/visible.ts';
import type { Pair } from './attributes.ts';
import * as semconv from './semconv.ts';

/** `reading`: null: nothing is read on this machine. */
export function oomAttributes(
  { oomScope, oomGroup, oom }: Verdict,
  reading: MemoryReading | null,
  victim: VictimIdentity,
): Pair[] {
  if (oomScope === null) return [];
  const use = reading?.kind === 'read' ? reading.use : null;
  const group = oomGroup ?? (use?.group === true ? true : null);
  const scope: Pair[] = [
    [semconv.OOM_SCOPE, oomScope],
    [semconv.OOM_GROUP, group],
    [semconv.OOM_INIT_LIVES, initLives(group, use, victim)],
    ...(use === null ? [] : useAttributes(use, victim)),
  ];
  if (oom === null) return scope;
  const bytes = (value: bigint | null): number | null => (value === null ? null : Number(value));
  return [
    ...scope,
    [semconv.OOM_CGROUP, oom.cgroup],
    [semconv.OOM_LIMIT, bytes(oom.limit)],
    [semconv.OOM_ANON_RSS, bytes(oom.anon_rss)],
    [semconv.OOM_FILE_RSS, bytes(oom.file_rss)],
    [semconv.OOM_SHMEM_RSS, bytes(oom.shmem_rss)],
    [semconv.OOM_TOTAL_VM, bytes(oom.total_vm)],
    [semconv.OOM_SCORE_ADJ, oom.score_adj],
  ];
}

/** Whether PID 1 of the container lives on. null: it is in none, or not known. */
function initLives(group: boolean | null, use: CgroupUse | null, victim: VictimIdentity): boolean | null {
  if (victim.vpid === victim.pid) return null;
  if (victim.vpid === 1) return false;
  return use !== null && initAfter(use, victim) !== null ? true : group === false || null;
}

function useAttributes(use: CgroupUse, victim: VictimIdentity): Pair[] {
  const { usage, peak, parts, events, pressure, ownLimit, isComplete } = use;
  const others = othersIn(use, victim).map((process) => visible(`${processLabel(process)}: ${size(process.rss)}`));
  return [
    [semconv.OOM_OWN_LIMIT, ownLimit],
    [semconv.OOM_CONSUMERS, others.length === 0 ? null : others],
    [semconv.OOM_CONSUMERS_COMPLETE, isComplete],
    [semconv.OOM_CGROUP_USAGE, usage],
    [semconv.OOM_CGROUP_PEAK, peak],
    [semconv.OOM_CGROUP_ANON, parts.anon],
    [semconv.OOM_CGROUP_FILE, parts.file],
    [semconv.OOM_CGROUP_SHMEM, parts.shmem],
    [semconv.OOM_CGROUP_KERNEL, parts.kernel],
    [semconv.OOM_EVENTS_HIGH, events.high],
    [semconv.OOM_EVENTS_MAX, events.max],
    [semconv.OOM_EVENTS_OOM, events.oom],
    [semconv.OOM_EVENTS_OOM_KILL, events.oomKill],
    [semconv.OOM_PRESSURE_SOME, pressure?.some],
    [semconv.OOM_PRESSURE_FULL, pressure?.full],
  ];
}
