// SPDX-License-Identifier: Apache-2.0
// Whether it was an out-of-memory kill, and what the facts say of it besides the victim's sizes: who asked for the memory, whose limit it was, and whether the
// container lives on.
import type { Death, Signal } from '../wire/event.ts';
import { has, OOM, OOM_ALLOCATION, OOM_GROUP } from './frames.ts';
import { isVictim } from './origin.ts';

/**
 * Whether a SIGKILL, null if it was not recorded, is that of the out-of-memory killer. mark_victim runs after the signal is generated, so oom_mm of
 * the process at exit decides. A task that shares the memory of the victim has no oom_mm, and neither has a victim that exits on another CPU before
 * it is marked. Both receive SIGKILL from __oom_kill_process (mm/oom_kill.c). On kernels without BTF, oom_mm is not found. Before 4.20, the
 * tracepoint shows no siginfo (SEND_SIG_FORCED).
 */
export function isOomKill(death: Death, signal: Signal | null): boolean {
  if (signal === null) return death.oom_victim;
  return (signal.info === 'kernel' && death.oom_victim) || (signal.info !== 'siginfo' && has(signal, OOM) !== null);
}

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
