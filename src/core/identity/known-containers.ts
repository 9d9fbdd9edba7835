// SPDX-License-Identifier: Apache-2.0
// The containers that a runtime has named: those that there are, and those that are gone, as a termination may be read after its container was
// removed (`docker run --rm`). Only a runtime of root fills it, so that there are no shares.
import type { ContainerFacts } from './runtime-answers.ts';

export const CONTAINERS_MAX = 4_096;
export const GONE_MAX = 1_024;

export class KnownContainers {
  readonly #present = new Map<string, ContainerFacts>();
  /** The first one went first. */
  readonly #gone = new Map<string, ContainerFacts>();
  #forgotten = 0;

  get size(): number {
    return this.#present.size;
  }

  /** Containers that were forgotten while they existed, as there were more than CONTAINERS_MAX. */
  get forgotten(): number {
    return this.#forgotten;
  }

  /** null: not known. */
  get(id: string): ContainerFacts | null {
    return this.#present.get(id) ?? this.#gone.get(id) ?? null;
  }

  add(id: string, facts: ContainerFacts): void {
    this.#gone.delete(id);
    this.#present.set(id, facts);
    if (this.#present.size <= CONTAINERS_MAX) return;
    const [oldest] = this.#present.keys();
    if (oldest !== undefined) this.#present.delete(oldest);
    this.#forgotten += 1;
  }

  remove(id: string): void {
    const facts = this.#present.get(id);
    if (facts === undefined) return;
    this.#present.delete(id);
    this.#gone.set(id, facts);
    const [first] = this.#gone.keys();
    if (this.#gone.size > GONE_MAX && first !== undefined) this.#gone.delete(first);
  }

  /** These are all that there are. */
  replace(all: readonly (readonly [id: string, facts: ContainerFacts])[]): void {
    const listed = new Map(all);
    for (const id of this.#present.keys()) if (!listed.has(id)) this.remove(id);
    for (const [id, facts] of listed) this.add(id, facts);
  }
}
