// SPDX-License-Identifier: Apache-2.0
// What each of the two objects reports, as docs/kernels.md says it.
export const OBJECTS = `## Which kernel, which probes

There are two objects with probes. The loader chooses by what the kernel has: a BPF ring buffer, or none. \`--probes=old\` (\`WHODUNIT_PROBES=old\`) selects the second one
on any kernel, for tests ([why](decisions/0123-probes-of-old-kernels.md)). Both need the kernel's types: its own BTF, a file (\`--btf\`), or what can be observed.

| | \`whodunit.bpf.c\` | \`old.bpf.c\` |
| --- | --- | --- |
| kernels | 5.8 and later | 4.17 to 5.7; tried on 6.18 with \`--probes=old\`, not yet on an older one |
| status, core flag, signal, cause | yes | yes |
| sender: pid, name, users, its ancestors | yes | yes |
| executable and arguments of process, sender, ancestors | yes; before 6.16 needs fentry | yes: from their exec on, paths up to 224 bytes, arguments up to 896; an exec that fails late: unknown |
| cgroup, users of the process | yes | yes; the cgroup of a sender: no |
| kernel stack of a signal | yes | yes |
| fault: address, code, trap | yes | yes; instruction and stack pointer: no |
| stops (SIGSTOP, Ctrl-Z) | yes | only that a signal came while it was stopped |
| sizes and limit of an out-of-memory kill | yes | no |
| environment, published context, build ids, pipes, host name, flags of the executable | yes | no |
| restarts; requests by tools (\`systemctl stop\`) | yes | no |
| stack of a crash | from 6.1 on | no |
| repeats counted in the kernel | yes | no: each termination has a record |
| fair shares | of the ring, by origin | of the queue, by user |
| only one cgroup (\`WHODUNIT_SCOPE\`) | yes | no: the loader does not start |
| terminations while no loader runs | recorded: the probes are pinned | **not recorded**: raw tracepoints cannot be pinned before 5.7 |
| records that the service has not acknowledged | kept over a restart of the loader | kept over a restart of the loader |
`;
