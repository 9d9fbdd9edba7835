// SPDX-License-Identifier: Apache-2.0
// sd_notify into a real datagram socket. Perl opens it, because Node.js has no Unix datagram sockets and every Debian has Perl.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../scripts/stack/fake-loader.ts';
import { Log } from '../../src/io/log.ts';
import { notifier, watchdogMs } from '../../src/io/notify.ts';

const RECEIVER = `
  use Socket; $| = 1;
  socket(my $socket, PF_UNIX, SOCK_DGRAM, 0) or die $!;
  bind($socket, pack_sockaddr_un($ARGV[0])) or die $!;
  while (defined recv($socket, my $message, 4096, 0)) { print "$message\\n" }`;

let directory: string;
let path: string;
let receiver: ChildProcess;
let received: string;
let lines: string[];
const log = new Log((line) => lines.push(line));

beforeEach(async () => {
  [received, lines] = ['', []];
  directory = mkdtempSync(join(tmpdir(), 'whodunit-notify-'));
  path = join(directory, 'notify');
  receiver = spawn('perl', ['-e', RECEIVER, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  receiver.stdout?.on('data', (chunk) => {
    received += chunk;
  });
  await until(() => existsSync(path), 'the socket');
});

afterEach(async () => {
  const ended = once(receiver, 'exit');
  receiver.kill('SIGKILL');
  await ended;
  rmSync(directory, { recursive: true, force: true });
});

describe('systemd', () => {
  it('is notified when the service is ready, at each watchdog interval, and when it is stopping', async () => {
    const env = { PATH: process.env.PATH, NOTIFY_SOCKET: path, WATCHDOG_USEC: '100000', WATCHDOG_PID: '77' };
    const systemd = notifier(env, 77, log);
    await systemd?.ready();
    await until(() => received.split('WATCHDOG=1\n').length > 2, 'two watchdog messages');
    await systemd?.stopping();
    await until(() => received.includes('STOPPING=1\n'), 'STOPPING=1');
    expect(received).toMatch(/^READY=1\n(?:BARRIER=1\n|WATCHDOG=1\n)+STOPPING=1\n/);
    expect(lines).toEqual([]);
  });

  it('is not notified without NOTIFY_SOCKET', () => {
    expect(notifier({}, 1, log)).toBeNull();
  });

  it('is not notified if systemd-notify is missing: this is logged once, and the service continues', async () => {
    const systemd = notifier({ PATH: directory, NOTIFY_SOCKET: path }, 1, log);
    await systemd?.ready();
    await systemd?.stopping();
    expect(lines).toEqual([
      'whodunit: systemd was not notified of READY=1: systemd-notify cannot be run (ENOENT). Install it, or add its directory to PATH.\n',
    ]);
  });
});

it.each<[string, Record<string, string>, number | null]>([
  ['half the timeout', { WATCHDOG_USEC: '30000000', WATCHDOG_PID: '5' }, 15_000],
  ['without WATCHDOG_PID, for any process', { WATCHDOG_USEC: '30000000' }, 15_000],
  ['for another process', { WATCHDOG_USEC: '30000000', WATCHDOG_PID: '6' }, null],
  ['not set', {}, null],
  ['not a number', { WATCHDOG_USEC: 'soon' }, null],
])('the watchdog interval: %s', (_, env, ms) => {
  expect(watchdogMs(env, 5)).toBe(ms);
});
