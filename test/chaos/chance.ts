// SPDX-License-Identifier: Apache-2.0
// Reproducible randomness: the same seed gives the same choices.
import { createHash } from 'node:crypto';

/** Returns a generator of numbers in [0, 1). */
export function chance(seed: number): () => number {
  let drawn = 0;
  return () => {
    drawn += 1;
    return createHash('sha256').update(`${seed}/${drawn}`).digest().readUInt32BE() / 2 ** 32;
  };
}

export function oneOf<T>(random: () => number, choices: readonly [T, ...T[]]): T {
  return choices[Math.floor(random() * choices.length)] ?? choices[0];
}
