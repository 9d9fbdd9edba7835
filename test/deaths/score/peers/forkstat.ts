// SPDX-License-Identifier: Apache-2.0
// forkstat, which reads the kernel's process connector: Time, Event, PID, Info, Duration, Process. Info of an exit is the status of
// wait(2). It prints exits of threads like those of processes; the clone events show which pids are threads.
import { endingOf } from '../observed.ts';
import type { Peer } from './peer.ts';

const EXIT = /^\d\d:\d\d:\d\d exit\s+(\d+)\s+(\d+)\s/;
const THREAD = /^\d\d:\d\d:\d\d clone\s+(\d+) thread\s/;

export const forkstat: Peer = {
  name: 'forkstat',
  package: 'forkstat',
  command: ['forkstat', '-l', '-e', 'exit,clone'],
  shows: ['status'],
  parse: (line) => {
    const [exit, pid, status] = EXIT.exec(line) ?? [];
    if (exit !== undefined) return { kind: 'end', pid: Number(pid), ending: endingOf(Number(status)) };
    const [thread, tid] = THREAD.exec(line) ?? [];
    return thread === undefined ? undefined : { kind: 'thread', pid: Number(tid) };
  },
};
