// SPDX-License-Identifier: Apache-2.0
// Lines that the tools printed on Debian 12, Linux 6.18, and what they mean.
import { describe, expect, it } from 'vitest';
import type { Observation } from '../observed.ts';
import { bpftrace } from './bpftrace.ts';
import { exitsnoop } from './exitsnoop.ts';
import { forkstat } from './forkstat.ts';
import { peers } from './index.ts';
import type { Peer } from './peer.ts';
import { killsnoop, sigsnoop } from './sigsnoop.ts';
import { allowedProcessors } from './watch.ts';

const exit = (pid: number, code: number): Observation => ({ kind: 'end', pid, ending: { code } });
const death = (pid: number, signal: number): Observation => ({ kind: 'end', pid, ending: { signal } });
const sent = (pid: number, signal: number, sender: number, comm: string): Observation => ({
  kind: 'signal',
  pid,
  signal,
  sender: { pid: sender, comm },
});

const lines: [Peer, string, Observation | undefined][] = [
  [exitsnoop, 'PCOMM            PID     PPID    TID     AGE(s)  EXIT_CODE', undefined],
  [exitsnoop, 'bash             32700   32324   32700   0.30    0', exit(32700, 0)],
  [exitsnoop, 'two words        32681   32324   32681   0.00    code 3', exit(32681, 3)],
  [exitsnoop, 'npm run build    23580   23579   23580   2.57    0', exit(23580, 0)],
  [exitsnoop, 'bash             32694   32324   32694   0.00    signal 15 (Terminated)', death(32694, 15)],
  [
    exitsnoop,
    'mortal           32682   32324   32682   0.00    signal 11 (Segmentation fault), core dumped',
    death(32682, 11),
  ],

  [forkstat, 'Time     Event   PID Info   Duration Process', undefined],
  [forkstat, '10:10:46 exit  32700      0   0.305s bash -c sleep 9 & sleep .3;  kill -9 $!; wait ', exit(32700, 0)],
  [forkstat, '10:01:32 exit  27682    256   0.001s /usr/bin/readlink pip-rehash.bash ', exit(27682, 1)],
  [forkstat, '10:10:46 exit  32747     15   0.004s mortal wait ', death(32747, 15)],
  [forkstat, '10:10:46 exit  32682    139   0.007s mortal segfault ', death(32682, 11)],
  [forkstat, '10:10:46 clone 32747 parent          mortal wait ', undefined],
  [forkstat, '10:10:46 clone 32748 thread          mortal wait ', { kind: 'thread', pid: 32748 }],

  [bpftrace, 'Attaching 2 probes...', undefined],
  [bpftrace, 'exit 32694 15', death(32694, 15)],
  [bpftrace, 'exit 24786 256', exit(24786, 1)],
  [bpftrace, 'signal 15 to 32751 from 32754 undertaker code 0', sent(32751, 15, 32754, 'undertaker')],
  [bpftrace, 'signal 14 to 32695 from 32670 tsc code 128', { kind: 'signal', pid: 32695, signal: 14, sender: null }],
  [
    bpftrace,
    'signal 14 to 25100 from 25135 dpkg-query code -2',
    { kind: 'signal', pid: 25100, signal: 14, sender: null },
  ],
  [bpftrace, 'signal 6 to 25138 from 25138 two mortals code -6', sent(25138, 6, 25138, 'two mortals')],

  [sigsnoop, 'TIME     PID     COMM             SIG       TPID    RESULT', undefined],
  [sigsnoop, '10:10:46 32754   undertaker       15        32747   0     ', sent(32747, 15, 32754, 'undertaker')],
  [sigsnoop, '10:10:46 32681   two words        17        32324   0     ', sent(32324, 17, 32681, 'two words')],
  [killsnoop, 'Tracing kill() signals... Hit Ctrl-C to end.', undefined],
  [killsnoop, 'TIME      PID    COMM             SIG  TPID   RESULT', undefined],
  [killsnoop, '10:10:46  32700  bash             9    32701  0', sent(32701, 9, 32700, 'bash')],
  [killsnoop, '10:10:46  32754  undertaker       15   -32747 0', sent(-32747, 15, 32754, 'undertaker')],
];

describe('the output of another tool', () => {
  it.each(lines.map(([peer, line, observed]) => [peer.name, line, peer, observed] as const))(
    '%s: %s',
    (_, line, peer, observed) => {
      expect(peer.parse(line)).toEqual(observed);
    },
  );

  it('the list of allowed processors is parsed', () => {
    expect(allowedProcessors('Cpus_allowed:\tff\nCpus_allowed_list:\t0-2,5\n')).toEqual([0, 1, 2, 5]);
    expect(allowedProcessors('Cpus_allowed_list:\t3\n')).toEqual([3]);
  });

  it('every tool is covered here', () => {
    expect(new Set(lines.map(([peer]) => peer))).toEqual(new Set(peers));
  });
});
