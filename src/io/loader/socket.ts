// SPDX-License-Identifier: Apache-2.0
// The loader's client in the role of the consumer: an endless stream of messages, across restarts of the loader. It reconnects after every
// failure and counts lines that cannot be decoded. Back-pressure: while the caller does not pull, nothing is read from the socket, and
// events wait in the ring buffer. pipeline.ts handles the messages; watcher.ts is the client in the role of a watcher.
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import type { DuplexOptions } from 'node:stream';
import type { WireError } from '../../core/errors.ts';
import type { LoaderSnapshot } from '../../core/snapshots.ts';
import { lossInTheRing } from '../../core/status.ts';
import type { Death, Hello, LoaderStatus, Message, Request, RequestEnd, Restart } from '../../core/wire/event.ts';
import type { Gap } from '../../core/wire/gap.ts';
import type { Equal, Repeat, RepeatIds } from '../../core/wire/repeat.ts';
import { type Decoded, Decoder, encodeAck, encodeArm, encodeCounted } from '../../core/wire/wire.ts';
import { visibleJson } from '../../core/words/visible.ts';
import type { Log } from '../log.ts';
import { sleep } from '../sleep.ts';
import { CHUNK_BYTES, chunksOf } from './chunks.ts';

const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 5_000;
/** A peer that sends no hello within this time is not the loader. */
const HELLO_TIMEOUT_MS = 5_000;
class HelloTimeout extends Error {}

/** `unreadable`: a termination that could not be decoded, except for its ring position. */
export type LoaderMessage =
  | Death
  | Restart
  | Request
  | RequestEnd
  | Gap
  | Equal
  | Repeat
  | RepeatIds
  | Hello
  | LoaderStatus
  | { readonly type: 'unreadable'; readonly seq: bigint };

/** The messages of one chunk, at least one, and the connection that delivered them. */
export interface Received {
  readonly messages: readonly LoaderMessage[];
  /** The last hello of this connection. Its boot id applies to the messages. */
  readonly hello: Hello;
  readonly connection: Connection;
}

/** One connection. After it is closed, messages are dropped: the loader sends what is unacknowledged again on the next connection. */
export interface Connection {
  ack(seq: bigint): void;
  /** Asks to only count the terminations with this key until a time of CLOCK_BOOTTIME. */
  arm(key: string, as: Repeat['as'], untilNs: bigint): void;
  /** Acknowledges the total of an entry. */
  counted(id: bigint, total: bigint): void;
}

export interface LoaderReaderOptions {
  readonly path: string;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Why a connection was closed, and whether it had received a hello. */
interface Closed {
  readonly reason: string;
  readonly gotHello: boolean;
}

export class LoaderReader {
  readonly #options: LoaderReaderOptions;
  #connected = false;
  #hello: Hello | null = null;
  #status: LoaderStatus | null = null;
  #error: string | null = null;
  #badLines = 0;
  #badTerminations = 0;

  constructor(options: LoaderReaderOptions) {
    this.#options = options;
  }

  snapshot(): LoaderSnapshot {
    return {
      connected: this.#connected,
      hello: this.#hello,
      status: this.#status,
      error: this.#error,
      badLines: this.#badLines,
      badTerminations: this.#badTerminations,
    };
  }

  /** Yields what is received until the signal is aborted. Never throws; reconnects after every failure. */
  async *read(): AsyncGenerator<Received, void> {
    const { log, signal } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      const closed = yield* this.#readConnection();
      if (signal.aborted) return;
      if (closed.gotHello) failures = 0;
      // A new reason is logged at once, the same one once a minute.
      if (closed.reason !== this.#error) log.reset('socket');
      this.#error = closed.reason;
      log.rateLimited('socket', `${closed.reason} Retrying.`);
      const delay = Math.min(BACKOFF_FIRST_MS * 2 ** failures, BACKOFF_MAX_MS) * (0.75 + Math.random() / 2);
      failures = Math.min(failures + 1, 10);
      await sleep(delay, signal);
    }
  }

  async *#readConnection(): AsyncGenerator<Received, Closed> {
    const { path, signal } = this.#options;
    const options: NetConnectOpts & DuplexOptions = { path, highWaterMark: CHUNK_BYTES };
    const socket = connect(options);
    const stop = (): void => void socket.destroy();
    signal.addEventListener('abort', stop, { once: true });
    const helloTimer = setTimeout(() => socket.destroy(new HelloTimeout()), HELLO_TIMEOUT_MS);
    // The iterator below throws the error; without a listener, a later one would terminate the process.
    socket.on('error', () => {});
    const session = new Session(socket);
    const decoder = new Decoder();
    let reason = `The loader closed the connection at ${path}.`;
    try {
      for await (const chunk of chunksOf(socket)) {
        const { messages, failure } = this.#interpret(decoder.push(chunk), session);
        const { hello } = session;
        if (hello !== null) clearTimeout(helloTimer);
        if (hello !== null && messages.length > 0) yield { messages, hello, connection: session };
        if (failure !== null) {
          reason = failure;
          break;
        }
      }
      if (!signal.aborted) for (const last of decoder.end()) if (!last.ok) this.#countBadLine(last.error);
    } catch (error) {
      reason = connectError(path, error as NodeJS.ErrnoException);
    } finally {
      clearTimeout(helloTimer);
      signal.removeEventListener('abort', stop);
      session.close();
      socket.destroy();
      this.#connected = false;
    }
    return { reason, gotHello: session.hello !== null };
  }

  /** `failure`: why the connection cannot be used; null: it can. */
  #interpret(lines: readonly Decoded[], session: Session): { messages: LoaderMessage[]; failure: string | null } {
    const messages: LoaderMessage[] = [];
    for (const line of lines) {
      const failure = line.ok
        ? this.#take(line.message, session, messages)
        : this.#takeBadLine(line.error, session, messages);
      if (failure !== null) return { messages, failure };
    }
    return { messages, failure: null };
  }

  #take(message: Message, session: Session, messages: LoaderMessage[]): string | null {
    const { path } = this.#options;
    if (message.type === 'error') return loaderError(path, message.code, message.message);
    if (session.hello === null && message.type !== 'hello')
      return `The process listening at ${path} is not whodunit-loader (it sent ${message.type} before hello): check WHODUNIT_SOCKET.`;
    if (message.type === 'hello') {
      session.acceptHello(message);
      this.#acceptHello(message);
    }
    if (message.type === 'status') this.#takeStatus(message);
    // A watcher receives only new events. The consumer receives them again, after all earlier ones: acknowledging an event now would
    // also acknowledge earlier events that were not received yet.
    if ('seq' in message && session.hello?.role === 'watcher') return null;
    messages.push(message);
    return null;
  }

  #takeStatus(status: LoaderStatus): void {
    const before = this.#status ?? status;
    this.#status = status;
    const loss = lossInTheRing(status);
    if (loss !== null && status.lost.ring_full > before.lost.ring_full)
      this.#options.log.rateLimited('lost in the ring', loss, 'error');
  }

  #takeBadLine(error: WireError, session: Session, messages: LoaderMessage[]): string | null {
    if (session.hello === null) {
      this.#badLines += 1;
      return notALoader(this.#options.path, error);
    }
    if (error.lostTermination && session.hello.role === 'watcher') return null;
    this.#countBadLine(error);
    if (error.seq !== null) messages.push({ type: 'unreadable', seq: error.seq });
    return null;
  }

  #acceptHello(hello: Hello): void {
    const { path, log } = this.#options;
    this.#connected = true;
    this.#hello = hello;
    if (hello.role === 'watcher') return;
    this.#error = null;
    log.reset('socket');
    const { loader_version: version, kernel_release: kernel } = hello;
    log.rateLimited('connected', `connected to the loader at ${path} (loader ${version}, kernel ${kernel})`, 'info');
    for (const { name, attached, note } of hello.probes)
      if (!attached) log.rateLimited(`probe ${name}`, `probe ${name} is not attached: ${note ?? 'no reason given'}`);
  }

  #countBadLine(error: WireError): void {
    this.#badLines += 1;
    if (error.lostTermination) this.#badTerminations += 1;
    const { code, message, sample } = error;
    this.#options.log.rateLimited(
      'bad line',
      `A line from the loader was skipped and counted (${code}: ${message}). It begins with ${visibleJson(sample)}.`,
    );
  }
}

/** The state of one connection: its last hello, and what was acknowledged. */
class Session implements Connection {
  #socket: Socket | null;
  #acked = 0n;
  hello: Hello | null = null;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Answers the first hello with ack 0, which claims the role of the consumer. */
  acceptHello(hello: Hello): void {
    if (this.hello === null) this.#socket?.write(encodeAck(0n));
    this.hello = hello;
  }

  ack(seq: bigint): void {
    if (this.#socket === null || seq <= this.#acked) return;
    this.#acked = seq;
    this.#socket.write(encodeAck(seq));
  }

  arm(key: string, as: Repeat['as'], untilNs: bigint): void {
    this.#socket?.write(encodeArm(key, as, untilNs));
  }

  counted(id: bigint, total: bigint): void {
    this.#socket?.write(encodeCounted(id, total));
  }

  close(): void {
    this.#socket = null;
  }
}

function notALoader(path: string, error: WireError): string {
  if (error.code === 'WIRE_VERSION') {
    return `The loader at ${path} uses another version of the protocol (${error.message}): install loader and service of the same release.`;
  }
  return `The process listening at ${path} is not whodunit-loader (${error.message}): check WHODUNIT_SOCKET.`;
}

function loaderError(path: string, code: string, message: string): string {
  if (code === 'CONSUMER_TAKEN') {
    return `Another whodunit already reads from ${path} (${message}): stop it, or run this one with another loader.`;
  }
  return `The loader at ${path} closed the connection with ${code}: ${message}.`;
}

/** Returns why a connection failed, with the remedy. */
export function connectError(path: string, error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return `The loader is not running: no process listens at ${path}. Start it as root with: whodunit-loader run.`;
    case 'EACCES':
    case 'EPERM':
      return `Permission denied for ${path}: run as root, or as the user in WHODUNIT_SOCKET_USER, who must be in WHODUNIT_SOCKET_GROUP, of the loader.`;
    case 'ENOTSOCK':
      return `${path} is not a socket: check WHODUNIT_SOCKET.`;
    default:
      if (error instanceof HelloTimeout)
        return `The process listening at ${path} is not whodunit-loader (no hello within ${HELLO_TIMEOUT_MS} ms): check WHODUNIT_SOCKET.`;
      return `The connection to the loader at ${path} failed with ${error.code ?? error.message}.`;
  }
}
