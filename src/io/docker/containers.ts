// SPDX-License-Identifier: Apache-2.0
// The names of containers, from Docker's or Podman's socket (WHODUNIT_DOCKER_SOCKET; docs/decisions/0096). One list at the start, then events:
// a container is known before its first process terminates, and remembered when it is gone. No termination waits for an answer: one of a
// container that is not known has its id, and the runtime is asked for the next one. Nothing here throws, or stops the service.
import { setTimeout as wait } from 'node:timers/promises';
import { KnownContainers } from '../../core/identity/known-containers.ts';
import {
  type ContainerFacts,
  EVENTS,
  readContainer,
  readEvent,
  readList,
} from '../../core/identity/runtime-answers.ts';
import type { ContainersSnapshot } from '../../core/snapshots.ts';
import type { Log } from '../log.ts';
import { sleep } from '../sleep.ts';
import { AnswerError, get, getJson, linesOf } from './request.ts';

const TIMEOUT_MS = 5_000;
/** Those that were created last; a further one is asked for when it is needed. */
const LISTED_MAX = 1_024;
const LIST_BYTES_MAX = 8 * 1024 * 1024;
const CONTAINER_BYTES_MAX = 1024 * 1024;
const EVENT_CHARS_MAX = 65_536;
/** A runtime that says more is read later. */
const EVENTS_PER_SECOND_MAX = 1_000;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 60_000;
/** Containers that are to be asked for, one after the other, and those that the runtime does not know. */
const ASKED_MAX = 64;
const UNKNOWN_MAX = 1_024;
const UNKNOWN_VALID_MS = 60_000;
const ID = /^[0-9a-f]{64}$/;

const filters = encodeURIComponent(JSON.stringify({ type: ['container'], event: EVENTS }));
const EVENTS_PATH = `/events?filters=${filters}`;
const LIST_PATH = `/containers/json?all=1&limit=${LISTED_MAX}`;

export interface DockerOptions {
  readonly path: string;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
}

export class DockerContainers {
  readonly #options: DockerOptions;
  readonly #timeoutMs: number;
  readonly #known = new KnownContainers();
  /** Until when the runtime is not asked again, by id. */
  readonly #unknown = new Map<string, number>();
  readonly #asked = new Set<string>();
  #asking = false;
  #connected = false;
  #error: string | null = null;
  #failures = 0;
  #unreadable = 0;

  constructor(options: DockerOptions) {
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  }

  snapshot(): ContainersSnapshot {
    return {
      path: this.#options.path,
      connected: this.#connected,
      known: this.#known.size,
      forgotten: this.#known.forgotten,
      failures: this.#failures,
      unreadable: this.#unreadable,
      error: this.#error,
    };
  }

  /** What is known of it now; null: nothing. */
  find(id: string | null): ContainerFacts | null {
    if (id === null) return null;
    const facts = this.#known.get(id);
    if (facts === null) this.#askFor(id);
    return facts;
  }

  /** Follows the runtime until the signal is aborted. Never rejects. */
  async follow(): Promise<void> {
    const { signal } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      const reason = await this.#followOnce().catch((error: Error) => error);
      if (signal.aborted) return;
      if (this.#connected) failures = 0;
      this.#connected = false;
      this.#fail(reason);
      await sleep(Math.min(BACKOFF_FIRST_MS * 2 ** failures, BACKOFF_MAX_MS) * (0.75 + Math.random() / 2), signal);
      failures = Math.min(failures + 1, 10);
    }
  }

  /** The events are subscribed to before the list is read: none is missed in between. Resolves with why they ended. */
  async #followOnce(): Promise<Error> {
    const { path, signal, log } = this.#options;
    const events = await get(path, EVENTS_PATH, this.#timeoutMs, signal);
    // The iterator throws it; until then, it must not be without a listener.
    events.on('error', () => {});
    try {
      const listed = await this.#list().catch((error: Error) => error);
      this.#connected = true;
      if (listed instanceof Error) this.#fail(listed);
      else {
        this.#error = null;
        log.reset('docker');
        log.rateLimited('docker connected', `containers are named by ${path} (${listed} at present)`, 'info');
      }
      for await (const lines of linesOf(events, EVENT_CHARS_MAX)) {
        for (const line of lines) this.#take(line);
        if (lines.length > 0) await wait((lines.length * 1_000) / EVENTS_PER_SECOND_MAX, null, { signal });
      }
    } finally {
      events.destroy();
    }
    return new AnswerError('closed the connection');
  }

  /** Returns how many there are. Without the list, containers are asked for one by one. */
  async #list(): Promise<number> {
    const { path, signal } = this.#options;
    const answer = await getJson(path, LIST_PATH, { timeoutMs: this.#timeoutMs, bytesMax: LIST_BYTES_MAX }, signal);
    const list = readList(answer);
    if (list === undefined) throw new AnswerError('did not answer GET /containers/json with a list of containers');
    this.#unreadable += list.unreadable;
    this.#unknown.clear();
    this.#known.replace(list.containers);
    return list.containers.length;
  }

  #take(line: string | null): void {
    const event = line === null ? undefined : readEvent(parsed(line));
    if (event === undefined) {
      if (line?.trim() !== '') this.#unreadable += 1;
      return;
    }
    this.#unknown.delete(event.id);
    if (event.kind === 'known') this.#known.add(event.id, event.facts);
    else this.#known.remove(event.id);
  }

  #askFor(id: string): void {
    if (!this.#connected || !ID.test(id) || this.#asked.size >= ASKED_MAX) return;
    const until = this.#unknown.get(id);
    if (until !== undefined && performance.now() < until) return;
    this.#asked.add(id);
    if (!this.#asking) void this.#askAll();
  }

  async #askAll(): Promise<void> {
    this.#asking = true;
    for (const id of this.#asked) {
      await this.#ask(id);
      this.#asked.delete(id);
    }
    this.#asking = false;
  }

  async #ask(id: string): Promise<void> {
    const { path, signal } = this.#options;
    const limits = { timeoutMs: this.#timeoutMs, bytesMax: CONTAINER_BYTES_MAX };
    try {
      const facts = readContainer(await getJson(path, `/containers/${id}/json`, limits, signal), id);
      if (facts === undefined) throw new AnswerError(`did not answer GET /containers/${id}/json with that container`);
      this.#known.add(id, facts);
    } catch (error) {
      this.#forgo(id);
      // Of another runtime, as containerd, or removed in the meantime.
      if (!signal.aborted && !(error instanceof AnswerError && error.status === 404)) this.#fail(error as Error);
    }
  }

  #forgo(id: string): void {
    this.#unknown.delete(id);
    this.#unknown.set(id, performance.now() + UNKNOWN_VALID_MS);
    const [first] = this.#unknown.keys();
    if (this.#unknown.size > UNKNOWN_MAX && first !== undefined) this.#unknown.delete(first);
  }

  #fail(error: Error): void {
    const { path, log } = this.#options;
    this.#failures += 1;
    this.#error = sentenceOf(path, error);
    log.rateLimited('docker', this.#error);
  }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** Why containers may have no names, with the remedy. */
function sentenceOf(path: string, error: NodeJS.ErrnoException): string {
  const without = 'Records are complete without the names of containers.';
  switch (error.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return `Neither Docker nor Podman listens at ${path} (${error.code}): start it, or correct or unset WHODUNIT_DOCKER_SOCKET. ${without}`;
    case 'EACCES':
    case 'EPERM':
      return `Permission denied for ${path}: add the user of the service to the group of the socket, or unset WHODUNIT_DOCKER_SOCKET. ${without}`;
    default: {
      const what = error instanceof AnswerError ? error.message : `failed with ${error.code ?? error.message}`;
      return `The runtime at ${path} ${what}: check WHODUNIT_DOCKER_SOCKET. ${without}`;
    }
  }
}
