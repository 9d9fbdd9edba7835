// SPDX-License-Identifier: Apache-2.0
// Which terminations are a loop, what it says, and when it is over.
import { describe, expect, it } from 'vitest';
import { conclude } from '../../../src/core/conclude.ts';
import { CrashLoops } from '../../../src/core/filter/aggregate.ts';
import { rulesOf } from '../../../src/core/filter/built-in.ts';
import { loopKey } from '../../../src/core/filter/loop-member.ts';
import { LOOPS_MAX, Loops } from '../../../src/core/filter/loops.ts';
import { parseRules } from '../../../src/core/filter/rules.ts';
import { buildLoop } from '../../../src/core/telemetry/loop.ts';
import type { Ancestor } from '../../../src/core/wire/ancestor.ts';
import type { Death, Victim } from '../../../src/core/wire/event.ts';
import { circumstances } from '../../support/circumstances.ts';
import { death, killedBy, signal, victim } from '../../support/deadly.ts';
import { host } from '../../support/host.ts';

const MS = 1_000_000n;
const SUPERVISORD: Ancestor = { pid: 99, comm: 'supervisord' };
const BASH: Ancestor = { pid: 99, comm: 'bash' };

/** How the program of a scene is started again. */
interface Way {
  readonly parent?: Ancestor;
  readonly code?: number;
  readonly gapMs?: number;
  readonly lifeMs?: number;
  readonly restarts?: boolean;
  readonly changes?: Partial<Victim>;
}

/** A program that terminates and comes back, as conclude() sees it. */
class Scene {
  readonly given;
  readonly loops = new Loops();
  atMs = 1_000;
  pid = 1_000;
  said: string[] = [];

  constructor(mode: 'all' | 'default' = 'default', limit = 10, own: readonly object[] = []) {
    const parsed = parseRules({ rules: own });
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));
    const loops = new CrashLoops(limit);
    this.given = circumstances({ rules: rulesOf(parsed.rules, mode), loops, restartLoops: this.loops });
  }

  /** One life. Returns its outcome. */
  live({
    parent = SUPERVISORD,
    code = 9,
    gapMs = 1_000,
    lifeMs = 200,
    restarts = true,
    changes = {},
  }: Way = {}): string {
    const startMs = this.atMs + gapMs;
    const before = this.pid;
    this.pid += 1;
    const process = victim({
      pid: this.pid,
      start_boottime_ns: BigInt(startMs) * MS,
      parent_pid: parent.pid,
      ancestors: [parent],
      args: ['server', '--token=hunter2'],
      exe: '/opt/server',
      ...changes,
    });
    const origin = { cgroup: 1n, uid: process.uid };
    const event = { process, origin, time_ns: BigInt(startMs + lifeMs) * MS };
    const whole: Death =
      code < 0 ? killedBy(-code, { ...event, signal: signal(-code) }) : death({ ...event, status_raw: code << 8 });
    if (restarts && this.pid > 1_001)
      this.loops.restarted(
        { dead: String(before), key: loopKey(whole), atNs: BigInt(startMs) * MS, by: null },
        startMs,
      );
    this.atMs = startMs + lifeMs;
    const conclusion = conclude(whole, { ...this.given, nowMs: this.atMs });
    this.listen();
    return conclusion.kind === 'new' ? conclusion.outcome : conclusion.kind;
  }

  /** Another process ends now, with the same code. Returns its outcome. */
  end(changes: Partial<Victim>, code = 9): string {
    const process = victim({ args: [String(changes.comm)], ...changes });
    const origin = { cgroup: 1n, uid: process.uid };
    const event = death({ process, origin, time_ns: BigInt(this.atMs) * MS, status_raw: code << 8 });
    const conclusion = conclude(event, { ...this.given, nowMs: this.atMs });
    this.listen();
    return conclusion.kind === 'new' ? conclusion.outcome : conclusion.kind;
  }

  /** Nothing happens for this time. */
  wait(ms: number): void {
    this.atMs += ms;
    this.listen();
  }

  listen(nowMs = this.atMs): void {
    this.said.push(...this.loops.due(nowMs).map((news) => String(buildLoop(news, host, 0n).body)));
  }
}
const times = (count: number): undefined[] => Array.from({ length: count }, () => undefined);

describe('a program that a supervisor starts again', () => {
  it('is a loop at its third termination, and says so once, although each alone is filtered', () => {
    const scene = new Scene();
    expect(times(50).map(() => scene.live())).toEqual(times(50).map(() => 'filtered'));
    expect(scene.said).toEqual([
      'server (pid 1003) terminated for the third time in 2.4 s: exit code 9 each time; supervisord (pid 99) started it again after 1.0 s.',
    ]);
  });

  it('has records for the first two, if they have records, and then only the loop', () => {
    const scene = new Scene('all');
    expect(times(5).map(() => scene.live())).toEqual([
      'reported',
      'reported',
      'aggregated',
      'aggregated',
      'aggregated',
    ]);
    const news = scene.loops.open()[0];
    expect(news).toMatchObject({ count: 5, aggregated: 2, command: 'server --token=[REDACTED]' });
  });

  it('has a record for each termination if WHODUNIT_RECORDS_PER_MINUTE is off, and says that it is a loop', () => {
    const scene = new Scene('all', Number.POSITIVE_INFINITY);
    expect(times(5).map(() => scene.live())).toEqual(times(5).map(() => 'reported'));
    expect(scene.said).toHaveLength(1);
    expect(scene.loops.open()[0]).toMatchObject({ count: 5, aggregated: 0 });
  });

  it.each([
    [
      'is not started again',
      (scene: Scene) => scene.wait(4_000),
      "server terminated 50 times in 58.8 s: exit code 9 each time; it was not started again (supervisord's startretries?).",
    ],
    [
      'runs for longer than ever',
      (scene: Scene) => {
        const key = scene.loops.open()[0]?.key ?? null;
        scene.loops.restarted({ dead: '', key, atNs: BigInt(scene.atMs + 1) * MS, by: null }, scene.atMs);
        scene.wait(10_000);
      },
      'server terminated 50 times in 58.8 s: exit code 9 each time; since the last start, it has run longer than before.',
    ],
  ])('ends when it %s', (_, end, said) => {
    const scene = new Scene();
    for (const _ of times(50)) scene.live();
    scene.wait(900);
    expect(scene.said).toHaveLength(1);
    end(scene);
    expect(scene.said.slice(1)).toEqual([said]);
    expect(scene.loops.idle).toBe(true);
  });

  it('is not said to be given up if no restart of it was ever seen', () => {
    const scene = new Scene();
    for (const _ of times(50)) scene.live({ restarts: false });
    scene.wait(9_000);
    expect(scene.said).toHaveLength(1);
    scene.wait(9_000);
    expect(scene.said[1]).toMatch(/it has not terminated again since\.$/);
  });

  it('is not over while events are read late', () => {
    const scene = new Scene();
    for (const _ of times(3)) scene.live();
    for (const _ of times(10)) {
      scene.loops.read({ time_ns: 0n, clock_offset_ns: 0n }, 5_000, scene.atMs);
      scene.wait(2_000);
    }
    expect(scene.said).toHaveLength(1);
  });

  it('says when it ends otherwise, and that termination has a record', () => {
    const scene = new Scene('all');
    for (const _ of times(4)) scene.live();
    expect([scene.live({ code: -11 }), scene.live({ code: -11 }), scene.live()]).toEqual([
      'reported',
      'aggregated',
      'aggregated',
    ]);
    expect(scene.said[1]).toBe(
      'server (pid 1005) now terminates with SIGSEGV, the fifth time in 4.8 s: 4 × exit code 9, 1 × SIGSEGV; supervisord (pid 99) started it again after 1.0 s.',
    );
    expect(scene.said).toHaveLength(2);
  });

  it('goes on over a restart of the service, and ends once', () => {
    const scene = new Scene('all');
    for (const _ of times(5)) scene.live();
    const after = new Loops(JSON.parse(JSON.stringify(scene.loops.open())), 0);
    expect(after.due(1_000)).toEqual([]);
    expect(after.due(60_000)).toMatchObject([
      { state: 'ended', end: 'quiet', loop: { count: 5, aggregated: 2, said: 1 } },
    ]);
    expect(after.due(120_000)).toEqual([]);
  });

  it('says once an hour that it goes on, and at the end of the service what it has not said', () => {
    const scene = new Scene('all');
    for (const _ of times(700)) scene.live({ gapMs: 4_800 });
    expect(scene.said).toHaveLength(1);
    for (const _ of times(100)) scene.live({ gapMs: 4_800 });
    expect(scene.said).toHaveLength(2);
    expect(scene.said[1]).toContain('so far');
    scene.listen(Number.POSITIVE_INFINITY);
    expect(scene.said).toHaveLength(3);
  });
});

/** A process above, as old as it is. */
const above = (pid: number, comm: string, startMs: number, more: Partial<Ancestor> = {}): Ancestor => ({
  pid,
  comm,
  start_boottime_ns: BigInt(startMs) * MS,
  ...more,
});
const SYSTEMD = above(1, 'systemd', 0);
const SHIM = above(98, 'containerd-shim', 0);
const UNIT = '/system.slice/web.service';
const CONTAINER = `/docker/${'a1b2c3d4'.repeat(8)}`;

/** One life under processes that are started anew each time, the innermost first: each of them ends after it, with the same code. */
function liveWrapped(scene: Scene, comms: readonly string[], supervisor: Ancestor, cgroup: string): string[] {
  const startMs = scene.atMs + 100;
  const start_boottime_ns = BigInt(startMs) * MS;
  const wrappers = comms.map((comm, index) => ({ pid: scene.pid + 500 - index, comm, start_boottime_ns }));
  const chain = [...wrappers, supervisor];
  const of = (ancestors: Ancestor[]) => ({ cgroup, ancestors, parent_pid: ancestors[0]?.pid ?? 0 });
  const own = scene.live({ gapMs: 110, restarts: false, changes: of(chain) });
  const outcomes = wrappers.map(({ pid, comm }, index) =>
    scene.end({ pid, comm, exe: `/bin/${comm}`, start_boottime_ns, ...of(chain.slice(index + 1)) }),
  );
  return [own, ...outcomes];
}

it.each<[string, string, Partial<Ancestor>]>([
  ['forever', 'node', { exe: '/usr/bin/node', args: ['node', '/usr/bin/forever', 'server.js'] }],
  ['watch.sh', 'bash', { exe: '/usr/bin/bash', args: ['bash', '/opt/watch.sh'] }],
])('names what starts it again as other records do: %s', (name, comm, program) => {
  const scene = new Scene();
  for (const _ of times(5)) scene.live({ parent: { pid: 99, comm, ...program } });
  expect(scene.said.at(0)).toMatch(`; ${name} (pid 99) started it again after 1.0 s.`);
});

describe('a program in a wrapper that its supervisor starts again', () => {
  it.each([
    ['a script of a service', ['sh'], SYSTEMD, UNIT, 'systemd (pid 1)'],
    ['npm start in a container', ['sh', 'npm start', 'tini'], SHIM, CONTAINER, 'containerd-shim (pid 98)'],
    ['a script under supervisord, outside of units', ['sh'], above(99, 'supervisord', 0), '/', 'supervisord (pid 99)'],
  ])('is the loop, and its wrapper is none: %s', (_, comms, supervisor, cgroup, by) => {
    const scene = new Scene('all');
    const lives = times(20).map(() => liveWrapped(scene, comms, supervisor, cgroup));
    expect(scene.said).toEqual([
      `server (pid 1003) terminated for the third time in 620 ms: exit code 9 each time; ${by} started it again after 100 ms.`,
    ]);
    expect(lives.slice(2).flat()).toEqual(lives.slice(2).flatMap((life) => life.map(() => 'aggregated')));
    const [loop] = scene.loops.open();
    expect(loop).toMatchObject({ count: 20, aggregated: 18 * (comms.length + 1) - 1 });
  });

  it('is none if what starts it lives on: cron', () => {
    const scene = new Scene('all');
    const [cron, cgroup] = [above(50, 'cron', 1), '/system.slice/cron.service'];
    for (const index of times(20).keys()) {
      const shell = above(2_000 + index, 'sh', scene.atMs + 50);
      scene.live({ restarts: false, changes: { cgroup, parent_pid: shell.pid, ancestors: [shell, cron, SYSTEMD] } });
    }
    expect(scene.said).toEqual([]);
  });

  it('is that of the shell if the shell lives on, in a container too', () => {
    const scene = new Scene('all');
    const shell = above(50, 'sh', 1);
    for (const _ of times(5))
      scene.live({ gapMs: 100, changes: { cgroup: CONTAINER, parent_pid: 50, ancestors: [shell, SHIM] } });
    expect(scene.said).toEqual([
      'server (pid 1005) terminated for the fifth time in 1.2 s: exit code 9 each time; sh (pid 50) started it again after 100 ms.',
    ]);
  });

  it.each([
    ['node', '/usr/bin/node', ['node', '/usr/lib/node_modules/pm2/bin/pm2-runtime', 'start', 'x']],
    ['python3', '/usr/bin/python3.11', ['python3', '/usr/bin/supervisord', '-n']],
  ])('knows a supervisor by its script: %s', (comm, exe, args) => {
    const scene = new Scene();
    for (const _ of times(3)) scene.live({ parent: above(99, comm, 0, { exe, args }) });
    expect(scene.said).toHaveLength(1);
  });
});

describe('two programs that have all but one in common are two loops', () => {
  const env = (name: string): Way => ({ changes: { env: { OTEL_SERVICE_NAME: name } } });
  const cgroup = (path: string): Way => ({ parent: SYSTEMD, changes: { cgroup: path } });
  const manager = '/user.slice/user-1000.slice/user@1000.service';
  const pod = `${manager}/user.slice`;
  it.each<[string, Way, Way]>([
    ['the service that they say they are', env('checkout'), env('cart')],
    ['the unit', cgroup('/system.slice/a.service'), cgroup('/system.slice/b.service')],
    ['the instance of a unit', cgroup('/system.slice/a@1.service'), cgroup('/system.slice/a@2.service')],
    ['the unit of a user', cgroup(`${manager}/app.slice/a.service`), cgroup(`${manager}/app.slice/b.service`)],
    ['the container', cgroup(CONTAINER), cgroup(CONTAINER.replaceAll('a', 'b'))],
    [
      'the container of a user',
      cgroup(`${pod}/libpod-${'ab12'.repeat(16)}.scope`),
      cgroup(`${pod}/libpod-${'cd34'.repeat(16)}.scope`),
    ],
  ])('%s', (_, one, other) => {
    const scene = new Scene('all');
    for (const way of [one, other, one, other]) scene.live({ ...way, restarts: false });
    expect(scene.said).toEqual([]);
    for (const way of [one, other]) scene.live({ ...way, restarts: false });
    expect(scene.said).toHaveLength(2);
    expect(scene.loops.open().map(({ count }) => count)).toEqual([3, 3]);
  });
});

describe('a program that anything else starts again', () => {
  const inShell: Way = { parent: BASH, gapMs: 100 };

  it('is a loop at its fifth termination', () => {
    const scene = new Scene();
    for (const _ of times(4)) scene.live(inShell);
    expect(scene.said).toEqual([]);
    scene.live(inShell);
    expect(scene.said).toHaveLength(1);
  });

  it('is a loop if it waits longer each time', () => {
    const scene = new Scene();
    for (const gapMs of [0, 1_000, 2_000, 4_000, 8_000]) scene.live({ ...inShell, gapMs });
    expect(scene.said).toHaveLength(1);
  });

  it.each([
    ['a person who tries again', [900, 3_000, 700, 5_000, 1_200, 8_000, 700].map((gapMs) => ({ ...inShell, gapMs }))],
    [
      'a script with other commands that fail, too',
      times(20).map((_, index) => (index % 2 === 0 ? inShell : { ...inShell, changes: { args: ['other'] } })),
    ],
    ['requests to terminate', times(20).map(() => ({ ...inShell, code: -15 }))],
    ['commands that say no', times(20).map(() => ({ ...inShell, code: 1, changes: { exe: '/usr/bin/grep' } }))],
    ['different arguments', times(20).map((_, index) => ({ ...inShell, changes: { args: [String(index)] } }))],
    ['processes that ran beside each other', times(20).map(() => ({ ...inShell, gapMs: -199, lifeMs: 200 }))],
  ] as const)('is no loop: %s', (_, lives: readonly Way[]) => {
    const scene = new Scene();
    for (const life of lives) scene.live(life);
    expect(scene.said).toEqual([]);
  });

  it('is no loop if a rule of the user filters it', () => {
    const scene = new Scene('default', 10, [{ name: 'mine', executable: 'server', action: 'count' }]);
    for (const _ of times(20)) scene.live();
    expect(scene.said).toEqual([]);
  });

  it('of another user is not joined', () => {
    const scene = new Scene('all');
    for (const _ of times(5)) scene.live();
    expect(scene.live({ changes: { uid: 0 } })).toBe('reported');
  });
});

describe('everyday noise of a service', () => {
  it('is no loop, and takes none of the records of the service', () => {
    const scene = new Scene();
    const noise = (exe: string, code: number): Way => ({ parent: SYSTEMD, code, changes: { exe, cgroup: UNIT } });
    const answers = times(60).map(() => scene.live(noise('/usr/bin/readlink', 1)));
    expect(new Set(answers)).toEqual(new Set(['filtered']));
    for (const _ of times(60)) scene.live(noise('/usr/bin/sleep', -15));
    expect(scene.said).toEqual([]);
    expect(times(2).map(() => scene.live(noise('/opt/server', 9)))).toEqual(['reported', 'reported']);
    scene.live(noise('/opt/server', 9));
    expect(scene.said).toHaveLength(1);
  });
});

describe('what is counted in the kernel', () => {
  it('belongs to the loop, whose last record has the exact number', () => {
    const scene = new Scene('all');
    for (const _ of times(120)) scene.live({ gapMs: 10 });
    const key = scene.loops.open()[0]?.key ?? '';
    expect(scene.loops.isFast(key)).toBe(true);
    const counted = { count: 930, lastNs: BigInt(scene.atMs + 5_000) * MS, offsetNs: 0n, outcome: 'exit code 9' };
    expect(scene.loops.addCounted(key, counted, true, scene.atMs + 5_000)).toBe(true);
    expect(scene.loops.due(scene.atMs + 40_000)).toMatchObject([
      { state: 'ended', end: 'quiet', loop: { count: 1050, aggregated: 1047 } },
    ]);
    expect(scene.loops.addCounted(key, counted, true, 0)).toBe(false);
  });
});

describe('loops of one origin', () => {
  it.each([
    ['arguments', (index: number) => ({ args: [String(index)] })],
    ['names that they give themselves', (index: number) => ({ env: { OTEL_SERVICE_NAME: `s${index}` } })],
  ])(
    'take the places of each other only, with ever new %s; one that goes on says what it has not said',
    (_, changes) => {
      const scene = new Scene('all');
      for (const _ of times(5)) scene.live({ changes: { uid: 0, args: ['mine'] } });
      for (const index of times(LOOPS_MAX + 10).keys()) scene.live({ gapMs: 0, lifeMs: 0, changes: changes(index) });
      expect(scene.loops.forgotten.total).toBe(0);
      expect(scene.loops.open()).toHaveLength(1);
    },
  );
});
