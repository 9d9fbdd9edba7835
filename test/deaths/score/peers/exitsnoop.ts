// SPDX-License-Identifier: Apache-2.0
// libbpf-tools' exitsnoop: PCOMM, PID, PPID, TID, AGE(s), EXIT_CODE. The name may contain spaces, so columns are counted from the right.
import type { Ending } from '../observed.ts';
import type { Peer } from './peer.ts';

const LINE = /^.*?\s(\d+)\s+\d+\s+\d+\s+\d+\.\d+\s+(?:0|code (\d+)|signal (\d+)\b.*)$/;

export const exitsnoop: Peer = {
  name: 'exitsnoop',
  package: 'libbpf-tools',
  command: ['stdbuf', '-oL', 'exitsnoop'],
  shows: ['status'],
  parse: (line) => {
    const [all, pid, code, signal] = LINE.exec(line) ?? [];
    if (all === undefined) return undefined;
    const ending: Ending = signal === undefined ? { code: Number(code ?? 0) } : { signal: Number(signal) };
    return { kind: 'end', pid: Number(pid), ending };
  },
};
