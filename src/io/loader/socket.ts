// SPDX-License-Identifier: Apache-2.0
// The consumer's side of the loader's socket: an endless stream of messages that survives restarts of the loader. It claims the role of
// the consumer, reconnects forever and counts the lines that it cannot read. Back-pressure is the stream's own: while the caller does not
// pull, nothing is read, and the ring buffer is the queue. What the messages mean is left to the pipeline.
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import type { DuplexOptions } from 'node:stream';
import type { WireError } from '../../core/errors.ts';
import type { LoaderSnapshot } from '../../core/status.ts';
import type { Death, Hello, LoaderStatus, Message, Restart } from '../../core/wire/event.ts';
import { type Decoded, Decoder, encodeAck } from '../../core/wire/wire.ts';
import type { Log } from '../log.ts';
import { sleep } from '../sleep.ts';

const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 5_000;
/** A peer that sends nothing for so long after the connection was made is not the loader. */
const HELLO_TIMEOUT_MS = 5_000;
/** The most that one read returns. While a chunk is written to disk in one transaction, the next one fills up. */
const CHUNK_BYTES = 262_144;

/** `unreadable`: a termination that could not be read, but whose ring position could. */
export type LoaderMessage =
  | Death
  | Restart
  | Hello
  | LoaderStatus
  | { readonly type: 'unreadable'; readonly seq: bigint };

/** The messages of one chunk, at least one, with the connection that they came on. */
export interface Received {
  readonly messages: readonly LoaderMessage[];
  /** The greeting of this connection: the boot of the terminations. */
  readonly hello: Hello;
  readonly connection: Connection;
}

/** One connection. Acks after its end are dropped: what they were for is sent again on the next connection. */
export interface Connection {
  ack(seq: bigint): void;
}

export interface LoaderReaderOptions {
  readonly path: string;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** How a connection ended. */
interface Ended {
  readonly reason: string;
  readonly greeted: boolean;
}

export class LoaderReader {
  readonly #options: LoaderReaderOptions;
  #connected = false;
  #hello: Hello | null = null;
  #status: LoaderStatus | null = null;
  #error: string | null = null;
  #badLines = 0;
  #badDeaths = 0;

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
      badDeaths: this.#badDeaths,
    };
  }

  /** Yields what is received until the signal is aborted. Never throws; reconnects after every failure. */
  async *read(): AsyncGenerator<Received, void> {
    const { log, signal } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      const ended = yield* this.#readConnection();
      if (signal.aborted) return;
      if (ended.greeted) failures = 0;
      // A new reason is logged at once, the same one once a minute.
      if (ended.reason !== this.#error) log.reset('socket');
      this.#error = ended.reason;
      log.rateLimited('socket', `${ended.reason} Retrying.`);
      const delay = Math.min(BACKOFF_FIRST_MS * 2 ** failures, BACKOFF_MAX_MS) * (0.75 + Math.random() / 2);
      failures = Math.min(failures + 1, 10);
      await sleep(delay, signal);
    }
  }

  async *#readConnection(): AsyncGenerator<Received, Ended> {
    const { path, signal } = this.#options;
    const options: NetConnectOpts & DuplexOptions = { path, highWaterMark: CHUNK_BYTES };
    const socket = connect(options);
    const stop = (): void => void socket.destroy();
    signal.addEventListener('abort', stop, { once: true });
    const silence = setTimeout(() => socket.destroy(new Error('HELLO_TIMEOUT')), HELLO_TIMEOUT_MS);
    // The iterator below throws the error; without a listener a late one would end the program.
    socket.on('error', () => {});
    const session = new Session(socket);
    const decoder = new Decoder();
    let reason = `The loader closed the connection at ${path}.`;
    try {
      for await (const chunk of socket as AsyncIterable<Buffer>) {
        const { messages, ended } = this.#interpret(decoder.push(chunk), session);
        const { hello } = session;
        if (hello !== null) clearTimeout(silence);
        if (hello !== null && messages.length > 0) yield { messages, hello, connection: session };
        if (ended !== null) {
          reason = ended;
          break;
        }
      }
      if (!signal.aborted) for (const half of decoder.end()) if (!half.ok) this.#countBadLine(half.error);
    } catch (error) {
      reason = connectError(path, error as NodeJS.ErrnoException);
    } finally {
      clearTimeout(silence);
      signal.removeEventListener('abort', stop);
      session.close();
      socket.destroy();
      this.#connected = false;
    }
    return { reason, greeted: session.hello !== null };
  }

  /** `ended`: why the connection cannot be used; null: it can. */
  #interpret(lines: readonly Decoded[], session: Session): { messages: LoaderMessage[]; ended: string | null } {
    const messages: LoaderMessage[] = [];
    for (const line of lines) {
      const ended = line.ok
        ? this.#take(line.message, session, messages)
        : this.#takeBadLine(line.error, session, messages);
      if (ended !== null) return { messages, ended };
    }
    return { messages, ended: null };
  }

  #take(message: Message, session: Session, messages: LoaderMessage[]): string | null {
    const { path } = this.#options;
    if (message.type === 'error') return loaderError(path, message.code, message.message);
    if (session.hello === null && message.type !== 'hello')
      return `The process listening at ${path} sent ${message.type} before hello; is it whodunit-loader?`;
    if (message.type === 'hello') {
      session.greet(message);
      this.#greeted(message);
    }
    if (message.type === 'status') this.#status = message;
    // A watcher gets only events that happen now. The consumer gets them again, after those that happened before: to acknowledge one
    // received as a watcher would acknowledge earlier ones that have not been received yet.
    if ('seq' in message && session.hello?.role === 'watcher') return null;
    messages.push(message);
    return null;
  }

  #takeBadLine(error: WireError, session: Session, messages: LoaderMessage[]): string | null {
    if (session.hello === null) {
      this.#badLines += 1;
      return notALoader(this.#options.path, error);
    }
    if (error.lostDeath && session.hello.role === 'watcher') return null;
    this.#countBadLine(error);
    if (error.seq !== null) messages.push({ type: 'unreadable', seq: error.seq });
    return null;
  }

  #greeted(hello: Hello): void {
    const { path, log } = this.#options;
    this.#connected = true;
    this.#hello = hello;
    if (hello.role === 'watcher') return;
    this.#error = null;
    log.reset('socket');
    const { loader_version: version, kernel_release: kernel } = hello;
    log.rateLimited('connected', `connected to the loader at ${path} (loader ${version}, kernel ${kernel})`);
    for (const { name, attached, note } of hello.probes)
      if (!attached) log.rateLimited(`probe ${name}`, `probe ${name} is not attached: ${note ?? 'no reason given'}`);
  }

  #countBadLine(error: WireError): void {
    this.#badLines += 1;
    if (error.lostDeath) this.#badDeaths += 1;
    const { code, message, sample } = error;
    this.#options.log.rateLimited(
      'bad line',
      `${code}: ${message}; the line begins with ${JSON.stringify(sample)}. It is skipped and counted.`,
    );
  }
}

/** The state of one connection: its greeting, and what was acknowledged on it. */
class Session implements Connection {
  #socket: Socket | null;
  #acked = 0n;
  hello: Hello | null = null;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** The first greeting is answered with a claim to the role of the consumer. */
  greet(hello: Hello): void {
    if (this.hello === null) this.#socket?.write(encodeAck(0n));
    this.hello = hello;
  }

  ack(seq: bigint): void {
    if (this.#socket === null || seq <= this.#acked) return;
    this.#acked = seq;
    this.#socket.write(encodeAck(seq));
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
  if (code === 'CONSUMER_TAKEN') return `Another whodunit already reads from ${path} (${message}).`;
  return `The loader at ${path} closed the connection with ${code}: ${message}.`;
}

/** One sentence with the remedy for a connection that failed. */
export function connectError(path: string, error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return `The loader is not running: no process listens at ${path}. Start it as root with: whodunit-loader run.`;
    case 'EACCES':
    case 'EPERM':
      return `Permission denied for ${path}: run as root, or as a member of the group that owns the socket.`;
    case 'ENOTSOCK':
      return `${path} is not a socket: check WHODUNIT_SOCKET.`;
    default:
      if (error.message === 'HELLO_TIMEOUT')
        return `The process listening at ${path} sent nothing for ${HELLO_TIMEOUT_MS} ms; is it whodunit-loader?`;
      return `The connection to the loader at ${path} failed with ${error.code ?? error.message}.`;
  }
}
