// SPDX-License-Identifier: Apache-2.0
// The Unix socket of the loader: an endless stream of messages that survives the loader. Claims the role of the consumer,
// reconnects for ever, counts what it cannot read. Back-pressure is the stream's own: who does not pull does not read, and the
// kernel's ring is the queue. What the messages mean is left to others.
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import type { DuplexOptions } from 'node:stream';
import type { WireError } from '../../core/errors.ts';
import type { Death, Hello, LoaderStatus, Restart } from '../../core/wire/event.ts';
import { Decoder, encodeAck } from '../../core/wire/wire.ts';
import type { Log } from '../log.ts';
import { sleep } from '../sleep.ts';
import type { Stats } from '../stats.ts';

const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 5_000;
/** A connection that said nothing for this long after it was made is no loader. */
const HELLO_TIMEOUT_MS = 5_000;
/** What is read ahead while the last piece is written to disk: the next one is as large, and goes there in one transaction. */
const CHUNK_BYTES = 262_144;

/** `unreadable`: a death that could not be read, whose position still could. */
export type LoaderMessage =
  | Death
  | Restart
  | Hello
  | LoaderStatus
  | { readonly type: 'unreadable'; readonly seq: bigint };

/** What came in one piece, never nothing, with the connection it came from: an ack counts only there. */
export interface Received {
  readonly messages: readonly LoaderMessage[];
  readonly connection: Connection;
}

/** One connection. Acks of an earlier connection are dropped: what they were for is sent again on the next. */
export interface Connection {
  ack(seq: bigint): void;
}

export interface SocketOptions {
  readonly path: string;
  readonly stats: Stats;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Every message until `signal` is aborted, in the pieces in which they come. Never throws; connects again whatever happens. */
export async function* readLoader(options: SocketOptions): AsyncGenerator<Received, void> {
  const { stats, log, signal } = options;
  let failures = 0;
  while (!signal.aborted) {
    const ended = yield* readConnection(options);
    if (signal.aborted) return;
    if (ended.helloSeen) failures = 0;
    // A new reason is news at once; the same one once a minute.
    if (ended.reason !== stats.socketError) log.over('socket');
    stats.socketError = ended.reason;
    log.seldom('socket', `${ended.reason} Trying again.`);
    const delay = Math.min(BACKOFF_FIRST_MS * 2 ** failures, BACKOFF_MAX_MS) * (0.75 + Math.random() / 2);
    failures = Math.min(failures + 1, 10);
    await sleep(delay, signal);
  }
}

interface Ended {
  readonly reason: string;
  readonly helloSeen: boolean;
}

async function* readConnection({ path, stats, log, signal }: SocketOptions): AsyncGenerator<Received, Ended> {
  const options: NetConnectOpts & DuplexOptions = { path, highWaterMark: CHUNK_BYTES };
  const socket = connect(options);
  const stop = (): void => void socket.destroy();
  signal.addEventListener('abort', stop, { once: true });
  const silence = setTimeout(() => socket.destroy(new Error('HELLO_TIMEOUT')), HELLO_TIMEOUT_MS);
  // The iterator below throws the error; without a listener a late one would end the program.
  socket.on('error', () => {});
  const connection = new AckWriter(socket);
  const decoder = new Decoder();
  let hello: Hello | null = null;
  let reason = `The loader closed the connection at ${path}.`;
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      const messages: LoaderMessage[] = [];
      let ended = false;
      for (const decoded of decoder.push(chunk)) {
        if (!decoded.ok) {
          const { error } = decoded;
          if (hello === null) {
            reason = refusal(path, error);
            stats.badLines += 1;
            ended = true;
            break;
          }
          if (error.lostDeath && hello.role === 'watcher') continue;
          countBad(error, stats, log);
          if (error.seq !== null) messages.push({ type: 'unreadable', seq: error.seq });
          continue;
        }
        const { message } = decoded;
        if (message.type === 'error') {
          reason = loaderError(path, message.code, message.message);
          ended = true;
          break;
        }
        if (hello === null && message.type !== 'hello') {
          reason = `What listens at ${path} sent ${message.type} before hello: not whodunit-loader?`;
          ended = true;
          break;
        }
        if (message.type === 'hello') {
          clearTimeout(silence);
          if (hello === null) connection.claim();
          hello = message;
          connected(stats, message, log, path);
        }
        // A watcher hears of those who die, or run again, just now. They come again to the consumer, after those who died before them: an
        // ack of one would cover these, too, which are not yet here.
        if ('seq' in message && hello?.role === 'watcher') continue;
        messages.push(message);
      }
      if (messages.length > 0) yield { messages, connection };
      if (ended) break;
    }
    if (!signal.aborted) for (const half of decoder.end()) if (!half.ok) countBad(half.error, stats, log);
  } catch (error) {
    reason = connectError(path, error as NodeJS.ErrnoException);
  } finally {
    clearTimeout(silence);
    signal.removeEventListener('abort', stop);
    connection.close();
    socket.destroy();
    stats.connected = false;
  }
  return { reason, helloSeen: hello !== null };
}

class AckWriter implements Connection {
  #socket: Socket | null;
  #acked = 0n;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  claim(): void {
    this.#socket?.write(encodeAck(0n));
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

function connected(stats: Stats, hello: Hello, log: Log, path: string): void {
  stats.connected = true;
  stats.hello = hello;
  if (hello.role === 'watcher') return;
  stats.socketError = null;
  log.over('socket');
  log.seldom(
    'connected',
    `reading deaths from ${path} (loader ${hello.loader_version}, kernel ${hello.kernel_release})`,
  );
  for (const probe of hello.probes) {
    if (!probe.attached)
      log.seldom(`probe ${probe.name}`, `probe ${probe.name} is not attached: ${probe.note ?? 'no reason given'}`);
  }
}

function countBad(error: WireError, stats: Stats, log: Log): void {
  stats.badLines += 1;
  if (error.lostDeath) stats.badDeaths += 1;
  log.seldom('bad line', `${error.code}: ${error.message}; it begins with ${JSON.stringify(error.sample)}`);
}

function refusal(path: string, error: WireError): string {
  if (error.code === 'WIRE_VERSION') {
    return `The loader at ${path} speaks another version of the protocol (${error.message}): install loader and service of the same release.`;
  }
  return `What listens at ${path} does not speak like whodunit-loader (${error.message}): check WHODUNIT_SOCKET.`;
}

function loaderError(path: string, code: string, message: string): string {
  if (code === 'CONSUMER_TAKEN') return `Another whodunit already reads from ${path} (${message}).`;
  return `The loader at ${path} ended the connection with ${code}: ${message}.`;
}

/** One sentence with the remedy for a connection that failed. */
export function connectError(path: string, error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return `The loader is not running: nobody listens at ${path}. Start it as root with: whodunit-loader run.`;
    case 'EACCES':
    case 'EPERM':
      return `Not allowed to open ${path}: run as root, or as a member of the group that owns it.`;
    case 'ENOTSOCK':
      return `${path} is not a socket: check WHODUNIT_SOCKET.`;
    default:
      if (error.message === 'HELLO_TIMEOUT')
        return `What listens at ${path} said nothing for ${HELLO_TIMEOUT_MS} ms: not whodunit-loader?`;
      return `The connection to the loader at ${path} failed with ${error.code ?? error.message}.`;
  }
}
