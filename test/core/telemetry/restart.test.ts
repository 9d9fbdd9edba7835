// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { conclude } from '../../../src/core/conclude.ts';
import { buildRestart, isSameProgram, Restarts } from '../../../src/core/telemetry/restart.ts';
import type { Restart } from '../../../src/core/wire/event.ts';
import { circumstances } from '../../support/circumstances.ts';
import { END, exitedWith, OFFSET, victim } from '../../support/deadly.ts';

const CGROUP = '/system.slice/web.service';
const DELAY = 250_000_000n;
const given = circumstances();

function restart(changes: Partial<Restart['process']> = {}, dead: Partial<Restart['dead']> = {}): Restart {
  return {
    type: 'restart',
    seq: 1n,
    time_ns: END + DELAY,
    clock_offset_ns: OFFSET,
    origin: { cgroup: 2113n, uid: 1000 },
    process: victim({
      pid: 4300,
      cgroup: CGROUP,
      ancestors: [
        { pid: 99, comm: 'bash' },
        { pid: 1, comm: 'systemd' },
      ],
      ...changes,
    }),
    dead: { pid: 4242, start_boottime_ns: 9_000_000_000n, time_ns: END, ...dead },
  };
}

/** The state after one termination, which was reported or only counted. */
function remembering(action: 'report' | 'count'): Restarts {
  const restarts = new Restarts();
  const env = { TRACEPARENT: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };
  conclude(exitedWith(3, { process: victim({ env, cgroup: CGROUP }) }), {
    ...given,
    seen: circumstances().seen,
    restarts,
    rules: [{ name: 'all', action, isFinal: false, matches: () => true, certain: () => true }],
  });
  return restarts;
}

describe('a restart', () => {
  it('follows the reported termination, once', () => {
    const restarts = remembering('report');
    expect(restarts.take(restart(), given.bootId)).not.toBeNull();
    expect(restarts.take(restart(), given.bootId)).toBeNull();
  });

  it('does not follow a termination without a record, another process with that pid, or another program', () => {
    expect(remembering('count').take(restart(), given.bootId)).toBeNull();
    expect(remembering('report').take(restart({}, { start_boottime_ns: 8n }), given.bootId)).toBeNull();
    expect(remembering('report').take(restart(), 'another boot')).toBeNull();
    expect(remembering('report').take(restart({ exe: '/opt/sleep' }), given.bootId)).toBeNull();
    expect(remembering('report').take(restart({ args: ['sleep', '7'] }), given.bootId)).toBeNull();
  });

  it('does not follow a termination in another unit, where the kernel cannot tell them apart', () => {
    const inUnit = (unit: string) => restart({ cgroup: `/system.slice/${unit}.service` });
    expect(remembering('report').take(inUnit('other'), given.bootId)).toBeNull();
    expect(remembering('report').take(restart({ cgroup: CGROUP }), given.bootId)).not.toBeNull();
    expect(remembering('report').take(restart({ cgroup: null }), given.bootId)).not.toBeNull();
  });

  it('has the new pid, the delay and what started it, with the resource and the trace of the termination', () => {
    const termination = remembering('report').take(restart(), given.bootId);
    if (termination === null) throw new Error('no termination');
    const record = buildRestart(restart(), termination, 1n, 'redacted');
    expect(record.eventName).toBe('whodunit.process.restart');
    expect(record.body).toBe('sleep was restarted by bash (pid 99) as pid 4300, 250 ms after pid 4242 terminated.');
    expect(record.attributes).toMatchObject({
      'whodunit.termination.uid': termination.uid,
      'whodunit.restart.pid': 4300,
      'whodunit.restart.delay': 0.25,
      'whodunit.restart.ancestors': ['bash(99)', 'systemd(1)'],
    });
    expect(record.attributes['log.record.uid']).not.toBe(termination.uid);
    expect(record.resource.attributes['process.pid']).toBe(4242);
    expect(record.spanContext?.traceId).toBe('0af7651916cd43dd8448eb211c80319c');
  });
});

describe('the same program', () => {
  const program = (exe: string | null, args: string[] | null) => ({ exe, args });
  it.each([
    ['path and arguments are the same', program('/a', ['a', 'b']), program('/a', ['a', 'b']), true],
    ['another argument', program('/a', ['a', 'b']), program('/a', ['a', 'c']), false],
    ['one argument more', program('/a', ['a']), program('/a', ['a', 'b']), false],
    ['another path', program('/a', ['a']), program('/b', ['a']), false],
    [
      'a title in place of the arguments',
      program('/n', ['nginx: worker process']),
      program('/n', ['nginx', '-g', 'x']),
      true,
    ],
    ['the path of the terminated process is not known', program(null, ['a']), program(null, ['a']), false],
    ['the arguments of the terminated process are not known', program('/a', null), program('/a', ['a']), false],
  ])('%s', (_, before, now, same) => expect(isSameProgram(before, now)).toBe(same));
});
