// SPDX-License-Identifier: Apache-2.0
// sd_notify(3): tells systemd that the service is ready, alive, and stopping, where systemd asked to be told. Node has no datagram
// sockets of the Unix kind, so systemd's own program does it (docs/decisions/). What ready means is left to main.ts.
import { spawn } from 'node:child_process';
import type { Log } from './log.ts';

const PROGRAM = 'systemd-notify';
/** A message that takes longer is given up: systemd is not waited for. */
const TIMEOUT_MS = 2_000;

export interface Notifier {
  ready(): Promise<void>;
  /** Also ends the watchdog's pings: what follows has a limit of its own. */
  stopping(): Promise<void>;
}

/** null where nobody asked. Takes no variable out of `env`; its methods never reject. */
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
        log.seldom('notify', `systemd is not told ${message}: ${PROGRAM} cannot be run (${error.code}).`);
        resolve();
      });
      child.once('exit', (code, signal) => {
        if (code !== 0)
          log.seldom('notify', `systemd is not told ${message}: ${PROGRAM} ended with ${code ?? signal}.`);
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

/** Half of the time that the watchdog gives, as sd_watchdog_enabled(3) advises. null: there is none, or it is another process's. */
export function watchdogMs(env: Readonly<Record<string, string | undefined>>, pid: number): number | null {
  const { WATCHDOG_USEC: usec = '', WATCHDOG_PID: whose } = env;
  if (!/^[1-9]\d{0,14}$/.test(usec) || (whose !== undefined && whose !== String(pid))) return null;
  return Math.max(1, Math.floor(Number(usec) / 2_000));
}
