// SPDX-License-Identifier: Apache-2.0
// What was read of a cgroup that ran out of memory, for tests.
import type { CgroupUse, MemoryReading } from '../../src/core/cgroup/use.ts';

const MIB = 2 ** 20;

export function reading(changes: Partial<CgroupUse> = {}): MemoryReading {
  const use: CgroupUse = {
    cgroup: '/shop',
    usage: 24 * MIB,
    peak: 64 * MIB,
    parts: { anon: 13 * MIB, file: MIB, shmem: 8 * MIB, kernel: 2 * MIB },
    events: { high: 0, max: 27, oom: 2, oomKill: 1 },
    pressure: { some: 45.12, full: 30.5 },
    group: false,
    ownLimit: null,
    processes: [{ pid: 99, comm: 'redis-server', rss: 12 * MIB, vpid: 99 }],
    isComplete: true,
    ...changes,
  };
  return { kind: 'read', use };
}
