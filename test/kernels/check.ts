// SPDX-License-Identifier: Apache-2.0
// Checks one case on one kernel: the differences between the records and the truth, except those that a limit of that kernel explains.
// Pure.
import type { Case } from '../deaths/cases/case.ts';
import { checkCase } from '../deaths/check.ts';
import { type Limit, limitsOf } from './limits.ts';
import type { Transcript } from './transcript.ts';

/** Emulated clocks drift, and there may be a long interruption between reading two of them. */
export const EMULATED_TOLERANCE_NS = 100_000_000n;

export interface KernelCheck {
  /** Differences that no limit explains. */
  readonly differences: readonly string[];
  /** The limits that explain a difference here. */
  readonly limits: readonly Limit[];
}

export function checkOnKernel(one: Case, transcript: Transcript): KernelCheck {
  const truths = transcript.truths.get(one.id);
  if (truths === undefined) {
    const why = transcript.failures.get(one.id) ?? 'no truth and no error was reported';
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
