// SPDX-License-Identifier: Apache-2.0
// Remembers results of a pure function whose arguments repeat: it changes nothing but the time that a result takes. The processes of a storm
// have the same arguments and ancestors, and what is made of them takes longer than everything else that is concluded.

/** Longer keys are not remembered, so that a memo is limited in bytes. */
const KEY_CHARS_MAX = 1_024;

export class Memo<T> {
  readonly #limit: number;
  // Two generations: deleting members one by one is the most expensive operation of a Map.
  #young = new Map<string, T>();
  #old: ReadonlyMap<string, T> = new Map();

  /** It has at most twice as many results as `limit`. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The result of `compute` for this key; callers must not change it. */
  of(key: string, compute: () => T): T {
    if (key.length > KEY_CHARS_MAX) return compute();
    const known = this.#young.get(key);
    if (known !== undefined) return known;
    const value = this.#old.get(key) ?? compute();
    this.#young.set(key, value);
    if (this.#young.size >= this.#limit) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    return value;
  }
}

/** A key for texts of a process: none of them contains the NUL that ends it. */
export function textKey(texts: readonly string[]): string {
  return `${texts.length}\0${texts.join('\0')}`;
}
