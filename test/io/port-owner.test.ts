// SPDX-License-Identifier: Apache-2.0
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryDirectory } from '../../scripts/stack/program.ts';
import { describeOwner, portOwner } from '../../src/io/port-owner.ts';

it.each(['127.0.0.1', '::1'])('names the process that listens on a port of %s', async (host) => {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  expect(portOwner(port)).toMatchObject({ pid: process.pid, uid: process.getuid?.(), name: expect.any(String) });
  server.close();
  await once(server, 'close');
  expect(portOwner(port)).toBeNull();
});

it('names the user where the process cannot be seen, and no one for a port that only a client uses', () => {
  const proc = temporaryDirectory();
  mkdirSync(join(proc.path, 'net'));
  const row = (port: string, state: string) =>
    `   0: 0100007F:${port} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0 0 10 0\n`;
  writeFileSync(join(proc.path, 'net/tcp'), `  sl  local_address\n${row('24F9', '0A')}${row('24FA', '01')}`);
  expect(portOwner(9465, proc.path)).toEqual({ uid: 1000, pid: null, name: null });
  expect(describeOwner(portOwner(9465, proc.path))).toBe(' by a process of uid 1000');
  expect(describeOwner(portOwner(9466, proc.path))).toBe('');
  proc.remove();
});
