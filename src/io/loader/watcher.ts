// SPDX-License-Identifier: Apache-2.0
// A look at what the loader says, without becoming its consumer: nothing is acknowledged, so it can be done beside the service. The
// service's own way to read is socket.ts.
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { basename } from 'node:path';
import type { Hello, LoaderError, LoaderStatus, Message } from '../../core/wire/event.ts';
import { Decoder } from '../../core/wire/wire.ts';
import { connectError } from './socket.ts';

const ANSWER_TIMEOUT_MS = 5_000;

export interface Watcher {
  /** Resolves when no more will be heard, with the reason. */
  readonly ended: Promise<string>;
  readonly close: () => void;
}

/** Lets `hear` hear every message until the connection ends. */
export function watch(path: string, hear: (message: Exclude<Message, LoaderError>) => void): Watcher {
  const socket = connect(path);
  const decoder = new Decoder();
  let greeted = false;
  const ended = new Promise<string>((resolve) => {
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(connectError(path, error)));
    socket.on('close', () => resolve(greeted ? `${path} was closed.` : `${path} closed the connection without hello.`));
    socket.on('data', (chunk: Buffer) => {
      for (const decoded of decoder.push(chunk)) {
        if (!decoded.ok) {
          resolve(`${path} sent a line that cannot be read: ${decoded.error.message}.`);
          socket.destroy();
          return;
        }
        const { message } = decoded;
        if (message.type === 'error') resolve(`The loader answered ${message.code}: ${message.message}.`);
        else {
          greeted ||= message.type === 'hello';
          hear(message);
        }
      }
    });
  });
  return { ended, close: () => void socket.destroy() };
}

/** The first hello and status that the loader gives, or why it gives none. */
export async function peek(
  path: string,
): Promise<{ hello: Hello | null; status: LoaderStatus | null; error: string | null }> {
  let hello: Hello | null = null;
  let status: LoaderStatus | null = null;
  const { promise: told, resolve } = Promise.withResolvers<null>();
  const watcher = watch(path, (message) => {
    if (message.type === 'hello') hello = message;
    if (message.type === 'status') status = message;
    if (hello !== null && status !== null) resolve(null);
  });
  const { promise: late, resolve: tooLate } = Promise.withResolvers<string | null>();
  const timer = setTimeout(
    () => tooLate(hello === null ? `What listens at ${path} did not say hello within ${ANSWER_TIMEOUT_MS} ms.` : null),
    ANSWER_TIMEOUT_MS,
  );
  const error = await Promise.race([told, late, watcher.ended]);
  clearTimeout(timer);
  watcher.close();
  return { hello, status, error };
}

/** Sockets of that name on which somebody listens elsewhere on this machine: what was meant, perhaps. */
export function socketsElsewhere(path: string): string[] {
  let table: string;
  try {
    table = readFileSync('/proc/net/unix', 'utf8');
  } catch {
    return [];
  }
  const listening = table.split('\n').flatMap((line) => {
    const [, , , flags = '', , , , name = ''] = line.split(/\s+/);
    return (Number.parseInt(flags, 16) & SO_ACCEPTCON) !== 0 && LOADERS_NAMES.has(basename(name)) ? [name] : [];
  });
  return [...new Set(listening)].filter((name) => name !== path);
}

/** __SO_ACCEPTCON of include/linux/net.h: somebody listens. */
const SO_ACCEPTCON = 0x10000;
/** What the loader's socket is called unless somebody renamed it. */
const LOADERS_NAMES: ReadonlySet<string> = new Set(['events.sock']);
