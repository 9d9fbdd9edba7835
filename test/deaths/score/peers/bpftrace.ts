// SPDX-License-Identifier: Apache-2.0
// bpftrace with the obvious program: the two tracepoints that its documentation names, and `exit_code` of the task.
import { endingOf, type Observation } from '../observed.ts';
import type { Peer } from './peer.ts';

const PROGRAM = `
tracepoint:sched:sched_process_exit /pid == tid/ {
  printf("exit %d %d\\n", pid, ((struct task_struct *)curtask)->exit_code);
}
tracepoint:signal:signal_generate {
  printf("signal %d to %d from %d %s code %d\\n", args->sig, args->pid, pid, comm, args->code);
}`;
const EXIT = /^exit (\d+) (\d+)$/;
const SIGNAL = /^signal (\d+) to (\d+) from (\d+) (.*) code (-?\d+)$/;

/** Values of `si_code`: above SI_USER the kernel sent the signal (SI_KERNEL, a fault code); SI_TIMER is a timer. */
const SI_USER = 0;
const SI_TIMER = -2;

function parse(line: string): Observation | undefined {
  const [exit, pid, status] = EXIT.exec(line) ?? [];
  if (exit !== undefined) return { kind: 'end', pid: Number(pid), ending: endingOf(Number(status)) };
  const [sent, signal, target, sender, comm, code] = SIGNAL.exec(line) ?? [];
  if (sent === undefined || comm === undefined) return undefined;
  const byProcess = Number(code) <= SI_USER && Number(code) !== SI_TIMER;
  return {
    kind: 'signal',
    pid: Number(target),
    signal: Number(signal),
    sender: byProcess ? { pid: Number(sender), comm } : null,
  };
}

export const bpftrace: Peer = {
  name: 'bpftrace',
  package: 'bpftrace',
  command: ['bpftrace', '-B', 'line', '-e', PROGRAM],
  shows: ['status', 'sender'],
  parse,
};
