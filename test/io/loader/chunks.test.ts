// SPDX-License-Identifier: Apache-2.0
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { CHUNK_BYTES, chunksOf, READ_BYTES } from '../../../src/io/loader/chunks.ts';

const WHOLE = Buffer.alloc(READ_BYTES, 'a');

function stream(): Readable {
  return new Readable({ highWaterMark: CHUNK_BYTES, read() {} });
}

describe('what arrives on the socket', () => {
  it('is one chunk with what waits behind a whole read', async () => {
    const socket = stream();
    const chunks = chunksOf(socket);
    const first = chunks.next();
    socket.push(WHOLE);
    // Before the immediate of the reader.
    setImmediate(() => socket.push('bc'));
    const { value } = await first;
    expect(value?.length).toBe(READ_BYTES + 2);
    expect(value?.subarray(-3).toString()).toBe('abc');
  });

  it('does not wait if less than a whole read arrived', async () => {
    const socket = stream();
    const chunks = chunksOf(socket);
    const first = chunks.next();
    socket.push('a');
    expect((await first).value?.toString()).toBe('a');
  });

  it('is complete and in order', async () => {
    const socket = stream();
    const sent = Buffer.concat([WHOLE, Buffer.from('b'), WHOLE, WHOLE, Buffer.from('c')]);
    for (let at = 0; at < sent.length; at += READ_BYTES)
      setTimeout(() => socket.push(sent.subarray(at, at + READ_BYTES)), 1);
    setTimeout(() => socket.push(null), 20);
    const read: Buffer[] = [];
    for await (const chunk of chunksOf(socket)) read.push(chunk);
    expect(Buffer.concat(read).equals(sent)).toBe(true);
  });

  it('comes before the error that ends it', async () => {
    const socket = stream();
    socket.on('error', () => {});
    const chunks = chunksOf(socket);
    const first = chunks.next();
    socket.push(WHOLE);
    setImmediate(() => socket.destroy(new Error('reset')));
    expect((await first).value?.length).toBe(READ_BYTES);
    await expect(chunks.next()).rejects.toThrow('reset');
  });
});
