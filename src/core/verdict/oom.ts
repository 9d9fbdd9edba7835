// SPDX-License-Identifier: Apache-2.0
// What the facts say of an out-of-memory kill besides the victim's sizes: who asked for the memory, whose limit it was, and whether the
// container lives on.
import type { Death, Signal } from '../wire/event.ts';
import { has, OOM_ALLOCATION, OOM_GROUP } from './frames.ts';
import { isVictim } from './origin.ts';

/** Whether all processes of the cgroup are killed. null: not known. */
export function oomGroup(signal: Signal | null): boolean | null {
  return has(signal, OOM_ALLOCATION) === null ? null : has(signal, OOM_GROUP) !== null;
}

/** Another process that asked is in the evidence of the trigger. */
export function oomEvidence(death: Death, signal: Signal | null): string[] {
  const { process, oom } = death;
  const evidence: string[] = [];
  if (signal !== null && isVictim(signal.sender, death) && has(signal, OOM_ALLOCATION) !== null)
    evidence.push('it asked itself for the memory that was not there');
  if (oom?.cgroup != null && isBelow(process.cgroup, oom.cgroup))
    evidence.push(`the limit is that of a cgroup above its own, ${process.cgroup}`);
  const group = oomGroup(signal);
  if (group === true) evidence.push('memory.oom.group is set: all processes of the cgroup are killed');
  if (process.vpid === 1) evidence.push('it was PID 1 of its pid namespace, which ends with it');
  else if (process.vpid !== process.pid && group === false)
    evidence.push('PID 1 of its pid namespace was not killed with it');
  return evidence;
}

/** Whether a cgroup lies below another one. */
export function isBelow(path: string | null, above: string): boolean {
  if (path === null || path === above) return false;
  return above === '/' || path.startsWith(`${above}/`);
}
