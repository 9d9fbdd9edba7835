// SPDX-License-Identifier: Apache-2.0
// Compares one case with the records that arrived, and finds records without a termination. Pure. The suite, the score and the kernel
// matrix use it.
import { isTermination, type LogRecord } from '../../scripts/stack/otlp-file.ts';
import type { Case, Expectation } from './cases/case.ts';
import { CLOCK_TOLERANCE_NS, compare, isAbout } from './compare.ts';
import type { Death } from './truth.ts';

export interface Finding {
  readonly truth: Death;
  /** undefined: the termination must have no record. */
  readonly expected: Expectation | undefined;
  /** The records about this termination. */
  readonly records: readonly LogRecord[];
  /** One sentence for each difference. Empty: there is one record, and it is correct. */
  readonly differences: readonly string[];
}

/** Returns one finding for each truth, in order. An unexpected number of terminations is a difference of the last one. */
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
 * Returns the records of mortal, which only terminates when the undertaker runs it, that match no reported termination. An undertaker that
 * fails (`failed`: the ids of its cases) kills the processes it started and reports none, so these are left out. Where records have no arguments,
 * which undertaker it was is not known.
 */
export function invented(
  records: readonly LogRecord[],
  truths: readonly Death[],
  failed: readonly string[],
  isMortal: (record: LogRecord) => boolean,
  toleranceNs = CLOCK_TOLERANCE_NS,
): LogRecord[] {
  const cleared = ({ attributes, resource }: LogRecord) => {
    const ancestors = attributes['whodunit.process.ancestor_command_lines'];
    const lines = [attributes['whodunit.sender.command_line'], ...(Array.isArray(ancestors) ? ancestors : [])];
    if (lines.every((line) => line === undefined))
      return (
        failed.length > 0 &&
        attributes['whodunit.sender.name'] === 'undertaker' &&
        attributes['whodunit.sender.pid'] === resource['process.parent_pid']
      );
    return failed.some((name) => lines.some((line) => /undertaker (\S+)(?: \(|$)/.exec(String(line))?.[1] === name));
  };
  return records.filter(
    (record) =>
      isTermination(record) &&
      isMortal(record) &&
      !cleared(record) &&
      !truths.some((truth) => isAbout(truth, record, toleranceNs)),
  );
}
