// SPDX-License-Identifier: Apache-2.0
// Cgroups of version 2, recorded as files, and processes, as directories: what a machine with version 1 cannot show. Faults of all kinds leave
// what could be read.
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../scripts/stack/program.ts';
import { MemoryCgroups } from '../../src/io/memory-cgroups.ts';

const TIMEOUT_MS = 60_000;
const MIB = 1024 * 1024;
let root: string;
beforeEach(() => {
  root = temporaryDirectory().path;
});

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

/** A machine whose processes have the namespaces of these inodes. */
function machine({ cgroupNamespace = 4_026_531_835, pidNamespace = 4_026_531_836 } = {}): MemoryCgroups {
  write('proc/self/mountinfo', `25 24 0:22 / ${join(root, 'cgroup')} rw - cgroup2 cgroup2 rw\n`);
  mkdirSync(join(root, 'proc/self/ns'), { recursive: true });
  symlinkSync(`cgroup:[${cgroupNamespace}]`, join(root, 'proc/self/ns/cgroup'));
  symlinkSync(`pid:[${pidNamespace}]`, join(root, 'proc/self/ns/pid'));
  return new MemoryCgroups(join(root, 'proc'));
}

function cgroup(path: string, pids: readonly number[], mib = 1): void {
  write(`cgroup${path}/cgroup.procs`, pids.map((pid) => `${pid}\n`).join(''));
  write(`cgroup${path}/memory.current`, `${mib * MIB}\n`);
}

function processOf(pid: number, mib: number, name = `p${pid}`): void {
  write(`proc/${pid}/status`, `Name:\t${name}\nPid:\t${pid}\nNSpid:\t${pid}\nVmRSS:\t${mib * 1024} kB\n`);
}

const read = (cgroups: MemoryCgroups, path = '/shop', own: string | null = null) =>
  cgroups.read({ cgroup: path, own }, TIMEOUT_MS);
const useOf = async (cgroups: MemoryCgroups, path = '/shop', own: string | null = null) => {
  const reading = await read(cgroups, path, own);
  if (reading?.kind !== 'read') throw new Error(`not read: ${JSON.stringify(reading)}`);
  return reading.use;
};

describe('a cgroup of version 2', () => {
  it('has sizes, events, pressure, group, the limit of the victim, and all processes below it', async () => {
    cgroup('/shop', [], 60);
    cgroup('/shop/web', [11, 12], 45);
    cgroup('/shop/web/inner', [13], 3);
    cgroup('/shop/db', [14, 15], 12);
    for (const [pid, mib] of [
      [11, 30],
      [12, 2],
      [13, 3],
      [14, 12],
    ] as const)
      processOf(pid, mib);
    write('cgroup/shop/memory.peak', `${64 * MIB}\n`);
    write('cgroup/shop/memory.stat', 'anon 1\nfile 5\nkernel 2\nshmem 3\n');
    write('cgroup/shop/memory.events', 'high 1\nmax 27\noom 3\noom_kill 2\n');
    write('cgroup/shop/memory.pressure', 'some avg10=45.12 avg60=0.00 \nfull avg10=30.50 avg60=0.00 \n');
    write('cgroup/shop/memory.oom.group', '1\n');
    write('cgroup/shop/web/memory.max', `${128 * MIB}\n`);
    expect(await useOf(machine(), '/shop', '/shop/web')).toEqual({
      cgroup: '/shop',
      usage: 60 * MIB,
      peak: 64 * MIB,
      parts: { anon: 1, file: 2, shmem: 3, kernel: 2 },
      events: { high: 1, max: 27, oom: 3, oomKill: 2 },
      pressure: { some: 45.12, full: 30.5 },
      group: true,
      ownLimit: 128 * MIB,
      // 15 is gone.
      processes: [
        [11, 30],
        [14, 12],
        [13, 3],
        [12, 2],
      ].map(([pid = 0, mib = 0]) => ({
        pid,
        comm: `p${pid}`,
        rss: mib * MIB,
        vpid: pid,
      })),
      isComplete: true,
    });
  });

  it('is the whole machine as /, with its pressure', async () => {
    cgroup('/', [1]);
    rmSync(join(root, 'cgroup/memory.current'));
    cgroup('/system.slice', [], 9);
    cgroup('/system.slice/db.service', [14], 9);
    for (const pid of [1, 14]) processOf(pid, pid);
    write('proc/pressure/memory', 'some avg10=1.00 avg60=0.00 \nfull avg10=0.50 avg60=0.00 \n');
    const { processes, pressure, usage } = await useOf(machine(), '/');
    expect([processes.map(({ pid }) => pid), pressure, usage]).toEqual([[14, 1], { some: 1, full: 0.5 }, null]);
  });

  it('of ten thousand processes and a thousand cgroups is read in part, where most memory is', async () => {
    cgroup(
      '/shop',
      Array.from({ length: 10_000 }, (_, index) => 100 + index),
      600,
    );
    for (let index = 0; index < 100; index += 1) cgroup(`/shop/c${index}`, [20_000 + index], index === 77 ? 400 : 1);
    processOf(20_077, 400);
    const { processes, isComplete } = await useOf(machine());
    expect([processes.map(({ pid }) => pid), isComplete]).toEqual([[20_077], false]);
  });
});

describe('what cannot be read', () => {
  it('is nothing of a cgroup that was removed', async () => {
    expect(await read(machine())).toEqual({ kind: 'unknown', why: 'removed' });
  });

  it.each(['shop', '/../etc', '/shop/../..', '/a//b'])(
    'is nothing of a path that is none of a cgroup: %s',
    async (path) => {
      expect(await read(machine(), path)).toEqual({ kind: 'unknown', why: 'unreadable' });
    },
  );

  it('is nothing of a machine whose cgroups are not visible', async () => {
    cgroup('/shop', [11]);
    const cgroups = machine({ cgroupNamespace: 4_026_532_000 });
    expect([cgroups.isVisible, await read(cgroups)]).toEqual([false, null]);
  });

  it('are the processes where their pids are not those of the machine', async () => {
    cgroup('/shop', [11]);
    processOf(11, 5);
    const { usage, processes, isComplete } = await useOf(machine({ pidNamespace: 4_026_532_000 }));
    expect([usage, processes, isComplete]).toEqual([MIB, [], false]);
  });

  it('are the processes of others where they are hidden', async () => {
    cgroup('/shop', [11, 12]);
    expect(await useOf(machine())).toMatchObject({ usage: MIB, processes: [], isComplete: false });
  });

  it('is missing: garbage and directories in place of files', async () => {
    cgroup('/shop', [11]);
    for (const name of ['memory.stat', 'memory.events', 'memory.current'])
      write(`cgroup/shop/${name}`, '\0\u001b[2J=x\n'.repeat(20_000));
    mkdirSync(join(root, 'cgroup/shop/memory.peak'));
    expect(await useOf(machine())).toMatchObject({
      usage: null,
      peak: null,
      parts: { anon: null },
      events: { max: null },
    });
  });

  it('is late: a file that hangs delays the record by no more than the limit, and no other one is read meanwhile', async () => {
    cgroup('/shop', [11]);
    mkdirSync(join(root, 'cgroup/hangs'));
    const fifo = join(root, 'cgroup/hangs/memory.current');
    execFileSync('mkfifo', [fifo]);
    const cgroups = machine();
    expect(await cgroups.read({ cgroup: '/hangs', own: null }, 20)).toEqual({ kind: 'unknown', why: 'late' });
    expect(await read(cgroups)).toEqual({ kind: 'unknown', why: 'late' });
    writeFileSync(fifo, '1\n');
    await expect.poll(async () => (await read(cgroups))?.kind, { timeout: TIMEOUT_MS }).toBe('read');
  });
});
