// SPDX-License-Identifier: Apache-2.0
// What the page shows of one record: chain, memory, row.
import { describe, expect, it } from 'vitest';
import { glob } from '../../../src/core/glob.ts';
import { entryOf } from '../../../src/core/history/entry.ts';
import { chainOf } from '../../../src/core/page/chain.ts';
import { literal } from '../../../src/core/page/literal.ts';
import { memoryOf } from '../../../src/core/page/memory.ts';
import { detailOf, rowOf } from '../../../src/core/page/row.ts';
import { recordOf } from '../../support/circumstances.ts';
import { exitedWith, fault, itself, kernelSignal, killedBy, oom, signal } from '../../support/deadly.ts';

const entry = (...death: Parameters<typeof recordOf>) => entryOf(recordOf(...death), { state: 'none' });
const chain = (...death: Parameters<typeof recordOf>) => {
  const { attributes, resource, kind } = entry(...death);
  return chainOf(attributes, resource, kind).map(({ role, name, act }) => [role, name, act]);
};

describe('the chain', () => {
  it('of a kill: the sender and the victim', () => {
    expect(chain(killedBy(9, { signal: signal(9) }))).toEqual([
      ['sender', 'bash', 'sent SIGKILL'],
      ['victim', 'sleep', null],
    ]);
  });

  it('of a fault: the kernel', () => {
    expect(chain(killedBy(11, { fault: fault(11, 1) }))).toEqual([
      ['kernel', 'the kernel', 'sent SIGSEGV'],
      ['victim', 'sleep', null],
    ]);
  });

  it('of a kill for memory: the kernel, and why', () => {
    const death = killedBy(9, { signal: kernelSignal(9, ['__oom_kill_process']), oom: oom(), oom_victim: true });
    expect(chain(death)[0]).toEqual(['kernel', 'the kernel, out of memory', 'sent SIGKILL']);
  });

  it('of an exit: the process alone', () => {
    expect(chain(exitedWith(3))).toEqual([['victim', 'sleep', null]]);
  });

  it('of a signal to itself: the sender and the victim are one', () => {
    const found = chain(killedBy(6, { signal: signal(6, { sender: itself(), siginfo_pid: 4242 }) }));
    expect(found.at(-1)?.slice(0, 2)).toEqual(['victim', 'sleep']);
  });

  it('begins with who asked', () => {
    const { attributes, resource } = entry(killedBy(15, { signal: signal(15) }));
    const asked = { ...attributes, 'whodunit.requester.name': 'systemctl', 'whodunit.requester.user.name': 'alice' };
    const [first] = chainOf(asked, resource, 'termination');
    expect(first).toMatchObject({ role: 'requester', name: 'systemctl', user: 'alice', act: 'asked' });
  });

  it('is none of a restart or a summary', () => {
    expect(chainOf({}, {}, 'restart')).toEqual([]);
  });
});

describe('memory', () => {
  it('is shown beside the limit of its cgroup', () => {
    const death = killedBy(9, { signal: kernelSignal(9, ['__oom_kill_process']), oom: oom(), oom_victim: true });
    expect(memoryOf(entry(death).attributes)).toEqual([
      {
        title: 'Memory of the process',
        parts: [
          { name: 'anonymous', bytes: 33_554_432 },
          { name: 'files', bytes: 1_048_576 },
        ],
        limitBytes: 33_554_432,
        limitName: 'limit of /demo',
      },
    ]);
  });

  it('of its cgroup is that of a moment later', () => {
    const attributes = {
      'whodunit.oom.scope': 'cgroup',
      'whodunit.oom.cgroup': '/demo',
      'whodunit.oom.limit': 1000,
      'whodunit.oom.cgroup.anon': 500,
      'whodunit.oom.cgroup.shmem': 300,
    };
    const parts = [
      { name: 'anonymous', bytes: 500 },
      { name: 'tmpfs and shared', bytes: 300 },
    ];
    expect(memoryOf(attributes)).toMatchObject([{ parts, limitBytes: 1000, limitName: 'limit of /demo' }]);
    expect(memoryOf({ ...attributes, 'whodunit.oom.scope': 'host' })).toEqual([]);
  });

  it('of the machine is what is not available', () => {
    const attributes = { 'whodunit.machine.memory.total': 1000, 'whodunit.machine.memory.available': 100 };
    expect(memoryOf(attributes)).toMatchObject([{ parts: [{ name: 'in use', bytes: 900 }], limitBytes: 1000 }]);
  });

  it('is left out where the record has none, or nonsense', () => {
    expect(memoryOf({})).toEqual([]);
    expect(memoryOf({ 'whodunit.oom.anon_rss': 'much', 'whodunit.oom.file_rss': -1 })).toEqual([]);
    expect(memoryOf({ 'whodunit.machine.memory.total': 1, 'whodunit.machine.memory.available': 2 })).toEqual([]);
  });
});

describe('a row', () => {
  it('cuts long names between characters', () => {
    const name = `${'x'.repeat(299)}💀${'x'.repeat(4000)}`;
    const row = rowOf({ ...entry(exitedWith(3)), process: { name, pid: 1 } });
    expect(row.name).toBe(`${'x'.repeat(299)}…`);
  });

  it('says how it ended: signal, or exit code', () => {
    expect(rowOf(entry(killedBy(9, { signal: signal(9) })))).toMatchObject({
      cause: 'killed',
      how: 'SIGKILL',
      sender: 'bash',
    });
    expect(rowOf(entry(exitedWith(3)))).toMatchObject({ cause: 'exit', how: 'exit code 3', sender: null });
  });
});

describe('a report', () => {
  const none = { restarts: [], members: [], moreMembers: false, earlier: [] };
  it.each([
    [{ state: 'none' }, 'not sent: no collector is set (OTEL_EXPORTER_OTLP_ENDPOINT)'],
    [{ state: 'waiting', endpoint: 'http://c:4318' }, 'waits for the collector to http://c:4318'],
    [{ state: 'rejected', reason: 'too old' }, 'rejected by the collector: too old'],
    [
      { state: 'delivered', at_ns: 0n, endpoint: 'http://c:4318' },
      'delivered to http://c:4318 at 1970-01-01T00:00:00.000000000Z',
    ],
  ] as const)('says what became of it: $0.state', (delivery, words) => {
    expect(detailOf({ ...entry(exitedWith(3)), delivery }, none).delivery).toBe(words);
  });

  it('has each attribute once: long ones have a place of their own', () => {
    const { attributes, evidence } = detailOf(entry(exitedWith(3)), none);
    expect(attributes.map(({ name }) => name)).toContain('whodunit.cause');
    expect(attributes.map(({ name }) => name)).not.toContain('whodunit.evidence');
    expect(evidence.length).toBeGreaterThan(0);
  });
});

describe('a literal', () => {
  it.each(['*', 'a?b', '\\', '\\*', 'plain'])('%s matches itself only', (text) => {
    expect(glob(literal(text))(text)).toBe(true);
    expect(glob(literal(text))(`${text}x`)).toBe(false);
    expect(glob(literal(text))('other')).toBe(false);
  });
});
