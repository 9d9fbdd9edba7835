// SPDX-License-Identifier: Apache-2.0
// Requests, and terminations by those who carry them out, for table tests.
import type { Actor, Death, Request, RequestEnd } from '../../src/core/wire/event.ts';
import { actor, END, killedBy, OFFSET, signal, victim } from './deadly.ts';

const MS = 1_000_000n;
/** When the signal of stopped() was sent. */
export const SENT = END - MS;

export const SUDO: Actor['ancestors'] = [
  { pid: 511, start_boottime_ns: 8_000_000_000n, comm: 'sudo', exe: '/usr/bin/sudo', uid: 0 },
  { pid: 500, start_boottime_ns: 7_000_000_000n, comm: 'bash', exe: '/usr/bin/bash', uid: 1000 },
];

/** A tool executed by root, `agoMs` before the signal. */
export function request(
  commandLine: string,
  changes: Partial<Request> & { readonly agoMs?: number; readonly by?: Partial<Actor> } = {},
): Request {
  const { agoMs = 50, by = {}, ...rest } = changes;
  const args = commandLine.split(' ');
  const tool = args[0] ?? '';
  const timeNs = SENT - BigInt(agoMs) * MS;
  return {
    type: 'request',
    seq: 1n,
    time_ns: timeNs,
    clock_offset_ns: OFFSET,
    origin: { cgroup: 1n, uid: 0 },
    tool,
    script: null,
    file_owner: 0,
    init_signal: null,
    process: actor({
      pid: 512,
      tid: 512,
      start_boottime_ns: timeNs - MS,
      comm: tool.slice(0, 15),
      uid: 0,
      exe: `/usr/bin/${tool}`,
      args,
      ancestors: [],
      ...by,
    }),
    ...rest,
  };
}

/** The tool ended `afterMs` after the signal (before it, if negative). */
export function endOf({ process }: Request, statusRaw = 0, afterMs = 20): RequestEnd {
  return {
    type: 'request_end',
    seq: 2n,
    time_ns: SENT + BigInt(afterMs) * MS,
    clock_offset_ns: OFFSET,
    origin: { cgroup: 1n, uid: 0 },
    pid: process.pid,
    start_boottime_ns: process.start_boottime_ns,
    status_raw: statusRaw,
  };
}

export const SYSTEMD = actor({
  pid: 1,
  tid: 1,
  start_boottime_ns: 1_000_000n,
  comm: 'systemd',
  uid: 0,
  exe: '/usr/lib/systemd/systemd',
  args: ['/sbin/init'],
  cgroup: '/init.scope',
  ancestors: [],
});
export const RUNC = actor({
  pid: 700,
  tid: 700,
  comm: 'runc',
  uid: 0,
  exe: '/usr/bin/runc',
  args: ['runc', 'kill'],
  cgroup: '/system.slice/docker.service',
  ancestors: [{ pid: 690, comm: 'containerd-shim', start_boottime_ns: 4_000_000_000n }],
});
const CONTAINER = 'a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90';

/** A process of web.service, stopped by systemd. */
export function stopped(signo = 15, changes: Partial<Death> = {}, sender: Actor = SYSTEMD): Death {
  const process = victim({ comm: 'web', exe: '/usr/sbin/web', args: ['web'], cgroup: '/system.slice/web.service' });
  return killedBy(signo, {
    process,
    signal: signal(signo, { sender, siginfo_pid: sender.pid, time_ns: SENT }),
    ...changes,
  });
}

/** A process of a container, stopped by runc. */
export function stoppedContainer(signo = 15, changes: Partial<Death> = {}): Death {
  const process = victim({
    comm: 'app',
    exe: '/app',
    args: ['/app'],
    cgroup: `/system.slice/docker-${CONTAINER}.scope`,
  });
  return stopped(signo, { process, ...changes }, RUNC);
}
