// SPDX-License-Identifier: Apache-2.0
// Writing to stdout and stderr, whose readers may be slow or gone. A text is written when the kernel has taken it: what is left in the
// stream's buffer is lost at the exit. console.ts renders records; printer.ts decides what becomes of those that cannot be written.
import { fstatSync, writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { EXIT_OUTPUT, FatalError } from '../core/errors.ts';

/** stdout or stderr, as Node.js makes it. `_handle`: a terminal's, not documented. */
export type Output = Writable & {
  readonly isTTY?: boolean;
  readonly _handle?: { readonly fd?: number; readonly setBlocking?: (blocking: boolean) => void };
};

/**
 * Node.js writes to a terminal synchronously: while its output is stopped (Ctrl-S, a suspended ssh), the whole process would wait. libuv
 * opens the terminal again, for a descriptor of its own, where permissions allow it. Only then can it be non-blocking: a shared one
 * would be so for the shell, too.
 */
export function neverBlock(stream: Output & { readonly fd?: number }): void {
  const handle = stream._handle;
  if (stream.isTTY === true && handle?.fd !== undefined && handle.fd !== stream.fd) handle.setBlocking?.(false);
}

/** Device number of /dev/null (Linux, Documentation/admin-guide/devices.txt: 1, 3). */
const NULL_DEVICE = 0x103;

/** What is written there is gone. Node.js also opens it in place of a descriptor that is closed. */
export function isNull(fd: number): boolean {
  const file = fstatSync(fd);
  return file.isCharacterDevice() && file.rdev === NULL_DEVICE;
}

/** Returns the stream; for a file, one that writes everything: that of Node.js ignores that a full disk took only a part. */
export function complete(stream: Output & { readonly fd: number }): Output {
  const { fd } = stream;
  if (!fstatSync(fd).isFile()) return stream;
  return new Writable({
    write(text: Buffer, _, done) {
      try {
        for (let written = 0; written < text.length; ) written += writeSync(fd, text, written);
        done();
      } catch (error) {
        done(error as NodeJS.ErrnoException);
      }
    },
  });
}

/** Resolves when the kernel has taken the text, with the error if it cannot be written. Never rejects. */
export function write(stream: Writable, text: string): Promise<NodeJS.ErrnoException | null> {
  return new Promise((resolve) => void stream.write(text, (error) => resolve(error ?? null)));
}

/** Writes the output of a command that then exits. A reader that closed the pipe (`| head`) has read what it wanted. */
export async function print(text: string): Promise<void> {
  const error = await write(process.stdout, text);
  if (error !== null && error.code !== 'EPIPE') throw outputLost(error);
}

export function outputLost(error: NodeJS.ErrnoException, rest = ''): FatalError {
  const remedy = error.code === 'EPIPE' ? 'its reader is gone' : `writing failed with ${error.code ?? error.message}`;
  return new FatalError('OUTPUT_LOST', `stdout cannot be written: ${remedy}.${rest}`, EXIT_OUTPUT);
}
