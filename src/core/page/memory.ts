// SPDX-License-Identifier: Apache-2.0
// Memory beside its limit, as bars for the page: of the victim in its cgroup, and of the machine.
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
  return [...victimMemory(attributes), ...machineMemory(attributes)];
}

const VICTIM_PARTS: readonly (readonly [name: string, key: string])[] = [
  ['anonymous', semconv.OOM_ANON_RSS],
  ['files', semconv.OOM_FILE_RSS],
  ['shared', semconv.OOM_SHMEM_RSS],
];

function victimMemory(attributes: Attributes): MemoryUse[] {
  const parts = VICTIM_PARTS.flatMap(([name, key]) => {
    const bytes = numberOf(attributes[key]);
    return bytes === null || bytes <= 0 ? [] : [{ name, bytes }];
  });
  if (parts.length === 0) return [];
  const cgroup = textOf(attributes[semconv.OOM_CGROUP]);
  return [
    {
      title: 'Memory of the process',
      parts,
      limitBytes: numberOf(attributes[semconv.OOM_LIMIT]),
      limitName: cgroup === null ? 'limit' : `limit of ${cgroup}`,
    },
  ];
}

function machineMemory(attributes: Attributes): MemoryUse[] {
  const total = numberOf(attributes[semconv.MACHINE_MEMORY_TOTAL]);
  const available = numberOf(attributes[semconv.MACHINE_MEMORY_AVAILABLE]);
  if (total === null || available === null || available > total) return [];
  const parts = [{ name: 'in use', bytes: total - available }];
  return [{ title: 'Memory of the machine', parts, limitBytes: total, limitName: 'total' }];
}
