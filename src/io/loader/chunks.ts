// SPDX-License-Identifier: Apache-2.0
// What arrives on the socket, in pieces that become one batch each: one transaction, one acknowledgement.
import type { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';

/** Maximum size of what is buffered while a chunk is handled. The kernel's buffer of the socket is smaller. */
export const CHUNK_BYTES = 262_144;
/** Node.js reads so much with one system call, and passes it on before it reads again. */
export const READ_BYTES = 65_536;

/** Yields each read with what waits behind it: in a storm, a transaction for each read costs more than what it stores. */
export async function* chunksOf(socket: Readable): AsyncGenerator<Buffer, void> {
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    if (chunk.length < READ_BYTES) {
      yield chunk;
      continue;
    }
    await setImmediate();
    const more: Buffer | null = socket.read();
    yield more === null ? chunk : Buffer.concat([chunk, more]);
  }
}
