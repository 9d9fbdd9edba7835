// SPDX-License-Identifier: Apache-2.0
// The fingerprint of a crash: the same for crashes at the same place of the same build, whatever the addresses, the process, the machine, and
// however deep a recursion was.
import { createHash } from 'node:crypto';
import type { Frame } from '../wire/crash.ts';
import { collapse, fileName } from './frames.ts';

/** Lines of the stack that make it. Callers further out differ between crashes with the same cause. */
const LINES = 5;
const HEX_DIGITS = 16;

/** Of frames without those that report the crash. null: none of them is sure, or all are code without a file. */
export function fingerprintOf(frames: readonly Frame[]): string | null {
  const lines = collapse(frames);
  const guess = lines.findIndex(({ frames: [first] }) => first.guess || first.found_by === 'cut');
  const sure = lines.slice(0, guess < 0 ? LINES : Math.min(guess, LINES));
  const places = sure.flatMap((line) => line.frames.map(placeIn));
  if (!sure.some(({ frames: [first] }) => first.module !== null)) return null;
  return createHash('sha256').update(JSON.stringify(places)).digest('hex').slice(0, HEX_DIGITS);
}

/** The same for a function in each process that runs the same build of it. Code without a file has no place that lasts. */
function placeIn({ module, build_id, function: name, address }: Frame): readonly (string | null)[] {
  return module === null ? ['', name] : [build_id ?? fileName(module), name ?? address];
}
