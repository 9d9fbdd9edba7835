// SPDX-License-Identifier: Apache-2.0
// Which command asked for a termination: by what basis, and when none is named.
import { describe, expect, it } from 'vitest';
import { isToWait } from '../../../src/core/conclude.ts';
import { Requests } from '../../../src/core/requests/requests.ts';
import type { Actor, Death, Request, RequestEnd } from '../../../src/core/wire/event.ts';
import { recordOf } from '../../support/circumstances.ts';
import { actor, kernelSignal, killedBy, signal, victim } from '../../support/deadly.ts';
import { host } from '../../support/host.ts';
import { endOf, request, SENT, SUDO, SYSTEMD, stopped, stoppedContainer } from '../../support/requests.ts';

type Event = Request | RequestEnd;

function remember(events: readonly Event[]): Requests {
  const requests = new Requests();
  for (const event of events) {
    if (event.type === 'request') requests.add(event, 'boot', 'redacted');
    else requests.end(event);
  }
  return requests;
}

/** The end of the sentence, from `asked` on. null: no command is named. */
function asked(death: Death, events: readonly Event[]): string | null {
  const { body } = recordOf(death, { requests: remember(events).of('boot') });
  return /(?:probably )?asked for by.*/.exec(String(body))?.[0] ?? null;
}

const alice = { uid: 1000, real_uid: 1000, login_uid: 1000 };
const stop = request('systemctl stop web');
const asAlice = request('systemctl stop web', { by: alice });
const docker = request('docker stop web');
const dockerOfAlice = request('docker stop web', { by: alice });
const other = (one: Request, pid: number): Request => ({ ...one, process: { ...one.process, pid, tid: pid } });
const inUts = (command: string, uts_hostname: string | null, agoMs = 900): Request =>
  request(command, { agoMs, by: { uts_hostname } });
const CONTAINER = String(stoppedContainer().process.cgroup);
const poweroff = (uts_hostname: string | null, agoMs = 900): Request =>
  inUts('systemctl poweroff', uts_hostname, agoMs);
/** The init of the container web-1, that reboot(2) ended; 9: another process of it, which the kernel killed then. */
const turnedOff = (signo = 2): Death =>
  killedBy(signo, {
    process: victim({ vpid: signo === 2 ? 1 : 7, uid: 0, uts_hostname: 'web-1', cgroup: '/', start_boottime_ns: 1n }),
    signal: signo === 2 ? null : kernelSignal(signo, ['zap_pid_ns_processes'], { sender: actor({ exiting: true }) }),
  });
/** The systemd of a container, and one of its services that it stops. */
const INNER = actor({
  ...SYSTEMD,
  pid: 4100,
  start_boottime_ns: 2n,
  uts_hostname: 'web-1',
  cgroup: `${CONTAINER}/init.scope`,
});
const stoppedInside = (): Death =>
  stopped(
    15,
    {
      process: victim({ exe: '/usr/sbin/web', uts_hostname: 'web-1', cgroup: `${CONTAINER}/system.slice/web.service` }),
    },
    INNER,
  );
const offInside = (): Death => {
  const death = turnedOff();
  const cgroup = `${CONTAINER}/init.scope`;
  return { ...death, process: { ...death.process, pid: 4100, start_boottime_ns: 2n, cgroup } };
};
/** SIGRTMIN+3 to it. */
const halt = (by: Partial<Request['process']>, agoMs = 900): Request => ({
  ...request('kill -s RTMIN+3 1', { agoMs, by: { pid: 700, tid: 700, ...by } }),
  tool: '',
  file_owner: null,
  init_signal: { signo: 37, pid: 4100, start_boottime_ns: 2n },
});
const byShell = halt({ exe: '/usr/bin/sh', comm: 'sh', args: ['sh', '-c', 'kill -37 1'], cgroup: `${CONTAINER}/x` });
const byRunc = halt({ exe: '/usr/bin/runc', comm: 'runc', args: ['runc', 'kill', 'web', '37'], cgroup: '/docker' });
const BY_SHELL = 'asked for by SIGRTMIN+3 from `sh -c kill -37 1` (root).';

const CERTAIN = 'asked for by `systemctl stop web` (root).';
const PROBABLY = 'probably asked for by `docker stop web` (root).';

const cases: readonly [string, Death, readonly Event[], string | null][] = [
  ['root stops the unit', stopped(), [stop], CERTAIN],
  ['and the tool has ended', stopped(), [stop, endOf(stop)], CERTAIN],
  [
    'with sudo, the user who executed it is named',
    stopped(),
    [request('systemctl stop web', { by: { ancestors: SUDO } })],
    'asked for by `systemctl stop web` (alice) ← sudo ← bash.',
  ],
  [
    'the user who logged in is named',
    stopped(),
    [request('systemctl stop web', { by: { login_uid: 1000 } })],
    'asked for by `systemctl stop web` (alice).',
  ],
  [
    'the directory of the tool is not shown',
    stopped(),
    [{ ...request('systemctl stop web', { by: { args: ['/usr/bin/systemctl', 'stop', 'web'] } }) }],
    CERTAIN,
  ],
  ['a tool that failed asked for nothing', stopped(), [asAlice, endOf(asAlice, 4 << 8)], null],
  ['nor did one of root', stopped(), [stop, endOf(stop, 1 << 8)], null],
  [
    'a denied command beside a real one',
    stopped(),
    [other(asAlice, 600), endOf(other(asAlice, 600), 256, -10), stop],
    CERTAIN,
  ],
  ['a user whom systemd need not obey, while the tool waits for a password', stopped(), [asAlice], null],
  [
    'a user whom systemd need not obey, when the tool has succeeded',
    stopped(),
    [asAlice, endOf(asAlice)],
    'probably asked for by `systemctl stop web` (alice).',
  ],
  ['another unit', stopped(), [request('systemctl stop db')], null],
  [
    'several units',
    stopped(),
    [request('systemctl stop db web.service')],
    'asked for by `systemctl stop db web.service` (root).',
  ],
  ['a pattern', stopped(), [request('systemctl restart we*')], 'asked for by `systemctl restart we*` (root).'],
  [
    'the slice of the unit',
    stopped(),
    [request('systemctl stop system.slice')],
    'asked for by `systemctl stop system.slice` (root).',
  ],
  [
    'a target may have stopped it',
    stopped(),
    [request('systemctl stop app.target')],
    'probably asked for by `systemctl stop app.target` (root).',
  ],
  ['no verb that stops anything', stopped(), [request('systemctl status web')], null],
  ['a start', stopped(), [request('systemctl start web')], null],
  ['another machine', stopped(), [request('systemctl -H db1 stop web')], null],
  ['another machine, the option attached', stopped(), [request('systemctl --host=db1 stop web')], null],
  ['the manager of a user', stopped(), [request('systemctl --user stop web')], null],
  [
    'options before and after the verb',
    stopped(),
    [request('systemctl -q --job-mode fail stop --no-pager -- web')],
    'asked for by `systemctl -q --job-mode fail stop --no-pager -- web` (root).',
  ],
  ['an option is no target', stopped(), [request('systemctl stop -t web db')], null],
  [
    'disable --now',
    stopped(),
    [request('systemctl disable --now web')],
    'asked for by `systemctl disable --now web` (root).',
  ],
  ['disable alone', stopped(), [request('systemctl disable web')], null],
  ['a command after the signal', stopped(), [request('systemctl stop web', { agoMs: -10 })], null],
  ['a command that had ended before the signal', stopped(), [stop, endOf(stop, 0, -10)], null],
  [
    'a command that did not wait',
    stopped(),
    [request('systemctl --no-block stop web'), endOf(stop, 0, -10)],
    'asked for by `systemctl --no-block stop web` (root).',
  ],
  ['a process that started after the restart', stopped(), [request('systemctl restart web', { agoMs: 60_000 })], null],
  [
    'Ctrl-C leaves the job: probably',
    stopped(),
    [stop, endOf(stop, 2, -10)],
    'probably asked for by `systemctl stop web` (root).',
  ],
  [
    'a shutdown',
    stopped(),
    [request('shutdown -h now'), endOf(stop, 0, -10)],
    'probably asked for by `shutdown -h now` (root).',
  ],
  [
    'a link to systemctl',
    stopped(),
    [request('systemctl', { by: { args: ['/sbin/reboot'] } }), endOf(stop, 0, -10)],
    'probably asked for by `reboot` (root).',
  ],
  [
    'the init of a container that is turned off: a command of that container',
    turnedOff(),
    [poweroff('web-1'), endOf(poweroff('web-1'), 0, -10)],
    'probably asked for by `systemctl poweroff` (root).',
  ],
  ['not a command of the machine, or of another container', turnedOff(), [poweroff(null), poweroff('web-2')], null],
  ['nor one that stops a unit', turnedOff(), [inUts('systemctl stop web', 'web-1')], null],
  ['nor one that was denied', turnedOff(), [poweroff('web-1'), endOf(poweroff('web-1'), 256)], null],
  ['nor one long ago', turnedOff(), [poweroff('web-1', 125_000)], null],
  ['the processes that end with that init were not asked about', turnedOff(9), [poweroff('web-1')], null],
  [
    'a shutdown, of a process that started after the command',
    stopped(15, { process: victim({ cgroup: '/system.slice/web.service', start_boottime_ns: SENT - 1n }) }),
    [request('systemctl poweroff')],
    'probably asked for by `systemctl poweroff` (root).',
  ],
  [
    'not a shutdown from before the machine started again',
    stopped(15, {}, { ...SYSTEMD, start_boottime_ns: SENT - 1n }),
    [request('systemctl reboot')],
    null,
  ],
  ['a shutdown later', stopped(), [request('shutdown +5'), endOf(stop, 0, -10)], null],
  ['a shutdown that is cancelled', stopped(), [request('shutdown -c'), endOf(stop, 0, -10)], null],
  ['the file of another user', stopped(), [request('systemctl stop web', { file_owner: 1000 })], null],
  [
    'a file where any user can write',
    stopped(),
    [request('systemctl stop web', { by: { exe: '/tmp/systemctl' } })],
    null,
  ],
  ['a file in a foreign root', stopped(), [request('systemctl stop web', { by: { exe_flags: ['chroot'] } })], null],
  ['root of a user namespace', stopped(), [request('systemctl stop web', { by: { user_namespace: true } })], null],
  [
    'in a container, another systemd',
    stopped(),
    [request('systemctl stop web', { by: { cgroup: stoppedContainer().process.cgroup } })],
    null,
  ],
  [
    'a unit that the process only claims',
    stopped(15, { process: victim({ cgroup: '/system.slice/app.service/web.service', cgroup_claimed: 1 }) }),
    [stop],
    null,
  ],
  [
    'a service of sysvinit',
    stopped(),
    [
      {
        ...request('service web stop', {
          by: { args: ['/bin/sh', '/usr/sbin/service', 'web', 'stop'], exe: '/usr/bin/dash' },
        }),
        script: '/usr/sbin/service',
      },
    ],
    'asked for by `service web stop` (root).',
  ],
  [
    'its script where any user can write',
    stopped(),
    [
      {
        ...request('service web stop', {
          by: { args: ['/bin/sh', '/home/m/service', 'web', 'stop'], exe: '/usr/bin/dash' },
        }),
        script: '/home/m/service',
      },
    ],
    null,
  ],
  ['docker stop by name: the only one at that time', stoppedContainer(), [docker], PROBABLY],
  [
    'docker stop by id',
    stoppedContainer(),
    [request('docker stop a1b2c3d4e5f6')],
    'asked for by `docker stop a1b2c3d4e5f6` (root).',
  ],
  ['docker stop of another id', stoppedContainer(), [request('docker stop ffffc3d4e5f6')], null],
  ['two at that time', stoppedContainer(), [docker, other(request('docker restart db'), 600)], null],
  [
    'two at that time, and one failed',
    stoppedContainer(),
    [docker, other(request('docker restart db'), 600), endOf(other(request('docker restart db'), 600), 256)],
    PROBABLY,
  ],
  [
    'docker compose and its plugin are one',
    stoppedContainer(),
    [
      request('docker compose stop'),
      other(
        request('docker-compose compose stop', {
          agoMs: 40,
          by: { ancestors: [{ pid: 512, comm: 'docker', start_boottime_ns: SENT - 51_000_000n }] },
        }),
        600,
      ),
    ],
    'probably asked for by `docker compose stop` (root).',
  ],
  ['docker rm without force', stoppedContainer(), [request('docker rm web')], null],
  [
    'docker rm -f',
    stoppedContainer(),
    [request('docker rm -vf web')],
    'probably asked for by `docker rm -vf web` (root).',
  ],
  ['docker ps', stoppedContainer(), [request('docker ps')], null],
  ['docker elsewhere', stoppedContainer(), [request('docker -H tcp://db1 stop web')], null],
  [
    'a member of the group docker, when the tool has succeeded',
    stoppedContainer(),
    [dockerOfAlice, endOf(dockerOfAlice)],
    'probably asked for by `docker stop web` (alice).',
  ],
  ['a member of the group docker, while the tool runs', stoppedContainer(), [dockerOfAlice], null],
  ['podman does not stop what Docker runs', stoppedContainer(), [request('podman stop web')], null],
  [
    'the parent of the sender',
    stoppedContainer(15, {
      signal: signal(15, {
        time_ns: SENT,
        sender: actor({
          comm: 'crun',
          exe: '/usr/bin/crun',
          ancestors: [{ pid: 512, comm: 'podman', start_boottime_ns: SENT - 51_000_000n }],
        }),
      }),
    }),
    [request('podman stop web')],
    'asked for by `podman stop web` (root).',
  ],
  ['a signal to the init that stops a service', stoppedInside(), [byShell], BY_SHELL],
  ['a signal to the init that turned its container off', offInside(), [byShell], BY_SHELL],
  [
    'a signal to another init',
    stoppedInside(),
    [{ ...byShell, init_signal: { signo: 37, pid: 4100, start_boottime_ns: 3n } }],
    null,
  ],
  ['a signal to the init, long ago', stoppedInside(), [halt(byShell.process, 125_000)], null],
  [
    'a signal to the init does not make its sender the parent of a kill',
    stopped(
      15,
      {},
      actor({ ancestors: [{ pid: 700, comm: 'sh', start_boottime_ns: byShell.process.start_boottime_ns }] }),
    ),
    [byShell],
    null,
  ],
  [
    'a unit that is stopped after a signal to the init that had no effect',
    stoppedInside(),
    [byShell, request('systemctl stop web', { by: { cgroup: `${CONTAINER}/x` } })],
    CERTAIN,
  ],
  ['docker stop of a container with systemd', stoppedInside(), [docker, byRunc], PROBABLY],
  ['docker stop of a container that its systemd turned off', offInside(), [docker, byRunc], PROBABLY],
  [
    'by id',
    offInside(),
    [request('docker stop a1b2c3d4e5f6'), byRunc],
    'asked for by `docker stop a1b2c3d4e5f6` (root).',
  ],
  ['docker stop of some container, while its systemd stops a unit', stoppedInside(), [docker], null],
  ['of another container', stoppedInside(), [request('docker stop ffffc3d4e5f6')], null],
  [
    'by a program that asked the engine itself',
    stoppedInside(),
    [byRunc],
    'asked for by SIGRTMIN+3 from `runc kill web 37` (root).',
  ],
  [
    'a process inside that calls itself runc',
    offInside(),
    [docker, { ...byShell, process: { ...byShell.process, exe: '/usr/bin/runc', comm: 'runc', args: ['runc'] } }],
    'asked for by SIGRTMIN+3 from `runc` (root).',
  ],
  ['docker stop while the machine stops the scope of a container', stoppedContainer(), [stop], null],
  [
    'a program of a user that is called runc',
    stoppedContainer(15, {
      signal: signal(15, {
        time_ns: SENT,
        sender: actor({ ...alice, comm: 'runc', exe: '/srv/alice/runc', args: ['runc'] }),
      }),
    }),
    [docker],
    null,
  ],
  ['no carrier sent the signal', stopped(15, {}, actor()), [stop, docker], null],
];

describe('the command that asked', () => {
  it.each(cases)('%s', (_, death, events, wanted) => {
    expect(asked(death, events)).toBe(wanted);
  });

  it('is looked up at the first signal of the same sender', () => {
    const early = request('systemctl stop web', { agoMs: 2_000 });
    const sigterm = {
      ...stopped().signal,
      time_ns: SENT - 1_900_000_000n,
      action: 'ignored',
      committed: false,
    } as const;
    const events = [early, endOf(early, 2, -1_000)];
    expect(asked(stopped(9, { request: sigterm as Death['request'] }), events)).toBe(
      'probably asked for by `systemctl stop web` (root).',
    );
  });

  it('is compared with the name that the engine says', () => {
    const named = (name: string) => () => ({ name, image: null, project: null, service: null });
    const known = remember([docker]).of('boot');
    const basis = (name: string) =>
      recordOf(stoppedContainer(), { requests: known, host: { ...host, containerById: named(name) } }).attributes[
        'whodunit.requester.basis'
      ];
    expect([basis('web'), basis('db')]).toEqual(['target', undefined]);
  });

  it('is that of a sender which looks for processes', () => {
    const by = (exe: string, ...args: string[]) => stopped(15, {}, actor({ comm: args[0] ?? '', exe, args }));
    const bodyOf = (death: Death) => String(recordOf(death).body);
    expect(bodyOf(by('/usr/bin/pgrep', 'pkill', '-f', 'report'))).toMatch(/: selected by `pkill -f report`\.$/);
    expect(bodyOf(by('/bin/busybox', 'busybox', 'pkill', 'web'))).toMatch(/: selected by `busybox pkill web`\.$/);
    expect(bodyOf(by('/usr/bin/pgrep', 'pkill', '-f', '--token=hunter2'))).not.toContain('hunter2');
    expect(bodyOf(by('/usr/bin/kill', 'kill', '4242'))).not.toContain('selected');
  });

  it('has attributes, with their basis', () => {
    const by = {
      login_uid: 1000,
      ancestors: SUDO,
      env: { SUDO_USER: 'alice', SSH_CONNECTION: '192.0.2.7 50022 10.0.0.1 22' },
    };
    const known = remember([request('systemctl stop web', { by })]).of('boot');
    expect(recordOf(stopped(), { requests: known }).attributes).toMatchObject({
      'whodunit.requester.basis': 'target',
      'whodunit.requester.pid': 512,
      'whodunit.requester.name': 'systemctl',
      'whodunit.requester.command_line': 'systemctl stop web',
      'whodunit.requester.user.id': 0,
      'whodunit.requester.login_user.name': 'alice',
      'whodunit.requester.sudo_user': 'alice',
      'whodunit.requester.client.address': '192.0.2.7',
      'whodunit.requester.ancestors': ['sudo(511)', 'bash(500)'],
      'whodunit.systemd.reason': ['stop'],
    });
  });

  it('controls no terminal, and is cut', () => {
    const text = asked(stopped(), [request(`systemctl stop web \u001b[2J\u202e${'x'.repeat(4_096)}`)]);
    expect(text).toMatch(/^asked for by `systemctl stop web \\u001b\[2J\\u202ex+…` \(root\)\.$/);
  });
});

describe('a termination waits', () => {
  const waits = (death: Death, events: readonly Event[]): boolean =>
    isToWait(death, remember(events).of('boot'), host, 'redacted');

  it.each([
    ['for a tool that runs, if it may be the only one', stoppedContainer(), [docker], true],
    ['for the tool of a user who need not be obeyed', stopped(), [asAlice], true],
    ['not for root, who named it', stopped(), [stop], false],
    ['not for a tool that has ended', stoppedContainer(), [docker, endOf(docker)], false],
    ['not for a tool that names something else', stopped(), [request('systemctl stop db')], false],
    ['not for what no carrier did', stopped(15, {}, actor()), [docker], false],
  ] as const)('%s', (_, death, events, wanted) => {
    expect(waits(death, events)).toBe(wanted);
  });
});

describe('a command of ExecStop= that sends the signal', () => {
  const MS = 1_000_000n;
  const manager = { pid: 1, start_boottime_ns: 1_000_000n, comm: 'systemd', exe: '/usr/lib/systemd/systemd', uid: 0 };
  const by = (changes: Partial<Actor> = {}): Death =>
    stopped(
      2,
      {},
      actor({
        comm: 'kill',
        exe: '/usr/bin/kill',
        uid: 33,
        start_boottime_ns: SENT - MS,
        cgroup: '/system.slice/web.service/.control',
        ancestors: [manager],
        ...changes,
      }),
    );

  it.each<[string, Death, readonly Event[], string | null]>([
    ['was asked for by who stops the unit', by(), [stop], CERTAIN],
    ['through a script', by({ ancestors: [{ pid: 98, comm: 'stop.sh' }, manager] }), [stop], CERTAIN],
    ['not where another unit is stopped', by(), [request('systemctl stop db')], null],
    ['not if it ran before: a process of the service', by({ start_boottime_ns: SENT - 80n * MS }), [stop], null],
    ['not in another unit', by({ cgroup: '/system.slice/cron.service' }), [stop], null],
    ['not without systemd above it', by({ ancestors: [{ pid: 98, comm: 'bash' }] }), [stop], null],
    [
      'not if a user has a program called systemd',
      by({ ancestors: [{ ...manager, pid: 98, uid: 33, exe: '/home/www/systemd' }] }),
      [stop],
      null,
    ],
  ])('%s', (_, death, events, end) => expect(asked(death, events)).toBe(end));
});
