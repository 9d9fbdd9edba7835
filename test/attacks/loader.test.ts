// SPDX-License-Identifier: Apache-2.0
// The loader is taken over while it serves: it is made to execute system calls (test/attacks/attacker/inject_amd64.go), with the identity, the
// capabilities and the filter that it really has. None of them gets at anything but what the loader has open.
import { chmodSync, chownSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { LOADER, type Program, startProgram, until } from '../../scripts/stack/program.ts';
import { loaderStatus, type Place, place, startLoader } from '../../scripts/stack/whodunit.ts';
import { runs } from '../support/front-door.ts';
import { CAN_INJECT, type Call, inject } from '../support/inject.ts';
import { ALICE } from './attacker.ts';

const WITHIN_MS = 60_000;
/** Linux numbers of x86-64, and of socket(2) on i386. */
const NR = {
  open: 2,
  mmap: 9,
  mprotect: 10,
  getpid: 39,
  socket: 41,
  sendmsg: 46,
  fork: 57,
  execve: 59,
  kill: 62,
  unlink: 87,
  ptrace: 101,
  setuid: 105,
  mount: 165,
  init_module: 175,
  openat: 257,
  unshare: 272,
  open_by_handle_at: 304,
  process_vm_readv: 310,
  memfd_create: 319,
  bpf: 321,
  io_uring_setup: 425,
  openat2: 437,
  socket32: 359,
  open32: 5,
};
const [AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_VSOCK] = [1, 2, 10, 16, 17, 40];
const [AT_FDCWD, O_RDONLY, O_WRONLY] = [-100, 0, 1];
const [BPF_MAP_CREATE, BPF_PROG_LOAD, BPF_OBJ_PIN, BPF_OBJ_GET, BPF_PROG_GET_FD_BY_ID, BPF_MAP_GET_FD_BY_ID] = [
  0, 5, 6, 7, 13, 14,
];
const [PROT_READ, PROT_WRITE, PROT_EXEC, PRIVATE_ANONYMOUS, X32] = [1, 2, 4, 0x22, 0x40000000];
const [CLONE_NEWUSER, SIGCHLD] = [0x10000000, 17];

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

async function started(): Promise<{ at: Place; loader: Program; secret: string }> {
  const at = await place();
  cleanUp.push(() => at.directory.remove());
  chmodSync(at.directory.path, 0o755);
  const secret = join(at.directory.path, 'secret');
  writeFileSync(secret, 'of another user', { mode: 0o600 });
  chownSync(secret, ALICE, ALICE);
  const loader = await startLoader(at);
  cleanUp.push(loader.stop);
  return { at, loader, secret };
}

it.runIf(CAN_INJECT)('opens nothing, connects to nothing, starts and changes nothing, and serves on', async () => {
  const { at, loader, secret } = await started();
  const refused: Record<string, Call> = {
    'write to /proc/sys': ['64', NR.openat, AT_FDCWD, '=/proc/sys/kernel/printk', O_WRONLY],
    'write to /proc/sys by open': ['64', NR.open, '=/proc/sys/kernel/printk', O_WRONLY],
    'read a file of another user': ['64', NR.openat, AT_FDCWD, `=${secret}`, O_RDONLY],
    'read a file of root': ['64', NR.openat, AT_FDCWD, '=/etc/shadow', O_RDONLY],
    'read any file': ['64', NR.openat, AT_FDCWD, '=/etc/passwd', O_RDONLY],
    openat2: ['64', NR.openat2, AT_FDCWD, '=/etc/passwd', 0, 24],
    'open of 32 bits': ['32', NR.open32, 0, O_RDONLY],
    'open by handle': ['64', NR.open_by_handle_at, AT_FDCWD, 0, 0],
    'memory of another process': ['64', NR.process_vm_readv, 1, 0, 0, 0, 0, 0],
    'IPv4 socket': ['64', NR.socket, AF_INET, 1, 0],
    'IPv6 socket': ['64', NR.socket, AF_INET6, 2, 0],
    'Unix socket': ['64', NR.socket, AF_UNIX, 1, 0],
    'netlink socket': ['64', NR.socket, AF_NETLINK, 3, 0],
    'packet socket': ['64', NR.socket, AF_PACKET, 3, 0],
    'vsock socket': ['64', NR.socket, AF_VSOCK, 1, 0],
    'IPv4 socket of 32 bits': ['32', NR.socket32, AF_INET, 1, 0],
    'pass a descriptor': ['64', NR.sendmsg, 2, 0, 0],
    io_uring: ['64', NR.io_uring_setup, 8, 0],
    execute: ['64', NR.execve, '=/bin/true', 0, 0],
    fork: ['64', NR.fork],
    ptrace: ['64', NR.ptrace, 16, 1, 0, 0],
    'kill another process': ['64', NR.kill, 1, SIGCHLD],
    mount: ['64', NR.mount, '=none', '=/mnt', '=tmpfs', 0, 0],
    'make a user namespace': ['64', NR.unshare, CLONE_NEWUSER],
    'become root': ['64', NR.setuid, 0],
    'load a module': ['64', NR.init_module, 0, 0, 0],
    'delete a file': ['64', NR.unlink, `=${at.directory.path}/none`],
    'make a map': ['64', NR.bpf, BPF_MAP_CREATE, 0, 0],
    'load a program': ['64', NR.bpf, BPF_PROG_LOAD, 0, 0],
    pin: ['64', NR.bpf, BPF_OBJ_PIN, 0, 0],
    'open a pin': ['64', NR.bpf, BPF_OBJ_GET, 0, 0],
    "open another's program": ['64', NR.bpf, BPF_PROG_GET_FD_BY_ID, 0, 0],
    "open another's map": ['64', NR.bpf, BPF_MAP_GET_FD_BY_ID, 0, 0],
    'memory that can be executed': ['64', NR.mmap, 0, 4096, PROT_READ | PROT_EXEC, PRIVATE_ANONYMOUS, -1, 0],
    'make memory executable': ['64', NR.mprotect, 0, 4096, PROT_EXEC],
    memfd: ['64', NR.memfd_create, '=m', 0],
  };
  const names = Object.keys(refused);
  const results = await inject(loader.pid, [
    ...Object.values(refused),
    ['64', NR.getpid],
    ['64', NR.kill, process.pid, 0],
    ['64', NR.mmap, 0, 4096, PROT_READ | PROT_WRITE, PRIVATE_ANONYMOUS, -1, 0],
    ['64', X32 + NR.getpid],
  ]);
  expect(Object.fromEntries(names.map((name, i) => [name, results[i]]))).toEqual(
    Object.fromEntries(names.map((name) => [name, 'EPERM'])),
  );
  // These prove that the calls were made in the loader.
  expect(results.slice(names.length)).toEqual([`${loader.pid}`, '0', expect.stringMatching(/^\d{6,}$/), 'ENOSYS']);
  await servesOn(at);
});

it('has no capability, no way to gain one, and the filter, in every thread, from the moment that it is ready', async () => {
  const { loader } = await started();
  const tasks = readdirSync(`/proc/${loader.pid}/task`);
  expect(tasks.length).toBeGreaterThan(1);
  for (const task of tasks) {
    const status = readFileSync(`/proc/${loader.pid}/task/${task}/status`, 'utf8');
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'])
      expect(status).toMatch(new RegExp(`^${set}:\t0{16}$`, 'm'));
    expect(status).toMatch(/^NoNewPrivs:\t1\nSeccomp:\t2$/m);
  }
});

it('the process that removes its pins has no capability but that to remove files', async () => {
  const { loader } = await started();
  const child = await until('the process', WITHIN_MS, () => childOf(loader.pid));
  const status = () => readFileSync(`/proc/${child}/status`, 'utf8');
  const CAP_DAC_OVERRIDE = /^CapPrm:\t0{15}2\nCapEff:\t0{15}2$/m;
  await until('its capabilities', WITHIN_MS, () => CAP_DAC_OVERRIDE.test(status()) || undefined, status);
  expect(status()).toMatch(/^NoNewPrivs:\t1$/m);
  loader.child.kill('SIGKILL');
  await loader.ended;
  await until('its end', WITHIN_MS, () => !runs(Number(child)) || undefined);
});

/** The process that waits to remove the pins: the one that unwinds stacks is another child. */
function childOf(pid: number): string | undefined {
  try {
    // Each thread has its own children.
    const all = readdirSync(`/proc/${pid}/task`).map((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8'),
    );
    const children = all.join(' ').split(' ').filter(Boolean);
    return children.find((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('\0unload\0'));
  } catch {
    return undefined;
  }
}

/** The loader reads the ring and answers, also after its sockets, threads and memory had to change. */
async function servesOn(at: Place): Promise<void> {
  const before = BigInt((await loaderStatus(at.socket)).deaths);
  await startProgram('sh', ['-c', 'exit 3']).ended;
  await until('the death', WITHIN_MS, async () => BigInt((await loaderStatus(at.socket)).deaths) > before || undefined);
  expect((await startProgram(LOADER, ['health', '--socket', at.socket]).ended).code).toBe(0);
}
