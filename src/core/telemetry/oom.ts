// SPDX-License-Identifier: Apache-2.0
// The attributes of an out-of-memory kill, in a record.
import type { Verdict } from '../verdict/verdict.ts';
import type { Pair } from './attributes.ts';
import * as semconv from './semconv.ts';

export function oomAttributes({ oomScope, oomGroup, oom }: Verdict): Pair[] {
  if (oomScope === null) return [];
  const scope: Pair[] = [
    [semconv.OOM_SCOPE, oomScope],
    [semconv.OOM_GROUP, oomGroup],
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
