// SPDX-License-Identifier: Apache-2.0
// The processes that unwind stacks are taken over: they read files that an attacker wrote, and with CAP_DAC_READ_SEARCH they read everyone's. They
// are made to execute system calls, with the identity, the capabilities and the filters that they really have. What they read cannot leave them.
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { ATTACKER, type Program, until } from '../../scripts/stack/program.ts';
import { place, startLoader } from '../../scripts/stack/whodunit.ts';
import { CAN_INJECT, type Call, inject } from '../support/inject.ts';
import { ALICE, startAs } from './attacker.ts';

const WITHIN_MS = 60_000;
/** Linux numbers of x86-64, and of socket(2) and open(2) on i386. */
const NR = {
  open: 2,
  getpid: 39,
  socket: 41,
  connect: 42,
  sendmsg: 46,
  kill: 62,
  unlink: 87,
  chmod: 90,
  ptrace: 101,
  setuid: 105,
  mount: 165,
  init_module: 175,
  openat: 257,
  unshare: 272,
  process_vm_readv: 310,
  memfd_create: 319,
  bpf: 321,
  io_uring_setup: 425,
  openat2: 437,
  socket32: 359,
  open32: 5,
};
/** Of the worker alone: the other one starts it. */
const NR_OF_START = { fork: 57, execve: 59, mprotect: 10, dup3: 292, tgkill: 234 };
const [AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_VSOCK] = [1, 2, 10, 16, 17, 40];
const [AT_FDCWD, O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_TRUNC] = [-100, 0, 1, 2, 0o100, 0o1000];
const [CLONE_NEWUSER, SIGCHLD] = [0x10000000, 17];
const CAP_DAC_READ_SEARCH = 2n;

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

/** What neither of them can do. */
function refused(file: string): Record<string, Call> {
  return {
    'write to a file': ['64', NR.openat, AT_FDCWD, `=${file}`, O_WRONLY],
    'write to a file by open': ['64', NR.open, `=${file}`, O_RDWR],
    'empty a file': ['64', NR.openat, AT_FDCWD, `=${file}`, O_RDONLY + O_TRUNC],
    'make a file': ['64', NR.openat, AT_FDCWD, `=${file}.new`, O_RDONLY + O_CREAT, 0o600],
    'write to /proc/sys': ['64', NR.openat, AT_FDCWD, '=/proc/sys/kernel/printk', O_WRONLY],
    openat2: ['64', NR.openat2, AT_FDCWD, `=${file}`, 0, 24],
    'open of 32 bits': ['32', NR.open32, 0, O_RDONLY],
    'delete a file': ['64', NR.unlink, `=${file}`],
    'change a mode': ['64', NR.chmod, `=${file}`, 0o666],
    'IPv4 socket': ['64', NR.socket, AF_INET, 1, 0],
    'IPv6 socket': ['64', NR.socket, AF_INET6, 2, 0],
    'Unix socket': ['64', NR.socket, AF_UNIX, 1, 0],
    'netlink socket': ['64', NR.socket, AF_NETLINK, 3, 0],
    'packet socket': ['64', NR.socket, AF_PACKET, 3, 0],
    'vsock socket': ['64', NR.socket, AF_VSOCK, 1, 0],
    'IPv4 socket of 32 bits': ['32', NR.socket32, AF_INET, 1, 0],
    connect: ['64', NR.connect, 3, 0, 0],
    'pass a descriptor': ['64', NR.sendmsg, 3, 0, 0],
    io_uring: ['64', NR.io_uring_setup, 8, 0],
    'memory of another process': ['64', NR.process_vm_readv, 1, 0, 0, 0, 0, 0],
    ptrace: ['64', NR.ptrace, 16, 1, 0, 0],
    'kill another process': ['64', NR.kill, 1, SIGCHLD],
    mount: ['64', NR.mount, '=none', '=/mnt', '=tmpfs', 0, 0],
    'make a user namespace': ['64', NR.unshare, CLONE_NEWUSER],
    'become root': ['64', NR.setuid, 0],
    'load a module': ['64', NR.init_module, 0, 0, 0],
    bpf: ['64', NR.bpf, 0, 0, 0],
    memfd: ['64', NR.memfd_create, '=m', 0],
  };
}

const ofWorker: Record<string, Call> = {
  fork: ['64', NR_OF_START.fork],
  execute: ['64', NR_OF_START.execve, '=/bin/true', 0, 0],
  'make memory executable': ['64', NR_OF_START.mprotect, 0, 4096, 4],
  'replace a descriptor': ['64', NR_OF_START.dup3, 1, 3, 0],
  'signal another process': ['64', NR_OF_START.tgkill, 1, 1, SIGCHLD],
};

interface Started {
  readonly loader: Program;
  readonly supervisor: number;
  readonly worker: number;
  readonly file: string;
}

/** Starts a loader, and crashes a process, so that there is a worker. */
async function started(): Promise<Started> {
  const at = await place();
  cleanUp.push(() => at.directory.remove());
  const loader = await startLoader(at);
  cleanUp.push(loader.stop);
  const file = join(at.directory.path, 'file');
  writeFileSync(file, 'of root', { mode: 0o600 });
  const supervisor = await until('the helper', WITHIN_MS, () => childOf(loader.pid, /crash-helper\0$/));
  await startAs(ALICE, ATTACKER, ['marked', 'a', 'b']).ended;
  const worker = await until('its worker', WITHIN_MS, () => childOf(supervisor, /--worker\0$/));
  const filters = () => /^Seccomp_filters:\t2$/m.test(statusOf(worker)) || undefined;
  await until('its own filter', WITHIN_MS, filters, () => statusOf(worker));
  return { loader, supervisor, worker, file };
}

it.runIf(CAN_INJECT)(
  'neither writes, sends, traces, signals or starts anything, and the worker executes nothing',
  async () => {
    const { supervisor, worker, file } = await started();
    const tries = {
      supervisor: [supervisor, refused(file)],
      worker: [worker, { ...refused(file), ...ofWorker }],
    } as const;
    for (const [who, [pid, calls]] of Object.entries(tries)) {
      const names = Object.keys(calls);
      const results = await inject(pid, [...Object.values(calls), ['64', NR.getpid]]);
      expect(Object.fromEntries(names.map((name, i) => [name, results[i]])), who).toEqual(
        Object.fromEntries(names.map((name) => [name, 'EPERM'])),
      );
      expect(results.at(-1)).toBe(`${pid}`); // The calls were made in that process.
    }
  },
);

it('both have no capability but that to read files, no way to gain one, and no descriptor of BPF; the loader has not even that one', async () => {
  const { loader, supervisor, worker } = await started();
  for (const [pid, held] of [
    [loader.pid, 0n],
    [supervisor, 1n << CAP_DAC_READ_SEARCH],
    [worker, 1n << CAP_DAC_READ_SEARCH],
  ] as const)
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const status = statusOf(pid, task);
      for (const set of ['CapPrm', 'CapEff'])
        expect(BigInt(`0x${new RegExp(`^${set}:\t(\\w+)$`, 'm').exec(status)?.[1]}`), `${set} of ${pid}`).toBe(held);
      expect(status).toMatch(/^NoNewPrivs:\t1\nSeccomp:\t2$/m);
    }
  // Standard input and output are those of the loader.
  const fds = (pid: number) => readdirSync(`/proc/${pid}/fd`).filter((fd) => Number(fd) > 2);
  for (const pid of [supervisor, worker])
    for (const fd of fds(pid)) expect(readlinkSync(`/proc/${pid}/fd/${fd}`)).not.toMatch(/bpf|socket/);
});

function statusOf(pid: number, task = pid.toString()): string {
  return readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8');
}

/** The child of a process whose command line is like this; each thread has its own children. */
function childOf(pid: number, commandLine: RegExp): number | undefined {
  try {
    const all = readdirSync(`/proc/${pid}/task`).map((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8'),
    );
    const found = all
      .flatMap((text) => text.split(' ').filter(Boolean))
      .find((child) => commandLine.test(readFileSync(`/proc/${child}/cmdline`, 'utf8')));
    return found === undefined ? undefined : Number(found);
  } catch {
    return undefined; // One of them has just ended.
  }
}
