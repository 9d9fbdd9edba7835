// SPDX-License-Identifier: Apache-2.0
// The uids of the records in a collector's file, and how often each arrived. Reads only the uids: a fleet sends more than can be parsed
// beside it.
import { AppendedLines } from '../scripts/stack/otlp-file.ts';

const UID = /"key":"log\.record\.uid","value":\{"stringValue":"([^"]+)"\}/g;

export class Arrived {
  readonly #lines: AppendedLines;
  readonly #times = new Map<string, number>();

  constructor(path: string) {
    this.#lines = new AppendedLines(path);
  }

  /** Reads what was appended since the last call. */
  read(): void {
    for (const text of this.#lines.read())
      for (const [, uid = ''] of text.matchAll(UID)) this.#times.set(uid, (this.#times.get(uid) ?? 0) + 1);
  }

  hasAll(uids: readonly string[]): boolean {
    return uids.every((uid) => this.#times.has(uid));
  }

  /** How many of these have not arrived, and how many arrived again. */
  compare(uids: readonly string[]): { missing: number; copies: number } {
    const times = uids.map((uid) => this.#times.get(uid) ?? 0);
    return {
      missing: times.filter((one) => one === 0).length,
      copies: times.reduce((sum, one) => sum + Math.max(0, one - 1), 0),
    };
  }
}
