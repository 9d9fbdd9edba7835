// SPDX-License-Identifier: Apache-2.0
// What was seen on kernels that no package of the matrix has, as docs/kernels.md says it.
export const OLDER = `## Older kernels

No archive that the matrix uses has kernels before 5.8 any more. In November 2026, kernels of our own were booted under QEMU with \`npm run test:kernels -- --image FILE --only cases\`. They were built from the sources of four
stable versions, for x86-64, with few drivers and without types (BTF). These images are private: only their results are here. On 5.4 and 4.19, the loader found the types by observation, all fields that it looks for, and three terminations agreed with them.

| kernel | cases | right, or limited | wrong | not run |
| --- | --- | --- | --- | --- |
| 5.4.286 | 171 | 171 | 0 | |
| 4.19.48 | 171 | 171 | 0 | |
| 4.14.5, with types of a file | 171 | 166 | 1 | 4 |
| 4.8.15, with types of a file | 171 | 162 | 0 | 9 |

Limited was, beside what the tables above say: there is no \`cgroup.kill\` (5.14), no \`pidfd_open()\` (5.3), no \`memory.oom.group\` and no pressure stall information (4.19, 4.20). On 4.19.48, PTRACE_KILL generates no signal, and a process that
seccomp's strict mode kills is not marked: the cause of both is \`unknown\`. Faults that were found there and are fixed: the programs did not load with types that were found by observation, and had the executable of the program before; verifying types
hung on machines with one processor. A kernel without ACPI finds the processors in the firmware's MP table, which has one of each socket: QEMU has a socket for each of its two.

**4.8.15 and 4.14.5** ran with \`classic.bpf.c\`, which they select by themselves, and types that pahole made of their debug information. The first start on 4.8 ended the machine: where a program may read a field that the kernel does not have, CO-RE
leaves a call that no kernel has, and kernels before 4.15 crash on it while they load the program, even if it is never reached. Then its verifier refused the program of the exit. Both are fixed, and what it refused is a test that runs anywhere. Other
faults that were fixed there: a file with a type twice, as pahole makes it, was refused; the loader refused every client, as there is no \`SO_PEERGROUPS\` before 4.13; the cause of a POSIX timer and of a message queue was the kernel, as it keeps their
codes otherwise before 4.16; and that of an out-of-memory kill \`unknown\`, as its SIGKILL has no siginfo before 4.20. No process was named that did not send the signal.
Wrong on 4.14.5: \`realtime-limit-hard\` had the cause \`kernel\` instead of \`resource_limit\`. That image guesses its stacks (\`CONFIG_UNWINDER_GUESS\`), so that they have functions that returned long ago; distributions use frame pointers or ORC. Built
without frame pointers, a stack of 4.8.15 had one function, and SIGHUP to an orphaned process group was a \`hangup\`; with them, it was right.
Not run on either: four cases of the out-of-memory killer in a cgroup, which does not kill there; on 4.8.15 also four of a parent's death, where \`waitid()\` finds no child, and \`seccomp\`, which does not end.
Not tried: observing the types of a kernel before 4.17 (a study found that reading through the tracepoint itself would do), 4.17 and 4.18, and \`--btf\` on 4.19 and 5.4.

### While the loader is killed

\`npm run test:kernels -- --image FILE --only storms\`: thousands of processes exit with all codes or are killed, while the loader is killed with SIGKILL and started again. Each of them, and each loader, must have a record with its status, be counted as lost, or lie in
a gap that is reported, and the sums must agree. On 5.4.286, with two processors, in November 2026:

| storm | terminated | records | counted as lost | in a gap |
| --- | --- | --- | --- | --- |
| with a reader, without a pause | 2,001 | 2,001 | 0 | 0 |
| without a reader, which fills the queue; then the loader is killed, started and read | 2,001 | 512 | 1,489 | 0 |
| with a reader, while the loader is killed three times | 1,074 | 177 | 0 | 897 |
| without a reader, while the loader is killed three times | 1,094 | 154 | 0 | 940 |

The gaps are long there: under emulation, a start takes seconds. No record had another status, and none was invented.
`;
