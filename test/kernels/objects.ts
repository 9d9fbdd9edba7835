// SPDX-License-Identifier: Apache-2.0
// What each of the objects reports on which kernels, and what is guaranteed there, as docs/kernels.md says it.
export const OBJECTS = `## Which kernel, which probes

There are three objects with probes. The loader chooses by what the kernel has: a BPF ring buffer, raw tracepoints, or neither. \`--probes=old\` and \`--probes=classic\` (\`WHODUNIT_PROBES\`) select the others
on any kernel, for tests ([why](decisions/0123-probes-of-old-kernels.md)). All need the kernel's types: its own BTF, a file (\`--btf\`), or what can be observed, which needs raw tracepoints.

| | 4.8 to 4.16: \`classic.bpf.c\` | 4.17 to 5.7: \`old.bpf.c\` | 5.8 to 6.0: \`whodunit.bpf.c\` | 6.1 to 6.15 | 6.16 and later |
| --- | --- | --- | --- | --- | --- |
| tried on | 5.10, 6.1 and 6.18, all cases, with \`--probes=classic\`; 4.8 and 4.14 ([below](#older-kernels)) | 5.10, 6.1 and 6.18, all cases, with \`--probes=old\`; 5.4 and 4.19 ([below](#older-kernels)) | 5.10, also without BTF | 6.1, 6.12, also without BTF | 6.18 and 7.x; 7.1 without BTF |
| verdict: status, core flag, signal, cause | yes; the cause is unknown if the sender is | yes | yes | yes | yes |
| sender: pid, name, users, its ancestors | where its code or the kernel stack proves the call; not of real-time signals, nor of a process that is traced; no ancestors | yes | yes | yes | yes |
| executable and arguments of the process | no: the comm of 15 characters | from its exec on: paths up to 224 bytes, arguments up to 896; an exec that fails late: unknown | with fentry; else as old kernels: paths up to 128 bytes, arguments up to 256 | with fentry | yes |
| arguments of senders and ancestors | no | as of the process | yes | yes | yes |
| environment, published context, build ids, pipes, host name, flags of the executable | no | no | with fentry | with fentry | yes |
| cgroup, users of the process | users | yes; the cgroup of a sender: no | yes | yes | yes |
| kernel stack of a signal | yes | yes | yes | yes | yes |
| fault: address, code, trap | code, trap | yes | yes | yes | yes |
| instruction of a fault, system call of a signal | no | no | from 5.15 on | yes | yes |
| stops (SIGSTOP, Ctrl-Z) | no | only that a signal came while it was stopped | yes | yes | yes |
| sizes and limit of an out-of-memory kill | no | no | yes | yes | yes |
| requests by tools (\`systemctl stop\`); requests that a process handled | no | no | yes | yes | yes |
| restarts | no | no | with fentry | with fentry | yes |
| repeats counted in the kernel | no: each termination has a record | no: each termination has a record | yes | yes | yes |
| stack of a crash | no | no | no | when the signal is delivered | when the process exits |
| fair shares | of the queue, by user | of the queue, by user | of the ring, by origin | of the ring, by origin | of the ring, by origin |
| only one cgroup (\`WHODUNIT_SCOPE\`) | no: the loader does not start | no: the loader does not start | yes | yes | yes |

What holds when the loader ends, and until the next one starts:

| | 4.8 to 5.7: \`classic.bpf.c\`, \`old.bpf.c\` | 5.8 and later: \`whodunit.bpf.c\` |
| --- | --- | --- |
| the probes | in the packaged unit, while it is restarted: go on, as systemd keeps them ([how](decisions/0124-probes-that-systemd-keeps.md)). Else, and before 4.17, they **end with the loader**: raw tracepoints can be pinned from 5.7 on | go on: they are pinned |
| terminations meanwhile | where the probes go on: recorded in the queue, which is pinned; what does not fit is counted. Else **no record, and their number is not known**: the gap has a record (\`whodunit.events.gap\`), and is in \`/status\` and \`whodunit doctor\` | recorded in the ring, which is pinned; what does not fit is counted |
| records that the service has not acknowledged | stay: the queue is pinned | stay: the ring is pinned |
| what was known of processes: pending signals, handled requests, faults, executables | where the probes go on: stays. Else lost: executables and arguments are read from \`/proc\` again; a signal that was handled before is not known after | stays: the maps are pinned |
| the loader is killed (SIGKILL, out of memory) | as above: the unit starts it again after 2 s | as above |
| the service ends | nothing is lost while the queue has room | nothing is lost while the ring has room |
`;
