// SPDX-License-Identifier: Apache-2.0
// What was seen on kernels that no package of the matrix has, as docs/kernels.md says it.
export const OLDER = `## Older kernels

No archive that the matrix uses has kernels before 5.8 any more. In November 2026, kernels of our own were booted under QEMU with \`npm run test:kernels -- --image FILE --only cases\`. They were built from the sources of three
stable versions, for x86-64, with few drivers and without types (BTF). These images are private: only their results are here. On 5.4 and 4.19, the loader found the types by observation, all fields that it looks for, and three terminations agreed with them.

| kernel | cases | right, or limited | wrong | not run |
| --- | --- | --- | --- | --- |
| 5.4.286 | 171 | 171 | 0 | |
| 4.19.48, one processor | 171 | 163 | 0 | 8 |
| 4.8.15, with types of a file | 171 | 152 | 7 | 12 |

Limited was, beside what the tables above say: there is no \`cgroup.kill\` (5.14), and on 4.19 no \`pidfd_open()\` (5.3). On 4.19.48, PTRACE_KILL generates no signal, and a process that seccomp's strict mode kills is not marked: the cause of both is
\`unknown\`. Not run on 4.19.48: six of the seven cases of the out-of-memory killer, as that kernel hangs in one of them with one processor, \`seccomp-one-thread\`, which does not end there, and \`kernel-thread\`, which needs pressure stall information.
A first run found faults that are fixed: the programs did not load with types that were found by observation, and had the executable of the program before; verifying types hung on machines with one processor.

**4.19.48 had one processor** because it was built without ACPI: then Linux finds the processors in the firmware's MP table, which has one of each socket. QEMU now has a socket for each of its two. That image was not booted again.

**4.8.15** ran with \`classic.bpf.c\`, which it selects by itself, two processors, and types that pahole made of its debug information. The first start ended the machine: where a program may read a field that the kernel does not have, CO-RE leaves a call
that no kernel has, and kernels before 4.15 crash on it while they load the program, even if it is never reached. Then its verifier refused the program of the exit. Both are fixed, and what it refused is a test that runs anywhere. Other faults that were fixed there:
a file with a type twice, as pahole makes it, was refused; the loader refused every client, as there is no \`SO_PEERGROUPS\` before 4.13; and the cause of a POSIX timer and of a message queue was the kernel, as it keeps their codes otherwise before 4.16.
Of the seven that were wrong, four are those of timers and the message queue, which were fixed afterwards and not run again: \`posix-timer\`, \`posix-timer-sigkill\`, \`posix-timer-sigusr2\`, \`signal-on-mail\`. In the other three, the kernel stack would have
shown more, but the image was built without frame pointers, so that a stack has one function: \`orphaned-and-stopped\` had the cause \`hangup\` instead of \`kernel\`, \`cpu-limit-hard\` and \`realtime-limit-hard\` \`kernel\` instead of \`resource_limit\`. No process was named that
did not send the signal. In \`out-of-memory\`, the cause is \`unknown\`: victims are marked from 4.9 on.
Not run on 4.8.15: six of the seven cases of the out-of-memory killer, where it does not kill, or has no \`memory.oom.group\` (4.19); four of a parent's death, where \`waitid()\` finds no child; \`seccomp\`, which does not end; and \`dump-interrupted\`, as nothing
says that a process dumps core (4.15).
Not tried: observing the types of a kernel before 4.17 (a study found that reading through the tracepoint itself would do), 4.9 to 4.16, and 4.17 and 4.18.

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
