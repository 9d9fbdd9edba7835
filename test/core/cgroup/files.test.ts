// SPDX-License-Identifier: Apache-2.0
// The kernel's files of memory cgroups, recorded on both versions.
import { describe, expect, it } from 'vitest';
import * as files from '../../../src/core/cgroup/files.ts';

const STAT_1 = `cache 10936320
rss 12021760
shmem 9138176
total_cache 20971520
total_rss 41943040
total_rss_huge 2097152
total_shmem 8388608
total_swap 0
`;
const STAT_2 = `anon 41943040
file 20971520
kernel 3145728
kernel_stack 65536
pagetables 262144
sec_pagetables 0
percpu 1296
sock 4096
vmalloc 0
shmem 8388608
file_mapped 0
slab 524288
`;
const STAT_2_BEFORE_5_18 = STAT_2.replace(/^kernel .*\n/m, '');
const MIB = 1024 * 1024;

describe('memory.stat', () => {
  it.each([
    ['version 1, with the cgroups below', STAT_1, '3145728\n', 3 * MIB],
    ['version 2', STAT_2, null, 3 * MIB],
    ['version 2 before 5.18', STAT_2_BEFORE_5_18, null, 65_536 + 262_144 + 1_296 + 4_096 + 524_288],
  ])('%s', (_, text, kernelText, kernel) => {
    expect(files.parseParts(text, kernelText)).toEqual({ anon: 40 * MIB, file: 12 * MIB, shmem: 8 * MIB, kernel });
  });

  it('that cannot be read says nothing', () => {
    expect(files.parseParts(null, null)).toEqual({ anon: null, file: null, shmem: null, kernel: null });
  });
});

it.each([
  ['version 2', 'low 0\nhigh 3\nmax 27\noom 2\noom_kill 1\noom_group_kill 0\n', null, [3, 27, 2, 1]],
  ['version 1', 'oom_kill_disable 0\nunder_oom 0\noom_kill 1\n', '27\n', [null, 27, null, 1]],
  ['version 1 on a kernel that does not count failures', 'oom_kill 1\n', '0\n', [null, null, null, 1]],
  ['neither', null, null, [null, null, null, null]],
  ['not a number', 'max many\n', 'x', [null, null, null, null]],
])('counts events of %s', (_, text, failures, [high, max, oom, oomKill]) => {
  expect(files.parseEvents(text, failures)).toEqual({ high, max, oom, oomKill });
});

it.each([
  ['a size', '67108864\n', 64 * MIB],
  ['no limit, version 2', 'max\n', null],
  ['no limit, version 1', '9223372036854771712\n', null],
  ['nothing', '', null],
  ['not readable', null, null],
])('reads %s', (_, text, bytes) => {
  expect(files.parseBytes(text)).toBe(bytes);
});

it.each([
  [
    'some avg10=45.12 avg60=0.00 avg300=0.00 total=1\nfull avg10=30.50 avg60=0.00 avg300=0.00 total=1\n',
    { some: 45.12, full: 30.5 },
  ],
  ['some avg10=45.12 avg60=0.00 avg300=0.00 total=1\n', null],
  [null, null],
])('reads the pressure of %j', (text, pressure) => {
  expect(files.parsePressure(text)).toEqual(pressure);
});

it.each([
  ['1\n', true],
  ['0\n', false],
  ['', null],
  [null, null],
])('reads memory.oom.group %j', (text, group) => {
  expect(files.parseGroup(text)).toBe(group);
});

it('takes whole lines of pids, of processes that are visible', () => {
  expect(files.parsePids('12\n0\n99\n4194303\n17')).toEqual([12, 99, 4_194_303]);
});

const status = (name: string, ...lines: string[]) =>
  [
    `Name:\t${name}`,
    'Umask:\t0022',
    'State:\tS (sleeping)',
    'Tgid:\t4242',
    'Pid:\t4242',
    'PPid:\t1',
    ...lines,
    '',
  ].join('\n');

describe('/proc/PID/status', () => {
  it.each([
    ['a process', status('redis-server', 'NSpid:\t4242', 'VmRSS:\t   12288 kB'), { comm: 'redis-server', vpid: 4242 }],
    ['the first of a container', status('sh', 'NSpid:\t4242\t17\t1', 'VmRSS:\t   12288 kB'), { comm: 'sh', vpid: 1 }],
    // The kernel writes a line feed in a name as \\n.
    [
      'a hostile name',
      status('x\\nPid:\\t1\u001b[2J', 'VmRSS:\t   12288 kB'),
      { comm: 'x\\nPid:\\t1\u001b[2J', vpid: 4242 },
    ],
  ])('of %s', (_, text, expected) => {
    expect(files.parseStatus(text)).toEqual({ pid: 4242, rss: 12 * MIB, ...expected });
  });

  it.each([
    ['a kernel thread, or a process that ended', status('kworker/0:1', 'Threads:\t1')],
    ['nothing', ''],
  ])('of %s has no memory', (_, text) => {
    expect(files.parseStatus(text)).toBe(null);
  });
});

const mount = (root: string, directory: string, type: string, options: string) =>
  `35 31 0:32 ${root} ${directory} rw,relatime shared:9 - ${type} ${type} rw,${options}`;
const UNIFIED = mount('/', '/sys/fs/cgroup', 'cgroup2', 'nsdelegate');

it.each([
  ['version 2', [UNIFIED], { directory: '/sys/fs/cgroup', version: 2 }],
  [
    'a hybrid machine with memory in version 1',
    [mount('/', '/sys/fs/cgroup/unified', 'cgroup2', ''), mount('/', '/sys/fs/cgroup/memory', 'cgroup', 'memory')],
    { directory: '/sys/fs/cgroup/memory', version: 1 },
  ],
  [
    'a hybrid machine with memory in version 2',
    [mount('/', '/sys/fs/cgroup/cpu', 'cgroup', 'cpu'), mount('/', '/sys/fs/cgroup/unified', 'cgroup2', '')],
    { directory: '/sys/fs/cgroup/unified', version: 2 },
  ],
  [
    'a container of version 1, which sees its own alone',
    [mount('/docker/abc', '/sys/fs/cgroup/memory', 'cgroup', 'memory')],
    null,
  ],
  [
    'a directory with a space',
    [mount('/', '/host\\040cgroup', 'cgroup2', '')],
    { directory: '/host cgroup', version: 2 },
  ],
  ['no cgroups', ['22 1 8:1 / / rw - ext4 /dev/root rw'], null],
  ['nothing', [''], null],
])('finds the mount of %s', (_, lines, found) => {
  expect(files.parseMount(`${lines.join('\n')}\n`)).toEqual(found);
});
