// SPDX-License-Identifier: Apache-2.0
// Fair shares: who gives way, and that a flood takes nothing of an origin that holds less.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Displaced, FairMap, ORIGINS_COUNTED_MAX, OTHER_ORIGINS, Shares } from '../../src/core/shares.ts';

const LIMIT = 16;

function filled(origins: Readonly<Record<string, number>>): Shares {
  const shares = new Shares();
  for (const [origin, amount] of Object.entries(origins)) shares.add(origin, amount);
  return shares;
}

describe('the origin that gives way', () => {
  it('is the one that holds most', () => {
    expect(filled({ a: 1, b: 3, c: 2 }).largest()).toBe('b');
    expect(new Shares().largest()).toBeNull();
  });

  it('of two that hold the same is the favoured one', () => {
    expect(filled({ a: 2, b: 2 }).largest('b')).toBe('b');
    expect(filled({ a: 2, b: 2 }).largest('a')).toBe('a');
    expect(filled({ a: 2, b: 1 }).largest('b')).toBe('a');
  });

  it('is not an exempt one', () => {
    expect(filled({ a: 2, b: 1 }).largest(null, new Set(['a']))).toBe('b');
    expect(filled({ a: 2 }).largest('a', new Set(['a']))).toBeNull();
  });

  it('is not one that holds nothing any more', () => {
    const shares = filled({ a: 2, b: 1 });
    shares.add('a', -2);
    expect([shares.largest(), shares.of('a'), shares.total, [...shares]]).toEqual(['b', 0, 1, [['b', 1]]]);
  });
});

describe('what is never taken back', () => {
  it('has room for the next origin, whatever those before it took', () => {
    const shares = new Shares();
    const taken = ['a', 'b', 'c', 'd'].map((origin) => {
      while (shares.admits(origin, LIMIT)) shares.add(origin, 1);
      return shares.of(origin);
    });
    expect(taken).toEqual([8, 4, 2, 1]);
  });
});

describe('a bounded map', () => {
  it('drops the oldest of the origin that has most, and returns it', () => {
    const map = new FairMap<number>(3);
    map.set('a1', 'a', 1);
    map.set('b1', 'b', 2);
    map.set('b2', 'b', 3);
    expect(map.set('b3', 'b', 4)).toEqual({ key: 'b1', origin: 'b', value: 2 });
    expect(map.members().map(({ key }) => key)).toEqual(['a1', 'b2', 'b3']);
    expect([map.get('b1'), map.get('b3'), map.size]).toEqual([undefined, 4, 3]);
  });

  it('takes nothing from an origin that has no more than the newcomer', () => {
    const map = new FairMap<number>(2);
    map.set('a1', 'a', 1);
    map.set('b1', 'b', 2);
    expect(map.set('b2', 'b', 3)?.key).toBe('b1');
    expect(map.isExhausted('b')).toBe(true);
    expect(map.isExhausted('c')).toBe(true);
    expect(map.set('c1', 'c', 4)?.key).toBe('c1');
  });

  it('is exhausted for an origin that would have to drop a member of its own', () => {
    const map = new FairMap<number>(4);
    map.set('a1', 'a', 1);
    expect(map.isExhausted('a')).toBe(false);
    for (const key of ['b1', 'b2', 'b3']) map.set(key, 'b', 1);
    expect(['a', 'b', 'c'].map((origin) => map.isExhausted(origin))).toEqual([false, true, false]);
    map.set('a2', 'a', 1);
    expect(['a', 'b', 'c'].map((origin) => map.isExhausted(origin))).toEqual([true, true, false]);
  });

  it('drops the member that was not touched', () => {
    const map = new FairMap<number>(2);
    map.set('a1', 'a', 1);
    map.set('a2', 'a', 2);
    map.touch('a1');
    map.touch('none');
    expect(map.set('a3', 'a', 3)?.key).toBe('a2');
  });

  it('has the last value of a key, of its last origin', () => {
    const map = new FairMap<number>(2);
    map.set('k', 'a', 1);
    expect([map.set('k', 'b', 2), map.size, map.get('k')]).toEqual([null, 1, 2]);
    expect(map.delete('k')).toEqual({ key: 'k', origin: 'b', value: 2 });
    expect([map.delete('k'), map.size]).toEqual([null, 0]);
  });
});

const step = fc.record({
  origin: fc.constantFrom('mallory', 'alice', 'bob', 'carol'),
  key: fc.nat(30),
  act: fc.constantFrom('set', 'set', 'set', 'delete', 'touch'),
});
const heldBy = (map: FairMap<unknown>, origin: string): number =>
  map.members().filter((member) => member.origin === origin).length;

describe('for any sequence', () => {
  it('of changes, a map has at most its limit of members, and what gives way is of an origin that holds most', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const map = new FairMap<number>(LIMIT);
        for (const [at, { origin, key, act }] of steps.entries()) {
          const name = `${origin} ${key}`;
          if (act === 'delete') map.delete(name);
          else if (act === 'touch') map.touch(name);
          else {
            const displaced = map.set(name, origin, at);
            if (displaced !== null) {
              const most = heldBy(map, displaced.origin) + 1;
              for (const other of new Set(map.members().map((member) => member.origin)))
                expect(heldBy(map, other)).toBeLessThanOrEqual(most);
              // Not of one that holds as much as the newcomer, if it is another.
              if (displaced.origin !== origin) expect(most).toBeGreaterThan(heldBy(map, origin));
            }
          }
          expect(map.size).toBeLessThanOrEqual(LIMIT);
        }
      }),
    );
  });

  it('of a flood, an origin that never has more than its share loses nothing', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(100), { maxLength: LIMIT / 2 }),
        fc.array(fc.nat(1_000), { maxLength: 300 }),
        fc.infiniteStream(fc.boolean()),
        (own, flood, turns) => {
          const map = new FairMap<number>(LIMIT);
          const mine = [...new Set(own)];
          let [a, m] = [0, 0];
          for (const turn of turns) {
            if (a === mine.length && m === flood.length) break;
            if ((turn && a < mine.length) || m === flood.length) map.set(`alice ${mine[a++]}`, 'alice', 0);
            else map.set(`mallory ${flood[m++]}`, 'mallory', 0);
          }
          expect(heldBy(map, 'alice')).toBe(mine.length);
        },
      ),
    );
  });
});

describe('what was displaced', () => {
  it('is counted by origin, and that of many origins together', () => {
    const displaced = new Displaced();
    displaced.add('a');
    displaced.add('a', 2);
    for (let i = 0; i < ORIGINS_COUNTED_MAX + 5; i += 1) displaced.add(`origin ${i}`);
    const counts = new Map(displaced);
    expect([counts.get('a'), counts.get('origin 0'), counts.get(OTHER_ORIGINS)]).toEqual([3, 1, 6]);
    expect(displaced.total).toBe(3 + ORIGINS_COUNTED_MAX + 5);
    expect(counts.size).toBe(ORIGINS_COUNTED_MAX + 1);
  });
});
