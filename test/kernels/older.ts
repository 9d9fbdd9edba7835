// SPDX-License-Identifier: Apache-2.0
// What was seen on kernels that no package of the matrix has, as docs/kernels.md says it.
export const OLDER = `## Older kernels

No archive that the matrix uses has kernels before 5.8 any more. In November 2026, kernels of our own were booted under QEMU with \`npm run test:kernels -- --image FILE --only cases\`. They were built from the sources of two
stable versions, for x86-64, with few drivers and without types (BTF). These images are private: only their results are here. The loader found the types by observation, all fields that it looks for, and three terminations agreed with them.

| kernel | cases | right, or limited | wrong | not run |
| --- | --- | --- | --- | --- |
| 5.4.286 | 171 | 171 | 0 | |
| 4.19.48, one processor | 171 | 163 | 0 | 8 |

Limited was, beside what the tables above say: there is no \`cgroup.kill\` (5.14), and on 4.19 no \`pidfd_open()\` (5.3). On 4.19.48, PTRACE_KILL generates no signal, and a process that seccomp's strict mode kills is not marked: the cause of both is
\`unknown\`. Not run on 4.19.48: six of the seven cases of the out-of-memory killer, as that kernel hangs in one of them with one processor, \`seccomp-one-thread\`, which does not end there, and \`kernel-thread\`, which needs pressure stall information.
A first run found faults that are fixed: the programs did not load with types that were found by observation, and had the executable of the program before; verifying types hung on machines with one processor.
Not tried: types of a file (\`--btf\`) on such kernels, 4.17 and 4.18, and 4.8 to 4.16.
`;
