// SPDX-License-Identifier: Apache-2.0
// The loader's client in the role of a watcher: it acknowledges nothing, so it can run beside the service. The consumer is socket.ts.
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { basename } from 'node:path';
import type { Hello, LoaderError, LoaderStatus, Message } from '../../core/wire/event.ts';
import { Decoder } from '../../core/wire/wire.ts';
import { connectError } from './socket.ts';

const ANSWER_TIMEOUT_MS = 5_000;

export interface Watcher {
  /** Resolves when no more messages will come, with the reason. */
  readonly ended: Promise<string>;
  readonly close: () => void;
}

/** Calls `onMessage` with every message until the connection is closed. */
export function watch(path: string, onMessage: (message: Exclude<Message, LoaderError>) => void): Watcher {
  const socket = connect(path);
  const decoder = new Decoder();
  let gotHello = false;
  const ended = new Promise<string>((resolve) => {
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(connectError(path, error)));
    socket.on('close', () =>
      resolve(
        gotHello
          ? `The loader closed the connection at ${path}.`
          : `The process listening at ${path} closed the connection before hello.`,
      ),
    );
    socket.on('data', (chunk: Buffer) => {
      for (const decoded of decoder.push(chunk)) {
        if (!decoded.ok) {
          resolve(`The process listening at ${path} sent a line that cannot be decoded: ${decoded.error.message}.`);
          socket.destroy();
          return;
        }
        const { message } = decoded;
        if (message.type === 'error') resolve(`The loader answered ${message.code}: ${message.message}.`);
        else {
          gotHello ||= message.type === 'hello';
          onMessage(message);
        }
      }
    });
  });
  return { ended, close: () => void socket.destroy() };
}

/** Returns the loader's first hello and status, or why they are missing. */
export async function peek(
  path: string,
): Promise<{ hello: Hello | null; status: LoaderStatus | null; error: string | null }> {
  let hello: Hello | null = null;
  let status: LoaderStatus | null = null;
  const { promise: complete, resolve } = Promise.withResolvers<null>();
  const watcher = watch(path, (message) => {
    if (message.type === 'hello') hello = message;
    if (message.type === 'status') status = message;
    if (hello !== null && status !== null) resolve(null);
  });
  const { promise: late, resolve: tooLate } = Promise.withResolvers<string | null>();
  const timer = setTimeout(() => {
    const silent = `The process listening at ${path} did not send hello within ${ANSWER_TIMEOUT_MS} ms.`;
    tooLate(hello === null ? silent : null);
  }, ANSWER_TIMEOUT_MS);
  const error = await Promise.race([complete, late, watcher.ended]);
  clearTimeout(timer);
  watcher.close();
  return { hello, status, error };
}

/** Returns the other listening sockets on this machine with the default file name of the loader's socket. */
export function socketsElsewhere(path: string): string[] {
  let table: string;
  try {
    table = readFileSync('/proc/net/unix', 'utf8');
  } catch {
    return [];
  }
  const listening = table.split('\n').flatMap((line) => {
    const [, , , flags = '', , , , name = ''] = line.split(/\s+/);
    return (Number.parseInt(flags, 16) & SO_ACCEPTCON) !== 0 && basename(name) === SOCKET_NAME ? [name] : [];
  });
  return [...new Set(listening)].filter((name) => name !== path);
}

/** __SO_ACCEPTCON (include/linux/net.h): the socket is listening. */
const SO_ACCEPTCON = 0x10000;
/** The file name in the default of WHODUNIT_SOCKET. */
const SOCKET_NAME = 'events.sock';
