// SPDX-License-Identifier: Apache-2.0
// The arguments of one process, as WHODUNIT_ARGUMENTS allows them to be shown. redact.ts finds the secrets.
import type { Actor, Death, Signal } from '../wire/event.ts';
import { cutArguments, redactArguments } from './redact.ts';

export type ArgumentsMode = 'redacted' | 'full' | 'off';

/** The termination without the arguments of its processes and their ancestors: where they are not shown, no name is made of them. */
export function withoutArguments(death: Death): Death {
  const of = <Task extends Pick<Actor, 'args' | 'ancestors'>>(task: Task): Task => ({
    ...task,
    args: null,
    ancestors: task.ancestors.map((ancestor) => ({ ...ancestor, args: null })),
  });
  const without = (signal: Signal | null): Signal | null =>
    signal === null ? null : { ...signal, sender: of(signal.sender) };
  const { process, signal, request, stop } = death;
  return {
    ...death,
    process: of(process),
    signal: without(signal),
    request: without(request),
    stop: stop === null ? null : { ...stop, signal: { ...stop.signal, sender: of(stop.signal.sender) } },
  };
}

/** Redacts lazily, and once: most terminations are filtered, and their arguments are never read. */
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

  /** The arguments as the mode allows. null: not known, or not shown. */
  get shown(): readonly string[] | null {
    if (this.#args === null || this.#mode === 'off') return null;
    return this.#mode === 'full' ? cutArguments(this.#args) : this.#redact(this.#args);
  }

  /** Redacted in every mode, for filter rules. null: not known. */
  get redacted(): readonly string[] | null {
    return this.#args === null ? null : this.#redact(this.#args);
  }

  /** The first argument, in any mode and always redacted: a program may set a title of any content (setproctitle(3)). */
  get command(): string | null {
    const [first] = this.#args ?? [];
    if (first === undefined) return null;
    const redacted = this.#mode === 'redacted' ? this.redacted : redactArguments([first]);
    return redacted?.[0] ?? null;
  }

  /** null: not known, because the arguments were cut. */
  get count(): number | null {
    return this.#truncated ? null : (this.#args?.length ?? null);
  }

  #redact(args: readonly string[]): readonly string[] {
    this.#redacted ??= redactArguments(args);
    return this.#redacted;
  }
}
