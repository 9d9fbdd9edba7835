// SPDX-License-Identifier: Apache-2.0
// One step of `whodunit doctor --test`, and the line that is printed for it.

/** `afterMs`: since the kill; null: before it. `broken`: this step failed, and none follows. */
export interface Step {
  readonly what: string;
  readonly afterMs: number | null;
  readonly text: string;
  readonly broken: boolean;
}

export function reached(what: string, afterMs: number | null, text: string): Step {
  return { what, afterMs, text, broken: false };
}

export function broken(what: string, afterMs: number | null, text: string): Step {
  return { what, afterMs, text, broken: true };
}

export function renderStep({ what, afterMs, text, broken: isBroken }: Step): string {
  const time = afterMs === null ? '' : `${afterMs.toFixed(0)} ms`;
  return `${isBroken ? 'BROKEN' : 'ok    '}  ${time.padStart(8)}  ${what.padEnd(11)}  ${text}\n`;
}
