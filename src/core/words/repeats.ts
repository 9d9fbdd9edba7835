// SPDX-License-Identifier: Apache-2.0
// What the log says of terminations that the kernel counted (core/filter/repeats.ts).

/** Their key is not known. */
export function unknownRepeats(count: number): string {
  return `${count} terminations were counted in the kernel for an earlier service, whose state is not in WHODUNIT_STATE_DIR: they are counted, but no summary has them.`;
}
