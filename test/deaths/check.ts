// SPDX-License-Identifier: Apache-2.0
// One case, held against the records that came: what was found on each death, and what the records say of deaths that never were.
// Pure; the live suite, the score and the kernel matrix all judge with it.
import { isTermination, type LogRecord } from '../../scripts/stack/otlp-file.ts';
import type { Case, Expectation } from './cases/case.ts';
import { CLOCK_TOLERANCE_NS, compare, isAbout } from './compare.ts';
import type { Death } from './truth.ts';

export interface Finding {
  readonly truth: Death;
  /** undefined: it must have no record. */
  readonly expected: Expectation | undefined;
  /** Those about this death. */
  readonly records: readonly LogRecord[];
  /** Each a sentence. None: it was reported as it was, once. */
  readonly differences: readonly string[];
}

/** One finding for each truth, in their order. Another number of deaths than the case expects is a difference of the last one. */
export function checkCase(
  { deaths }: Pick<Case, 'deaths'>,
  truths: readonly Death[],
  all: readonly LogRecord[],
  toleranceNs = CLOCK_TOLERANCE_NS,
): Finding[] {
  return truths.map((truth, index) => {
    const expected = deaths[index];
    const records = all.filter((record) => isAbout(truth, record, toleranceNs));
    const differences: string[] = [];
    if (deaths.length > 0 && truths.length !== deaths.length && index === truths.length - 1)
      differences.push(`${truths.length} deaths instead of ${deaths.length}`);
    const wanted = expected === undefined ? 0 : 1;
    if (records.length !== wanted)
      differences.push(`process ${truth.pid} has ${records.length} records instead of ${wanted}`);
    const [record] = records;
    if (expected !== undefined && record !== undefined)
      differences.push(...compare(truth, expected, record, toleranceNs));
    return { truth, expected, records, differences };
  });
}

/**
 * The records about a program that ends only on the undertaker's order, and about none of the terminations that it reported. An undertaker
 * that fails (`failed`: the names of its cases) kills the processes it started and reports none.
 */
export function invented(
  records: readonly LogRecord[],
  truths: readonly Death[],
  failed: readonly string[],
  isMortal: (record: LogRecord) => boolean,
  toleranceNs = CLOCK_TOLERANCE_NS,
): LogRecord[] {
  const cleared = (record: LogRecord) =>
    failed.some((name) => String(record.attributes['whodunit.sender.command_line']).endsWith(`undertaker ${name}`));
  return records.filter(
    (record) =>
      isTermination(record) &&
      isMortal(record) &&
      !cleared(record) &&
      !truths.some((truth) => isAbout(truth, record, toleranceNs)),
  );
}
