// SPDX-License-Identifier: Apache-2.0
// The arguments of one process as they may be shown (WHODUNIT_ARGUMENTS). How secrets are found is left to redact.ts.
import type { Actor } from '../wire/event.ts';
import { cutArguments, redactArguments } from './redact.ts';

export type ArgumentsMode = 'redacted' | 'full' | 'off';

/** Redacts when first asked, and once: most terminations are filtered, and no one reads their arguments. */
export class Arguments {
  readonly #args: readonly string[] | null;
  readonly #truncated: boolean;
  readonly #mode: ArgumentsMode;
  #redacted: readonly string[] | null = null;

  constructor({ args, args_truncated }: Pick<Actor, 'args' | 'args_truncated'>, mode: ArgumentsMode) {
    this.#args = args;
    this.#truncated = args_truncated;
    this.#mode = mode;
  }

  /** As the mode allows; null: not known, or not shown. */
  get shown(): readonly string[] | null {
    if (this.#args === null || this.#mode === 'off') return null;
    return this.#mode === 'full' ? cutArguments(this.#args) : this.#redact(this.#args);
  }

  /** Without secrets whatever the mode, for filter rules; null: not known. */
  get redacted(): readonly string[] | null {
    return this.#args === null ? null : this.#redact(this.#args);
  }

  /** The first argument, in any mode, and always redacted: a program may rewrite it into a title of any content. */
  get command(): string | null {
    const [first] = this.#args ?? [];
    if (first === undefined) return null;
    const redacted = this.#mode === 'redacted' ? this.redacted : redactArguments([first]);
    return redacted?.[0] ?? null;
  }

  /** null: not known, since some were cut off. */
  get count(): number | null {
    return this.#truncated ? null : (this.#args?.length ?? null);
  }

  #redact(args: readonly string[]): readonly string[] {
    this.#redacted ??= redactArguments(args);
    return this.#redacted;
  }
}
