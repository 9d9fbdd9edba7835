// SPDX-License-Identifier: Apache-2.0
// New records, as server-sent events (WHATWG HTML, 9.2): each open page hears that there are some, and asks for what it shows.
import type { ServerResponse } from 'node:http';
import type { LiveEvent } from '../../core/page/answers.ts';
import { rowOf } from '../../core/page/row.ts';
import type { History } from './answers.ts';

/** Half of a second in which a person calls something immediate. The history answers "nothing new" from memory. */
const POLL_MS = 250;
const KEEP_ALIVE_MS = 15_000;
const STREAMS_MAX = 16;

export class Live {
  readonly #history: () => History;
  readonly #streams = new Set<ServerResponse>();
  #cursor: string | null = null;
  #poll: NodeJS.Timeout | null = null;
  #keepAlive: NodeJS.Timeout | null = null;
  #failure = '';

  constructor(history: () => History) {
    this.#history = history;
  }

  /** Adds a page. False: there are too many. */
  add(stream: ServerResponse): boolean {
    if (this.#streams.size >= STREAMS_MAX) return false;
    stream.writeHead(200, { 'content-type': 'text/event-stream' });
    stream.write('retry: 1000\n\n');
    this.#streams.add(stream);
    stream.once('close', () => this.#remove(stream));
    if (this.#poll !== null) return true;
    this.#cursor = null;
    this.#look(); // from now on
    this.#poll = setInterval(() => this.#look(), POLL_MS);
    this.#keepAlive = setInterval(() => this.#send(':\n\n'), KEEP_ALIVE_MS);
    return true;
  }

  close(): void {
    for (const stream of this.#streams) stream.end();
  }

  #remove(stream: ServerResponse): void {
    this.#streams.delete(stream);
    if (this.#streams.size > 0) return;
    clearInterval(this.#poll ?? undefined);
    clearInterval(this.#keepAlive ?? undefined);
    this.#poll = null;
  }

  #look(): void {
    try {
      const { entries, cursor } = this.#history().since(this.#cursor);
      this.#cursor = cursor;
      const newest = entries.at(-1);
      if (newest !== undefined || this.#failure !== '')
        this.#event({ kind: 'records', newest: newest === undefined ? null : rowOf(newest) });
      this.#failure = '';
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#failure) this.#event({ kind: 'error', message });
      this.#failure = message;
    }
  }

  #event(event: LiveEvent): void {
    this.#send(`data: ${JSON.stringify(event)}\n\n`);
  }

  /** A page that does not read is closed: it connects again. */
  #send(text: string): void {
    for (const stream of this.#streams)
      if (!stream.write(text) && stream.writableLength > WAITING_BYTES_MAX) stream.destroy();
  }
}

const WAITING_BYTES_MAX = 65_536;
