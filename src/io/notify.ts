// SPDX-License-Identifier: Apache-2.0
// sd_notify(3): notifies systemd that the service is ready, alive or stopping, if systemd requests it. Node.js has no Unix datagram
// sockets, so systemd-notify sends the message (docs/decisions/). main.ts decides when.
import { spawn } from 'node:child_process';
import type { Log } from './log.ts';

const PROGRAM = 'systemd-notify';
/** A message that takes longer is abandoned. */
const TIMEOUT_MS = 2_000;

export interface Notifier {
  ready(): Promise<void>;
  /** Also stops the watchdog messages: the shutdown has its own timeout. */
  stopping(): Promise<void>;
}

/** Returns null if systemd did not request notifications. Leaves `env` unchanged; the methods never reject. */
export function notifier(env: Readonly<Record<string, string | undefined>>, pid: number, log: Log): Notifier | null {
  if (!env.NOTIFY_SOCKET) return null;
  const send = (message: string): Promise<void> =>
    new Promise((resolve) => {
      const child = spawn(PROGRAM, [message], {
        env: { PATH: env.PATH, NOTIFY_SOCKET: env.NOTIFY_SOCKET },
        stdio: 'ignore',
        timeout: TIMEOUT_MS,
      });
      child.once('error', (error: NodeJS.ErrnoException) => {
        log.rateLimited(
          'notify',
          `systemd was not notified of ${message}: ${PROGRAM} cannot be run (${error.code}). Install it, or add its directory to PATH.`,
        );
        resolve();
      });
      child.once('exit', (code, signal) => {
        if (code !== 0)
          log.rateLimited(
            'notify',
            `systemd was not notified of ${message}: ${PROGRAM} failed with ${code ?? signal}.`,
          );
        resolve();
      });
    });
  const everyMs = watchdogMs(env, pid);
  let watchdog: NodeJS.Timeout | null = null;
  return {
    async ready() {
      await send('READY=1');
      if (everyMs !== null) watchdog = setInterval(() => void send('WATCHDOG=1'), everyMs);
    },
    async stopping() {
      if (watchdog !== null) clearInterval(watchdog);
      await send('STOPPING=1');
    },
  };
}

/** Returns half of the watchdog's timeout, as sd_watchdog_enabled(3) advises; null: no watchdog, or one for another process. */
export function watchdogMs(env: Readonly<Record<string, string | undefined>>, pid: number): number | null {
  const { WATCHDOG_USEC: usec = '', WATCHDOG_PID: owner } = env;
  if (!/^[1-9]\d{0,14}$/.test(usec) || (owner !== undefined && owner !== String(pid))) return null;
  return Math.max(1, Math.floor(Number(usec) / 2_000));
}
