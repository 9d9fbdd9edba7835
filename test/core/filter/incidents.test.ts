// SPDX-License-Identifier: Apache-2.0
// Which terminations share an incident, and what is reported of them. The clocks are arguments.
import { describe, expect, it } from 'vitest';
import { conclude } from '../../../src/core/conclude.ts';
import type { Part, StoredIncident } from '../../../src/core/filter/incident.ts';
import { Incidents } from '../../../src/core/filter/incidents.ts';
import { add, GROUPS_MAX, type Members, PIDS_MAX } from '../../../src/core/filter/members.ts';
import { Requests } from '../../../src/core/requests/requests.ts';
import { buildIncident } from '../../../src/core/telemetry/incident.ts';
import type { Death, Request } from '../../../src/core/wire/event.ts';
import { circumstances } from '../../support/circumstances.ts';
import {
  actor,
  END,
  exitedWith,
  fault,
  kernelSignal,
  killedBy,
  noinfoSignal,
  OFFSET,
  signal,
  victim,
} from '../../support/deadly.ts';
import { request, stopped } from '../../support/requests.ts';

const SECOND = 1_000_000_000n;
const [SIGHUP, SIGINT, SIGQUIT, SIGKILL, SIGSEGV, SIGTERM] = [1, 2, 3, 9, 11, 15];
const OVER_MS = 2_000;

/** What the incidents of one service made of terminations. */
function watch(incidents = new Incidents(false), asked: readonly Request[] = []) {
  const requests = new Requests();
  for (const request of asked) requests.add(request, 'boot', 'redacted');
  const around = circumstances({ incidents, requests: requests.of('boot') });
  let nowMs = 0;
  const read = (death: Death) => {
    const conclusion = conclude(death, { ...around, nowMs });
    if (conclusion.kind === 'duplicate') throw new Error('a duplicate');
    return conclusion;
  };
  return {
    incidents,
    read,
    /** What each of them is: `reported`, or `aggregated` if it is a member. */
    outcomes: (...deaths: Death[]) => deaths.map((death) => read(death).outcome),
    idOf: (death: Death) => read(death).record?.attributes['whodunit.incident.id'],
    later: (ms: number) => {
      nowMs += ms;
      return parts(incidents, nowMs);
    },
  };
}

const parts = (incidents: Incidents, nowMs: number): Shown[] => incidents.due(nowMs).map(shown);
interface Shown {
  readonly body: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}
function shown(part: Part): Shown {
  const { body, attributes } = buildIncident(part, OFFSET + END + 9n * SECOND);
  return { body: String(body), attributes };
}

/** A process that ended `afterNs` after END, with the pid 5000 + index. */
const one = (index: number, changes: Partial<Death['process']> = {}) =>
  victim({ pid: 5000 + index, start_boottime_ns: 8_000_000_000n + BigInt(index), ...changes });
const killed = (index: number, afterNs = BigInt(index), changes: Partial<Death> = {}): Death =>
  killedBy(SIGKILL, {
    process: one(index),
    time_ns: END + afterNs,
    signal: signal(SIGKILL, { time_ns: END + afterNs - 1000n }),
    ...changes,
  });
const many = (count: number): Death[] => Array.from({ length: count }, (_, index) => killed(index));

describe('one act', () => {
  it('of a sender in a cgroup is a record, and a second one for the rest', () => {
    const { outcomes, later } = watch();
    expect(outcomes(...many(201))).toEqual(['reported', ...Array(200).fill('aggregated')]);
    const [part, ...more] = later(OVER_MS);
    expect(more).toEqual([]);
    expect(part).toMatchObject({
      body: 'bash (pid 99, alice) ← sshd ← systemd terminated 201 processes within 0 µs: first sleep (pid 5000), then 200 × sleep: SIGKILL.',
      attributes: {
        'whodunit.incident.act': 'signal',
        'whodunit.incident.total': 201,
        'whodunit.incident.members': ['200 × sleep: SIGKILL (pids 5001-5200)'],
        'whodunit.aggregated.count': 200,
        'whodunit.aggregated.by_cause.killed': 200,
        'whodunit.sender.pid': 99,
      },
    });
  });

  it('has the id of its first termination, the same in another run', () => {
    const [first = killed(0), second = killed(1)] = many(2);
    const { read, later } = watch();
    const record = read(first).record;
    read(second);
    const [part] = later(OVER_MS);
    expect(part?.attributes['whodunit.incident.id']).toBe(record?.attributes['whodunit.incident.id']);
    expect(part?.attributes['whodunit.termination.uid']).toBe(record?.attributes['log.record.uid']);
    expect(watch().idOf(first)).toBe(record?.attributes['whodunit.incident.id']);
  });

  it('is another one a second later, in another unit, or of another sender', () => {
    const { outcomes } = watch();
    const elsewhere = one(2, { cgroup: '/system.slice/cron.service' });
    const other = signal(SIGKILL, { sender: actor({ pid: 77 }) });
    expect(
      outcomes(
        killed(0),
        killed(1, 2n * SECOND),
        killed(2, 0n, { process: elsewhere }),
        killed(3, 0n, { signal: other }),
      ),
    ).toEqual(Array(4).fill('reported'));
  });

  it('is one whatever the wall clock does between first and members', () => {
    const { outcomes, later } = watch();
    const steps = many(3).map((death, index) => ({
      ...death,
      clock_offset_ns: OFFSET + BigInt(index) * -3600n * SECOND,
    }));
    expect(outcomes(...steps)).toEqual(['reported', 'aggregated', 'aggregated']);
    expect(later(OVER_MS)[0]?.attributes).toMatchObject({
      'whodunit.incident.total': 3,
      'whodunit.incident.duration': 0,
    });
  });

  it('is a write to cgroup.kill, across the cgroups below', () => {
    const { outcomes, later } = watch();
    const kills = Array.from({ length: 3 }, (_, index) =>
      killed(index, BigInt(index), {
        process: one(index, { cgroup: `/demo/${index}` }),
        signal: noinfoSignal(SIGKILL, { kernel_stack: ['__cgroup_kill', 'cgroup_kill_write'], time_ns: END }),
      }),
    );
    expect(outcomes(...kills)).toEqual(['reported', 'aggregated', 'aggregated']);
    expect(later(OVER_MS)[0]?.body).toContain('with cgroup.kill: first sleep (pid 5000), then 2 × sleep: SIGKILL.');
  });

  it('is a command, however long it takes: the first one of each unit has a record, with the same incident', () => {
    const { read, later } = watch(undefined, [request('systemctl stop web db')]);
    const stop = (index: number, unit: string, afterNs: bigint): Death => {
      const process = one(index, { cgroup: `/system.slice/${unit}.service` });
      const death = stopped(15, { process, time_ns: END + afterNs });
      return { ...death, signal: death.signal && { ...death.signal, time_ns: END + afterNs - 1000n } };
    };
    const [web, worker, db, other] = [
      read(stop(0, 'web', 0n)),
      read(stop(1, 'web', 1n)),
      read(stop(2, 'db', 4n * SECOND)),
      read(stop(3, 'mail', 4n * SECOND)),
    ];
    expect([web, worker, db, other].map(({ outcome }) => outcome)).toEqual([
      'reported',
      'aggregated',
      'reported',
      'reported',
    ]);
    const idOf = ({ record }: typeof web) => record?.attributes['whodunit.incident.id'];
    expect(idOf(db)).toBe(idOf(web));
    expect(idOf(other)).not.toBe(idOf(web));
    expect(later(OVER_MS).map(({ attributes }) => attributes['whodunit.incident.total'])).toEqual([3]);
  });

  it('overlaps another one', () => {
    const { outcomes, later } = watch();
    const other = signal(SIGTERM, { sender: actor({ pid: 77, comm: 'systemd' }), time_ns: END });
    const stopped = (index: number): Death => killedBy(SIGTERM, { process: one(index), signal: other });
    expect(outcomes(killed(0), stopped(10), killed(1), stopped(11), killed(2))).toEqual([
      'reported',
      'reported',
      ...Array(3).fill('aggregated'),
    ]);
    expect(later(OVER_MS).map(({ attributes }) => attributes['whodunit.aggregated.count'])).toEqual([2, 1]);
  });
});

describe('what follows from a termination is in its incident:', () => {
  it('the processes of a pid namespace', () => {
    const { outcomes, later } = watch();
    const init = actor({ pid: 5000, start_boottime_ns: 8_000_000_000n, exiting: true });
    const zapped = kernelSignal(SIGKILL, ['zap_pid_ns_processes', 'do_exit'], { sender: init });
    expect(outcomes(killed(0), killed(1, 1n, { signal: zapped }), killed(2, 1n, { signal: zapped }))).toEqual([
      'reported',
      'aggregated',
      'aggregated',
    ]);
    expect(later(OVER_MS)[0]?.body).toBe(
      'With sleep (pid 5000), the init of their pid namespace, 2 more processes ended within 0 µs: 2 × sleep: SIGKILL.',
    );
  });

  it('the init of a pid namespace, if it is read after the rest: then it is the first', () => {
    const { read, outcomes, later } = watch();
    const init = actor({ pid: 5000, start_boottime_ns: 8_000_000_000n, exiting: true });
    const zapped = kernelSignal(SIGKILL, ['zap_pid_ns_processes', 'do_exit'], { sender: init });
    expect(outcomes(killed(1, 1n, { signal: zapped }), killed(2, 1n, { signal: zapped }))).toEqual([
      'reported',
      'aggregated',
    ]);
    const { outcome, record } = read(killed(0));
    const [part] = later(OVER_MS);
    expect([outcome, part?.attributes['whodunit.termination.uid']]).toEqual([
      'reported',
      record?.attributes['log.record.uid'],
    ]);
    expect(part?.attributes).toMatchObject({ 'whodunit.sender.name': 'bash', 'whodunit.incident.total': 3 });
  });

  it('a shell and npm that exit with the status of their child', () => {
    const { outcomes, later } = watch();
    const sh = one(1, {
      start_boottime_ns: 7n,
      comm: 'sh',
      exe: '/usr/bin/dash',
      args: ['sh', '-c', 'x'],
      parent_pid: 5002,
    });
    const npm = one(2, { start_boottime_ns: 6n, comm: 'npm', exe: null, args: null });
    expect(
      outcomes(
        killed(0, 0n, { process: one(0, { parent_pid: 5001 }) }),
        exitedWith(137, { process: sh, time_ns: END + 1000n }),
        exitedWith(137, { process: npm, time_ns: END + 2000n }),
      ),
    ).toEqual(['reported', 'aggregated', 'aggregated']);
    const [part] = later(OVER_MS);
    expect(part?.attributes['whodunit.incident.members']).toEqual([
      'sh (pid 5001): exit code 137',
      'npm (pid 5002): exit code 137',
    ]);
  });

  it('but not a parent that exits with another status, or one that is younger', () => {
    const { outcomes } = watch();
    const parent = (start: bigint) => one(1, { start_boottime_ns: start });
    const child = () => killed(0, 0n, { process: one(0, { parent_pid: 5001 }) });
    expect(outcomes(child(), exitedWith(1, { process: parent(7n) }))).toEqual(['reported', 'reported']);
    expect(watch().outcomes(child(), exitedWith(137, { process: parent(9_000_000_000n) }))).toEqual([
      'reported',
      'reported',
    ]);
  });

  it('the siblings that a postmaster takes down', () => {
    const { outcomes, later } = watch();
    const postmaster = actor({ pid: 4900, comm: 'postgres', exe: '/usr/lib/postgresql/17/bin/postgres', args: null });
    const backend = (index: number) => one(index, { parent_pid: 4900, comm: 'postgres' });
    const quit = signal(SIGQUIT, { sender: postmaster, action: 'handled', time_ns: END + 5_000_000n });
    const sibling = (index: number) =>
      exitedWith(2, { process: backend(index), request: quit, time_ns: END + 9_000_000n });
    expect(outcomes(killed(0, 0n, { process: backend(0) }), sibling(1), sibling(2))).toEqual([
      'reported',
      'aggregated',
      'aggregated',
    ]);
    expect(later(OVER_MS)[0]).toMatchObject({
      body: expect.stringContaining('its parent terminated 2 more processes'),
      attributes: { 'whodunit.incident.act': 'crash', 'whodunit.sender.name': 'bash' },
    });
  });

  describe('what the main process of a service leaves behind', () => {
    const systemd = actor({ pid: 1, comm: 'systemd' });
    const inUnit = { parent_pid: 1, cgroup: '/system.slice/db.service' };
    const main = killed(0, 0n, { process: one(0, inUnit) });
    const orphan = (index: number, changes: Partial<Death['process']> = {}) => one(index, { ...inUnit, ...changes });
    const exits = (process: Death['process'], afterNs: bigint) => exitedWith(1, { process, time_ns: END + afterNs });

    it('not what a service of that name has that a user runs', () => {
      const { outcomes } = watch();
      const cgroup = '/user.slice/user-61000.slice/user@61000.service/app.slice/db.service';
      const ancestors = [{ pid: 900, comm: 'systemd', start_boottime_ns: 1n }];
      const invented = killed(0, 0n, {
        process: one(0, { parent_pid: 900, ancestors, cgroup }),
        origin: { cgroup: 1n, uid: 61_000 },
      });
      expect(outcomes(invented, exits(orphan(1), 10_000_000n))).toEqual(['reported', 'reported']);
    });

    it('and that exits, or that systemd stops', () => {
      const { outcomes, later } = watch();
      const stopped = signal(SIGTERM, { sender: systemd, time_ns: END + 20_000_000n });
      expect(
        outcomes(
          main,
          exits(orphan(1), 10_000_000n),
          killedBy(SIGTERM, { process: orphan(2), signal: stopped, time_ns: END + 30_000_000n }),
          exitedWith(1, { process: orphan(3), request: { ...stopped, action: 'handled' }, time_ns: END + SECOND }),
          exitedWith(1, {
            process: orphan(4),
            request: signal(SIGINT, { sender: actor({ pid: 77 }), action: 'handled', time_ns: END - 2n * SECOND }),
            time_ns: END + 10_000_000n,
          }),
        ),
      ).toEqual(['reported', ...Array(4).fill('aggregated')]);
      expect(later(OVER_MS)[0]?.body).toMatch(
        /^After sleep \(pid 5000\) ended with SIGKILL, by bash .*, 4 more processes ended within 1\.0 s: /,
      );
    });

    it('but not what started after it, ended later, or what another process killed', () => {
      const { outcomes } = watch();
      expect(
        outcomes(
          main,
          exits(orphan(1, { start_boottime_ns: END + 100n }), 10_000_000n),
          exits(orphan(2), 2n * SECOND),
          killed(3, 10_000_000n, {
            process: orphan(3),
            signal: signal(SIGKILL, { sender: actor({ pid: 77 }), time_ns: END + 10_000_000n }),
          }),
        ),
      ).toEqual(Array(4).fill('reported'));
    });
  });

  it('what was interrupted from the same terminal', () => {
    const { outcomes, later } = watch();
    const typed = kernelSignal(SIGINT, ['__isig', 'isig'], { sender: actor({ kthread: true }) });
    const request = { ...typed, action: 'handled' } as const;
    const died = (index: number) => killedBy(SIGINT, { process: one(index), signal: typed });
    expect(outcomes(died(0), died(1), exitedWith(130, { process: one(2), request }))).toEqual([
      'reported',
      'aggregated',
      'aggregated',
    ]);
    expect(later(OVER_MS)[0]?.attributes).toMatchObject({
      'whodunit.incident.act': 'terminal',
      'whodunit.incident.outliers': ['sleep (pid 5002): exit code 130'],
    });
  });

  it('not what another user interrupted in the same cgroup: no one hides it behind a terminal of his own', () => {
    const { outcomes } = watch();
    const typed = kernelSignal(SIGINT, ['__isig', 'isig'], { sender: actor({ kthread: true }) });
    const died = (index: number, uid: number) =>
      killedBy(SIGINT, { process: one(index), signal: typed, origin: { cgroup: 2113n, uid } });
    expect(outcomes(died(0, 61_000), died(1, 0), died(2, 0))).toEqual(['reported', 'reported', 'aggregated']);
  });

  it('what npm passes Ctrl-C on to', () => {
    const { outcomes } = watch();
    const typed = kernelSignal(SIGINT, ['__isig', 'isig'], { sender: actor({ kthread: true }) });
    const again = signal(SIGINT, { sender: actor({ pid: 4900, comm: 'npm' }), time_ns: END });
    const sh = one(1, { parent_pid: 4900 });
    const app = killedBy(SIGINT, { process: one(0), signal: typed });
    expect(outcomes(app, killedBy(SIGINT, { process: sh, signal: again }))).toEqual(['reported', 'aggregated']);
  });

  it('what hung up with a terminal', () => {
    const { outcomes } = watch();
    const closed = kernelSignal(SIGHUP, [
      'tty_signal_session_leader',
      '__tty_hangup',
      'tty_vhangup',
      'pty_close',
      'tty_release',
    ]);
    const died = (index: number) => killedBy(SIGHUP, { process: one(index), signal: closed });
    expect(outcomes(died(0), died(1))).toEqual(['reported', 'aggregated']);
  });
});

describe('what stands out', () => {
  const request = signal(SIGTERM, { action: 'handled', time_ns: END });
  const stopped = (index: number): Death =>
    killedBy(SIGTERM, { process: one(index), signal: signal(SIGTERM, { time_ns: END }) });

  it('has a record of its own, with the same incident: a segfault while it stops', () => {
    const { read, idOf } = watch();
    const id = idOf(stopped(0));
    const crashed = killedBy(SIGSEGV, { process: one(1), signal: null, request, fault: fault(SIGSEGV, 1) });
    expect(read(crashed)).toMatchObject({ outcome: 'reported' });
    expect(read(stopped(2)).outcome).toBe('aggregated');
    expect(id).toBeDefined();
  });

  it('is named among the members: what needed SIGKILL', () => {
    const { outcomes, later } = watch();
    const forced = killed(3, SECOND, { request, signal: signal(SIGKILL, { time_ns: END + SECOND - 1000n }) });
    expect(outcomes(stopped(0), stopped(1), stopped(2), forced)).toEqual(['reported', ...Array(3).fill('aggregated')]);
    expect(later(OVER_MS)[0]?.attributes).toMatchObject({
      'whodunit.incident.outliers': ['sleep (pid 5003): SIGKILL after SIGTERM'],
    });
  });

  it.each([
    ['before', [0, 1, 2]],
    ['after', [1, 0, 2]],
    ['between', [1, 2, 0]],
  ])(
    'is one act with what had no request, and is killed with it (KillMode=mixed): the main process %s the others',
    (_, order) => {
      const { outcomes, later } = watch();
      const killNs = END + 90n * SECOND;
      const atOnce = (index: number): Death =>
        killed(index, 90n * SECOND, {
          signal: signal(SIGKILL, { time_ns: killNs }),
          ...(index === 0 ? { request } : {}),
        });
      expect(outcomes(...order.map(atOnce))).toEqual(['reported', 'aggregated', 'aggregated']);
      expect(later(OVER_MS)).toHaveLength(1);
    },
  );

  it('is reported at once if the others are reported already: SIGKILL after 90 s', () => {
    const { outcomes, read, later, idOf } = watch();
    const id = idOf(stopped(0));
    expect(outcomes(stopped(1))).toEqual(['aggregated']);
    expect(later(OVER_MS)).toHaveLength(1);
    const forced = killed(3, 90n * SECOND, { request, signal: signal(SIGKILL, { time_ns: END + 90n * SECOND }) });
    const { outcome, record } = read(forced);
    expect([outcome, record?.attributes['whodunit.incident.id']]).toEqual(['reported', id]);
  });
});

describe('limits:', () => {
  it('100,000 members have exact counts, and lists of limited length', () => {
    const severity = { number: 17, text: 'ERROR' };
    let members: Members | null = null;
    for (let index = 1; index <= 100_000; index += 1) {
      const endedNs = END + BigInt(index);
      const member = {
        name: 'sleep',
        pid: 5000 + index,
        origin: '1000 ',
        status: 'SIGKILL',
        cause: 'killed',
        endedNs,
        severity,
      } as const;
      members = add(members, member);
    }
    expect(members).toMatchObject({ count: 100_000, ungrouped: 0, byCause: [['killed', 100_000]] });
    expect(JSON.stringify(members).length).toBeLessThan(4_096);
    const { read, incidents } = watch();
    for (const death of many(2)) read(death);
    const [incident] = incidents.open();
    const part = shown({ incident: incident as StoredIncident, members: members as Members, seq: null });
    expect(part.attributes).toMatchObject({
      'whodunit.aggregated.count': 100_000,
      'whodunit.incident.members': [
        `100000 × sleep: SIGKILL (pids 5001-${5000 + PIDS_MAX} and ${100_000 - PIDS_MAX} more)`,
      ],
    });
  });

  it('names are those of the processes, escaped, and one origin cannot fill the list', () => {
    const { read, later } = watch();
    read(killed(0));
    for (let index = 1; index <= 100; index += 1) {
      const exe = `/tmp/\u001b[2J${index}`;
      read(killed(index, 0n, { process: one(index, { exe, comm: exe.slice(5), args: null }) }));
    }
    read(killed(200, 0n, { process: one(200, { uid: 0, real_uid: 0 }), origin: { cgroup: 1n, uid: 0 } }));
    const [part] = later(OVER_MS);
    const members = part?.attributes['whodunit.incident.members'] as string[];
    expect(members.length).toBeLessThanOrEqual(GROUPS_MAX);
    expect(members).toContain('sleep (pid 5200): SIGKILL');
    expect(part?.body).not.toContain('\u001b');
    expect(part?.attributes['whodunit.aggregated.count']).toBe(101);
  });

  it('with a record for each termination, they share the id alone', () => {
    const { read, later } = watch(new Incidents(true));
    const ids = many(3).map((death) => read(death).record?.attributes['whodunit.incident.id']);
    expect(new Set(ids).size).toBe(1);
    expect(later(OVER_MS)).toEqual([]);
  });
});

describe('a service that is started again', () => {
  it('reports the members once, those that still come included, under the same id', () => {
    const before = watch();
    const [first = killed(0), second = killed(1), third = killed(2)] = many(3);
    const id = before.idOf(first);
    before.read(second);
    const after = watch(new Incidents(false, JSON.parse(JSON.stringify(before.incidents.open()))));
    expect(after.later(0)).toEqual([]);
    expect(after.outcomes(third)).toEqual(['aggregated']);
    const [part, ...more] = after.later(OVER_MS);
    expect(more).toEqual([]);
    expect(part?.attributes).toMatchObject({ 'whodunit.incident.id': id, 'whodunit.aggregated.count': 2 });
    expect(after.later(OVER_MS)).toEqual([]);
  });

  it('knows the first one if no member had come', () => {
    const before = watch();
    const [first = killed(0), second = killed(1)] = many(2);
    before.read(first);
    const after = watch(new Incidents(false, before.incidents.open()));
    expect(after.outcomes(second)).toEqual(['aggregated']);
  });
});
