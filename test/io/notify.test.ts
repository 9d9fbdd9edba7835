// SPDX-License-Identifier: Apache-2.0
// sd_notify into a real datagram socket. Perl holds it: it is on every Debian, and Node has no such sockets.
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
let heard: string;
let lines: string[];
const log = new Log((line) => lines.push(line));

beforeEach(async () => {
  [heard, lines] = ['', []];
  directory = mkdtempSync(join(tmpdir(), 'whodunit-notify-'));
  path = join(directory, 'notify');
  receiver = spawn('perl', ['-e', RECEIVER, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  receiver.stdout?.on('data', (chunk) => {
    heard += chunk;
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
  it('is notified that the service is ready, regularly that it is alive, and that it is stopping', async () => {
    const env = { PATH: process.env.PATH, NOTIFY_SOCKET: path, WATCHDOG_USEC: '100000', WATCHDOG_PID: '77' };
    const systemd = notifier(env, 77, log);
    await systemd?.ready();
    await until(() => heard.split('WATCHDOG=1\n').length > 2, 'two pings');
    await systemd?.stopping();
    await until(() => heard.includes('STOPPING=1\n'), 'the end');
    expect(heard).toMatch(/^READY=1\n(?:BARRIER=1\n|WATCHDOG=1\n)+STOPPING=1\n/);
    expect(lines).toEqual([]);
  });

  it('is not notified if it did not ask', () => {
    expect(notifier({}, 1, log)).toBeNull();
  });

  it('cannot be notified without its program, which is logged once and stops nothing', async () => {
    const systemd = notifier({ PATH: directory, NOTIFY_SOCKET: path }, 1, log);
    await systemd?.ready();
    await systemd?.stopping();
    expect(lines).toEqual(['whodunit: systemd was not notified of READY=1: systemd-notify cannot be run (ENOENT).\n']);
  });
});

it.each<[string, Record<string, string>, number | null]>([
  ['half the time', { WATCHDOG_USEC: '30000000', WATCHDOG_PID: '5' }, 15_000],
  ['without a pid it is for everyone', { WATCHDOG_USEC: '30000000' }, 15_000],
  ['of another process', { WATCHDOG_USEC: '30000000', WATCHDOG_PID: '6' }, null],
  ['none', {}, null],
  ['nonsense', { WATCHDOG_USEC: 'soon' }, null],
])('the watchdog: %s', (_, env, ms) => {
  expect(watchdogMs(env, 5)).toBe(ms);
});
