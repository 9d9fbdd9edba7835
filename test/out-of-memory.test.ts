// SPDX-License-Identifier: Apache-2.0
// When a cgroup is read for an out-of-memory kill, and when not.
import { describe, expect, it } from 'vitest';
import type { MemoryReading } from '../src/core/cgroup/use.ts';
import type { Death } from '../src/core/wire/event.ts';
import type { CgroupQuestion } from '../src/io/memory-cgroups.ts';
import { AGE_MS_MAX, OutOfMemory, READINGS_PER_SECOND_MAX } from '../src/out-of-memory.ts';
import { END, exitedWith, kernelSignal, killedBy, OFFSET, oom, victim } from './support/deadly.ts';

const STACK = ['__oom_kill_process', 'oom_kill_process', 'out_of_memory'];
const ENDED_MS = Number((END + OFFSET) / 1_000_000n);
const REMOVED: MemoryReading = { kind: 'unknown', why: 'removed' };

const kill = (cgroup: string | null, changes: Partial<Death> = {}) =>
  killedBy(9, {
    signal: kernelSignal(
      9,
      cgroup === null ? [...STACK, '__alloc_pages_slowpath'] : [...STACK, 'mem_cgroup_out_of_memory'],
    ),
    oom_victim: true,
    oom: oom({ cgroup, limit: cgroup === null ? null : 1n }),
    ...changes,
  });
const of = (place: string) => ({ process: victim({ cgroup: place }), origin: { cgroup: 1n, uid: 1000 } });

function build(isVisible = true) {
  const asked: CgroupQuestion[] = [];
  const times = { nowMs: 0, wallNowMs: ENDED_MS, takesMs: 0 };
  const outOfMemory = new OutOfMemory({
    isVisible,
    read: async (question) => {
      asked.push(question);
      times.nowMs += times.takesMs;
      return REMOVED;
    },
  });
  const read = (...deaths: Death[]) =>
    outOfMemory.read(deaths, { wallMs: () => times.wallNowMs, steadyMs: () => times.nowMs });
  return { outOfMemory, asked, times, read };
}

describe('is read', () => {
  it.each([
    [
      'the cgroup whose limit was reached, and the limit of the victim',
      kill('/shop', of('/shop/web')),
      { cgroup: '/shop', own: '/shop/web' },
    ],
    ['the whole machine', kill(null), { cgroup: '/', own: null }],
  ])('%s', async (_, death, question) => {
    const { asked, read, outOfMemory } = build();
    expect(outOfMemory.concerns([death])).toBe(true);
    expect([...(await read(death))]).toEqual([[death, REMOVED]]);
    expect(asked).toEqual([question]);
  });

  it('once for several kills in it', async () => {
    const { asked, read, times } = build();
    const readings = await read(kill('/shop'), kill('/shop'));
    expect([readings.size, asked.length]).toEqual([2, 1]);
    times.nowMs += 1_000;
    await read(kill('/shop'));
    expect(asked).toHaveLength(2);
  });
});

describe('is not read', () => {
  it.each([
    ['another termination', exitedWith(1)],
    ['a cgroup whose path is not known', kill('/shop', { oom: oom({ cgroup: null }) })],
  ])('%s', async (_, death) => {
    const { asked, read } = build();
    expect([(await read(death)).size, asked]).toEqual([0, []]);
  });

  it('what is not visible', () => {
    expect(build(false).outOfMemory.concerns([kill('/shop')])).toBe(false);
    expect(build(false).outOfMemory.snapshot()).toBe(null);
  });

  it.each([AGE_MS_MAX + 1_000, -AGE_MS_MAX - 1_000])('a kill that is %i ms old', async (ageMs) => {
    const { asked, read, times, outOfMemory } = build();
    times.wallNowMs = ENDED_MS + ageMs;
    const death = kill('/shop');
    expect([(await read(death)).get(death), asked]).toEqual([{ kind: 'unknown', why: 'stale' }, []]);
    expect(outOfMemory.snapshot()).toMatchObject({ stale: 1, removed: 0 });
  });

  it('a cgroup of an origin that had more than its share in that second; another one has its own', async () => {
    const { asked, read, outOfMemory, times } = build();
    const flood = Array.from({ length: 100 }, (_, index) => kill(`/flood/${index}`, of('/flood/x')));
    await read(...flood);
    expect(asked).toHaveLength(READINGS_PER_SECOND_MAX / 2);
    await read(kill('/shop', of('/shop')));
    expect(asked.at(-1)).toEqual({ cgroup: '/shop', own: '/shop' });
    expect(outOfMemory.snapshot()).toMatchObject({ crowded: 100 - READINGS_PER_SECOND_MAX / 2, read: 0 });
    times.nowMs += 1_000;
    await read(...flood);
    expect(asked.at(-1)?.cgroup).toBe(`/flood/${READINGS_PER_SECOND_MAX / 2 - 1}`);
  });
});
