// SPDX-License-Identifier: Apache-2.0
// What of one connection may be acknowledged. Without a queue, a member of an incident is only safe when the record of the incident is
// printed: until then it stays in the ring buffer, and so does what follows it.
import type { Connection } from './socket.ts';

/** A position on a connection. */
export interface Read {
  readonly connection: Connection;
  readonly seq: bigint;
}

export class Acks {
  #connection: Connection | null = null;
  /** Positions that were handled and are not acknowledged, in order. */
  #handled: bigint[] = [];
  /** Positions of members whose record is being printed. */
  readonly #printing = new Set<bigint>();

  /** Everything up to this position is stored or printed, but for members of incidents. */
  handled({ connection, seq }: Read): void {
    // A new connection sends again what is not acknowledged.
    if (this.#connection !== connection) this.#handled = [];
    this.#connection = connection;
    this.#handled.push(seq);
  }

  /** Holds back these positions, and what follows them. The result ends that. */
  hold(positions: readonly (bigint | null)[]): () => void {
    const held = positions.filter((position) => position !== null);
    for (const position of held) this.#printing.add(position);
    return () => {
      for (const position of held) this.#printing.delete(position);
    };
  }

  /** `first`: the first position that is not safe yet. null: all are. */
  acknowledge(first: bigint | null): void {
    const unsafe = [...this.#printing, ...(first === null ? [] : [first])];
    const end = this.#handled.findIndex((seq) => unsafe.some((position) => seq >= position));
    const safe = end === -1 ? this.#handled : this.#handled.slice(0, end);
    const last = safe.at(-1);
    if (last === undefined) return;
    this.#connection?.ack(last);
    this.#handled = this.#handled.slice(safe.length);
  }
}
