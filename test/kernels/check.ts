// SPDX-License-Identifier: Apache-2.0
// One case on one kernel: the differences between the records and the truth, less what that kernel cannot show. Pure.
import type { Case } from '../deaths/cases/case.ts';
import { checkCase } from '../deaths/check.ts';
import { type Limit, limitsOf } from './limits.ts';
import type { Transcript } from './transcript.ts';

/** Emulated clocks drift, and a reading of two of them may be interrupted for long in between. */
export const EMULATED_TOLERANCE_NS = 100_000_000n;

export interface KernelCheck {
  /** Wrong, or missing without an excuse. */
  readonly differences: readonly string[];
  /** What the kernel cannot show, and that made a difference here. */
  readonly limits: readonly Limit[];
}

export function checkOnKernel(one: Case, transcript: Transcript): KernelCheck {
  const truths = transcript.truths.get(one.id);
  if (truths === undefined) {
    const why = transcript.failures.get(one.id) ?? 'nothing was said of it';
    const excuse = limitsOf(transcript).filter(({ cannotHappen }) => cannotHappen?.test(why));
    return excuse.length > 0 ? { differences: [], limits: excuse } : { differences: [why], limits: [] };
  }
  const differences: string[] = [];
  const used = new Set<Limit>();
  for (const finding of checkCase(one, truths, transcript.records, EMULATED_TOLERANCE_NS)) {
    const evidence = finding.records[0]?.attributes['whodunit.evidence'];
    for (const difference of finding.differences) {
      const limit = limitsOf(transcript).find(
        ({ allows, cases }) => (cases?.includes(one.id) ?? true) && allows?.(difference),
      );
      if (limit === undefined) differences.push(`${difference}; evidence: ${evidence}`);
      else used.add(limit);
    }
  }
  return { differences, limits: [...used] };
}
