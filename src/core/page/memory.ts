// SPDX-License-Identifier: Apache-2.0
// Memory beside its limit, as bars for the page: of the victim, of the cgroup that ran out of it, and of the machine.
import type { Attributes } from '../telemetry/attributes.ts';
import * as semconv from '../telemetry/semconv.ts';
import { numberOf, textOf } from './values.ts';

export interface Part {
  readonly name: string;
  readonly bytes: number;
}

export interface MemoryUse {
  readonly title: string;
  readonly parts: readonly Part[];
  /** null: no limit is known; the bar shows the parts beside each other. */
  readonly limitBytes: number | null;
  readonly limitName: string;
}

export function memoryOf(attributes: Attributes): MemoryUse[] {
  return [...victimMemory(attributes), ...cgroupMemory(attributes), ...machineMemory(attributes)];
}

const VICTIM_PARTS: readonly (readonly [name: string, key: string])[] = [
  ['anonymous', semconv.OOM_ANON_RSS],
  ['files', semconv.OOM_FILE_RSS],
  ['shared', semconv.OOM_SHMEM_RSS],
];

const CGROUP_PARTS: typeof VICTIM_PARTS = [
  ['anonymous', semconv.OOM_CGROUP_ANON],
  ['files', semconv.OOM_CGROUP_FILE],
  ['tmpfs and shared', semconv.OOM_CGROUP_SHMEM],
  ['kernel', semconv.OOM_CGROUP_KERNEL],
];

function victimMemory(attributes: Attributes): MemoryUse[] {
  return besideLimit('Memory of the process', VICTIM_PARTS, attributes);
}

/** The victim is gone by then. */
function cgroupMemory(attributes: Attributes): MemoryUse[] {
  if (textOf(attributes[semconv.OOM_SCOPE]) !== 'cgroup') return [];
  return besideLimit('Memory of the cgroup a moment later', CGROUP_PARTS, attributes);
}

function besideLimit(title: string, names: typeof VICTIM_PARTS, attributes: Attributes): MemoryUse[] {
  const parts = names.flatMap(([name, key]) => {
    const bytes = numberOf(attributes[key]);
    return bytes === null || bytes <= 0 ? [] : [{ name, bytes }];
  });
  if (parts.length === 0) return [];
  const cgroup = textOf(attributes[semconv.OOM_CGROUP]);
  const limitName = cgroup === null ? 'limit' : `limit of ${cgroup}`;
  return [{ title, parts, limitBytes: numberOf(attributes[semconv.OOM_LIMIT]), limitName }];
}

function machineMemory(attributes: Attributes): MemoryUse[] {
  const total = numberOf(attributes[semconv.MACHINE_MEMORY_TOTAL]);
  const available = numberOf(attributes[semconv.MACHINE_MEMORY_AVAILABLE]);
  if (total === null || available === null || available > total) return [];
  const parts = [{ name: 'in use', bytes: total - available }];
  return [{ title: 'Memory of the machine', parts, limitBytes: total, limitName: 'total' }];
}
