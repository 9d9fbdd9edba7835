// SPDX-License-Identifier: Apache-2.0
// A loader for tests, without a kernel: a real Unix socket that sends the lines of the test and records the lines that it receives. It
// implements the roles of docs/wire.md.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Death } from '../../src/core/wire/event.ts';
import { Decoder } from '../../src/core/wire/wire.ts';

const WIRE = new URL('../../test/wire/', import.meta.url);

/** A golden line, with its newline. */
export function golden(name: string): string {
  return readFileSync(new URL(`${name}.json`, WIRE), 'utf8');
}

/** A golden line as an object, which a test may change. */
// biome-ignore lint/suspicious/noExplicitAny: tests change any field of a line
export function goldenObject(name: string): any {
  return JSON.parse(golden(name));
}

/** A golden termination, as the service reads it. */
export function goldenDeath(name: string): Death {
  const [decoded] = new Decoder().push(Buffer.from(golden(name)));
  if (decoded?.ok !== true || decoded.message.type !== 'death') throw new Error(`${name} is not a termination`);
  return decoded.message;
}

export function line(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

export class FakeLoader {
  readonly directory = mkdtempSync(join(tmpdir(), 'whodunit-test-'));
  readonly path = join(this.directory, 'events.sock');
  /** The lines that clients sent. */
  readonly received: string[] = [];
  readonly sockets: Socket[] = [];
  connections = 0;
  /** Sent first on a new connection. */
  greeting: string | Buffer = golden('hello');
  /** Called at the first line of a client, with which it claims the consumer role. */
  onClaim: (socket: Socket) => void = (socket) => this.becomeConsumer(socket);
  #server: Server | null = null;

  becomeConsumer(socket: Socket): void {
    socket.write(line({ ...goldenObject('hello'), role: 'consumer', consumer_connected: true }));
    socket.write(golden('status'));
  }

  async start(): Promise<this> {
    const server = createServer((socket) => {
      this.connections += 1;
      this.sockets.push(socket);
      let claimed = false;
      let rest = '';
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        rest += chunk.toString();
        const lines = rest.split('\n');
        rest = lines.pop() ?? '';
        for (const text of lines) {
          this.received.push(text);
          if (!claimed) {
            claimed = true;
            this.onClaim(socket);
          }
        }
      });
      if (this.greeting.length > 0) socket.write(this.greeting);
    });
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.path, resolve);
    });
    return this;
  }

  /** Sends lines on every open connection. */
  send(...lines: (string | Buffer)[]): void {
    for (const socket of this.sockets) for (const text of lines) if (!socket.destroyed) socket.write(text);
  }

  acks(): bigint[] {
    const messages = this.received.map((text) => JSON.parse(text) as { type: string; seq: string });
    return messages.filter(({ type }) => type === 'ack').map(({ seq }) => BigInt(seq));
  }

  /** Closes the connections and the socket, as an exiting loader does. */
  async stop(): Promise<void> {
    for (const socket of this.sockets.splice(0)) socket.destroy();
    const server = this.#server;
    this.#server = null;
    if (server !== null) await new Promise((resolve) => server.close(resolve));
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Waits until `condition` returns true; throws after `ms`. The default is long, because the machine may be busy. */
export async function until(condition: () => boolean, what: string, ms = 60_000): Promise<void> {
  const end = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`waited ${ms} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
