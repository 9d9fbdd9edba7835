// SPDX-License-Identifier: Apache-2.0
// One case on one kernel: the differences between the records and the truth, less what that kernel cannot show. Pure.
import type { Case } from '../deaths/cases/case.ts';
import { judge } from '../deaths/judge.ts';
import { type Limit, limitsOf } from './limits.ts';
import type { Transcript } from './transcript.ts';

/** Emulated clocks drift, and a reading of two of them may be interrupted for long in between. */
export const EMULATED_TOLERANCE_NS = 100_000_000n;

export interface Judgement {
  /** Wrong, or missing without an excuse. */
  readonly differences: readonly string[];
  /** What the kernel cannot show, and that made a difference here. */
  readonly limits: readonly Limit[];
}

export function judgeOnKernel(one: Case, transcript: Transcript): Judgement {
  const truths = transcript.truths.get(one.happens);
  if (truths === undefined) {
    const why = transcript.failures.get(one.happens) ?? 'nothing was said of it';
    const excuse = limitsOf(transcript).filter(({ cannotHappen }) => cannotHappen?.test(why));
    return excuse.length > 0 ? { differences: [], limits: excuse } : { differences: [why], limits: [] };
  }
  const differences: string[] = [];
  const used = new Set<Limit>();
  for (const finding of judge(one, truths, transcript.records, EMULATED_TOLERANCE_NS)) {
    const evidence = finding.records[0]?.attributes['whodunit.evidence'];
    for (const difference of finding.differences) {
      const limit = limitsOf(transcript).find(
        ({ allows, cases }) => (cases?.includes(one.happens) ?? true) && allows?.(difference),
      );
      if (limit === undefined) differences.push(`${difference}; evidence: ${evidence}`);
      else used.add(limit);
    }
  }
  return { differences, limits: [...used] };
}
