// SPDX-License-Identifier: Apache-2.0
// Two tools that print the same table of signals, TIME, PID, COMM, SIG, TPID, RESULT: libbpf-tools' sigsnoop, at the tracepoint
// signal_generate, and bpftrace's killsnoop.bt, at the system call kill(2).
import type { Observation } from '../observed.ts';
import type { Peer } from './peer.ts';

const LINE = /^\d\d:\d\d:\d\d\s+(\d+)\s+(.*?)\s+(\d+)\s+(-?\d+)\s+-?\d+\s*$/;

function parse(line: string): Observation | undefined {
  const [all, pid, comm, signal, target] = LINE.exec(line) ?? [];
  if (all === undefined || comm === undefined) return undefined;
  return { kind: 'signal', pid: Number(target), signal: Number(signal), sender: { pid: Number(pid), comm } };
}

export const sigsnoop: Peer = {
  name: 'sigsnoop',
  package: 'libbpf-tools',
  command: ['stdbuf', '-oL', 'sigsnoop'],
  shows: ['sender'],
  parse,
};

export const killsnoop: Peer = {
  name: 'killsnoop.bt',
  package: 'bpftrace',
  command: ['bpftrace', '-B', 'line', '/usr/sbin/killsnoop.bt'],
  shows: ['sender'],
  parse,
};
