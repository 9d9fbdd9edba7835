// SPDX-License-Identifier: Apache-2.0
// What else used the memory of a cgroup that ran out of it: in the sentence, the evidence and the attributes.
import { describe, expect, it } from 'vitest';
import type { CgroupUse, MemoryReading, Unread, UsingProcess } from '../../../src/core/cgroup/use.ts';
import type { Death } from '../../../src/core/wire/event.ts';
import { recordOf } from '../../support/circumstances.ts';
import { kernelSignal, killedBy, oom, victim } from '../../support/deadly.ts';
import { reading } from '../../support/memory-use.ts';

const MIB = 1024 * 1024;
const VICTIM_PID = victim().pid;
const GROUP = ['__oom_kill_process', 'oom_kill_memcg_member', 'oom_kill_process', 'mem_cgroup_out_of_memory'];
const ALONE = ['__oom_kill_process', 'oom_kill_process', 'mem_cgroup_out_of_memory'];
const NONE = { anon: null, file: null, shmem: null, kernel: null };

const processOf = (pid: number, mib: number, comm: string, vpid = pid): UsingProcess => ({
  pid,
  comm,
  rss: mib * MIB,
  vpid,
});

const use = (changes: Partial<CgroupUse> = {}): MemoryReading =>
  reading({
    ownLimit: 128 * MIB,
    processes: [processOf(99, 12, 'redis-server'), processOf(VICTIM_PID, 9, 'java'), processOf(7, 1, 'sh')],
    ...changes,
  });

const kill = (changes: Partial<Death> = {}, stack: string[] = ALONE) =>
  killedBy(9, {
    process: victim({ exe: '/usr/bin/java', args: ['java'], cgroup: '/shop/web' }),
    signal: kernelSignal(9, stack),
    oom_victim: true,
    oom: oom({ cgroup: '/shop', limit: BigInt(64 * MIB) }),
    ...changes,
  });

const report = (read: MemoryReading | null, death = kill()) => {
  const { body, attributes } = recordOf(death, { reading: read });
  const evidence = attributes['whodunit.evidence'] as unknown as string[];
  return { body: String(body), attributes, evidence: evidence.join('\n') };
};

describe('the sentence', () => {
  it.each<[string, Partial<CgroupUse>, string]>([
    ['what explains the limit', {}, '; redis-server (pid 99) had 12 MiB, tmpfs and shared memory 8 MiB.'],
    [
      'the three largest',
      { processes: [9, 8, 7, 6].map((mib) => processOf(mib, mib, `p${mib}`)), parts: NONE },
      '; p9 (pid 9) had 9 MiB, p8 (pid 8) 8 MiB, p7 (pid 7) 7 MiB.',
    ],
    ['a tmpfs alone', { processes: [] }, '; tmpfs and shared memory had 8 MiB.'],
    ['the memory of the kernel', { processes: [], parts: { ...NONE, kernel: 40 * MIB } }, '; the kernel had 40 MiB.'],
    [
      'a name that people use, or that controls a terminal',
      { processes: [processOf(9, 9, 'MainThread'), processOf(8, 8, '\u001b[2J\u202ex')], parts: NONE },
      '; node (pid 9) had 9 MiB, \\u001b[2J\\u202ex (pid 8) 8 MiB.',
    ],
  ])('has %s', (_, changes, end) => {
    expect(report(use(changes)).body).toMatch(/reached its limit of 64 MiB, when .* asked for more; it had 33 MiB;/);
    expect(report(use(changes)).body.endsWith(end)).toBe(true);
  });

  it.each<[string, MemoryReading | null]>([
    ['was read', null],
    ['was large', use({ processes: [processOf(7, 1, 'sh')], parts: NONE })],
    ['is left', { kind: 'unknown', why: 'removed' }],
  ])('is as before if nothing %s', (_, read) => {
    expect(report(read).body).toMatch(/asked for more; it had 33 MiB\.$/);
  });

  it('has the largest of the machine, if that ran out of memory', () => {
    const death = kill({
      signal: kernelSignal(9, ['__oom_kill_process', 'out_of_memory', '__alloc_pages_slowpath']),
      oom: oom({ cgroup: null, limit: null }),
    });
    const { body, evidence } = report(use({ cgroup: '/', usage: null }), death);
    expect(body).toMatch(
      /: the machine ran out of memory.*; redis-server \(pid 99\) had 12 MiB, sh \(pid 7\) 1 MiB\.$/,
    );
    expect(evidence).toContain('the largest other processes on the machine: redis-server (pid 99) 12 MiB');
  });
});

describe('the evidence', () => {
  it.each([
    'a moment later /shop used 24 MiB, at most 64 MiB before: anonymous 13 MiB, files 1 MiB, tmpfs and shared memory 8 MiB, kernel 2 MiB',
    'the largest other processes in /shop: redis-server (pid 99) 12 MiB, sh (pid 7) 1 MiB',
    'since /shop was made: its limit was reached 27 times, processes killed for it: 1',
    'in the last 10 s, some process in /shop waited for memory 45.12 % of the time, all of them 30.5 %',
    'the limit of its own cgroup, /shop/web, is 128 MiB',
  ])('has: %s', (fact) => {
    expect(report(use()).evidence.split('\n')).toContain(fact);
  });

  it('says that not all processes were read', () => {
    expect(report(use({ isComplete: false })).evidence).toContain('in /shop, as far as they were read: redis-server');
  });

  it.each<[Unread, string]>([
    ['removed', 'the cgroup was gone'],
    ['unreadable', 'its files could not be read'],
    ['late', 'it took too long'],
    ['crowded', 'there were too many such kills in that second'],
    ['stale', 'the kill was too long ago'],
  ])('says why nothing was read: %s', (why, words) => {
    const { evidence } = report({ kind: 'unknown', why });
    expect(evidence).toContain(`the memory of its cgroup was not read: ${words}`);
  });
});

describe('PID 1 of the container', () => {
  const ancestors = [{ pid: 50, comm: 'sh', start_boottime_ns: 1n }];
  const inside = victim({ vpid: 7, ancestors });
  const init = use({ processes: [processOf(50, 1, 'sh', 1)] });
  it.each<[string, Death, MemoryReading | null, boolean | undefined]>([
    ['lives on', kill({ process: inside }), init, true],
    ['was not killed with it', kill({ process: inside }), null, true],
    ['is another container', kill({ process: victim({ vpid: 7 }) }, GROUP), init, undefined],
    ['was seen after its group was killed', kill({ process: inside }, GROUP), init, true],
    ['was the victim', kill({ process: victim({ vpid: 1 }) }), null, false],
    ['does not exist: it was in no container', kill({ process: victim({ vpid: VICTIM_PID }) }), null, undefined],
  ])('%s', (_, death, read, lives) => {
    expect(report(read, death).attributes['whodunit.oom.init_lives']).toBe(lives);
  });

  it('is named', () => {
    expect(report(init, kill({ process: inside })).evidence).toContain(
      'PID 1 of its pid namespace, sh (pid 50), lives on',
    );
  });
});

describe('attributes', () => {
  it('have what was read', () => {
    const found = Object.entries(report(use()).attributes).filter(([key]) =>
      /^whodunit\.oom\.(?:c.*s|cgroup\..*|events.*|pressure.*|own.*|consumers_complete)$/.test(key),
    );
    expect(Object.fromEntries(found)).toEqual({
      'whodunit.oom.own_limit': 128 * MIB,
      'whodunit.oom.consumers': ['redis-server (pid 99): 12 MiB', 'sh (pid 7): 1 MiB'],
      'whodunit.oom.consumers_complete': true,
      'whodunit.oom.cgroup.usage': 24 * MIB,
      'whodunit.oom.cgroup.peak': 64 * MIB,
      'whodunit.oom.cgroup.anon': 13 * MIB,
      'whodunit.oom.cgroup.file': MIB,
      'whodunit.oom.cgroup.shmem': 8 * MIB,
      'whodunit.oom.cgroup.kernel': 2 * MIB,
      'whodunit.oom.events.high': 0,
      'whodunit.oom.events.max': 27,
      'whodunit.oom.events.oom': 2,
      'whodunit.oom.events.oom_kill': 1,
      'whodunit.oom.pressure.some': 45.12,
      'whodunit.oom.pressure.full': 30.5,
    });
  });

  it('of a cgroup whose name reads as a part of the sentence have it in quotes', () => {
    const cgroup = '/mallory/x reached its limit of 1 B, when sshd (pid 1, root) asked for more; y';
    const process = victim({ exe: '/usr/bin/java', args: ['java'], cgroup });
    const death = kill({ process, oom: oom({ cgroup, limit: BigInt(64 * MIB) }) });
    const { body, evidence } = report(use({ cgroup }), death);
    expect(body).toContain(`: cgroup "${cgroup}" reached its limit of 64 MiB`);
    expect(evidence.replaceAll(`"${cgroup}"`, '')).not.toContain('sshd');
  });

  it('say that the group is killed, where the stack is not known and the cgroup says so', () => {
    const death = kill({ signal: kernelSignal(9, []) });
    expect(report(use({ group: true }), death).attributes['whodunit.oom.group']).toBe(true);
    expect(report(use({ group: false }), death).attributes['whodunit.oom.group']).toBe(undefined);
  });
});
