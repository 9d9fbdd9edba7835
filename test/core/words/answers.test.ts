// SPDX-License-Identifier: Apache-2.0
// The reports that docs/answers.md shows are those that the service makes.
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { conclude } from '../../../src/core/conclude.ts';
import { Incidents } from '../../../src/core/filter/incidents.ts';
import { Endings } from '../../../src/core/filter/memory.ts';
import { Requests } from '../../../src/core/requests/requests.ts';
import { buildIncident } from '../../../src/core/telemetry/incident.ts';
import { SECOND_NS } from '../../../src/core/time.ts';
import type { Death, Request, Signal } from '../../../src/core/wire/event.ts';
import { type LoopWords, loopSentence } from '../../../src/core/words/loop.ts';
import { circumstances, recordOf } from '../../support/circumstances.ts';
import {
  actor,
  END,
  exitedWith,
  itself,
  kernelSignal,
  killedBy,
  noinfoSignal,
  oom,
  signal,
  victim,
} from '../../support/deadly.ts';
import { host } from '../../support/host.ts';
import { reading } from '../../support/memory-use.ts';
import { request, SENT, SUDO, SYSTEMD, stopped, stoppedContainer } from '../../support/requests.ts';

const page = readFileSync(new URL('../../../docs/answers.md', import.meta.url), 'utf8');
const shown = [...page.matchAll(/^> (.*)$/gm)].map(([, text]) => text);

const GUNICORN = {
  exe: '/usr/bin/python3.11',
  comm: 'gunicorn',
  args: ['/usr/bin/python3', '/usr/bin/gunicorn', 'app:app'],
};
const by = (changes: Parameters<typeof actor>[0]) => actor({ ancestors: [], ...changes });
const SCRIPT = { comm: 'deploy.sh', exe: '/usr/bin/bash', args: ['/bin/bash', '/opt/deploy.sh'] };
const OVER_SSH = { uid: 0, env: { SSH_CONNECTION: '192.0.2.7 50022 10.0.0.1 22' } };
const PKILL = { comm: 'pkill', exe: '/usr/bin/pgrep', args: ['pkill', '-f', 'report'] };
const program = (pid: number, exe: string, ...args: string[]): Request['process']['ancestors'][number] => {
  const comm = exe.slice(exe.lastIndexOf('/') + 1);
  return { pid, comm, start_boottime_ns: BigInt(pid), exe, args: [comm, ...args] };
};
const BY_CRON = {
  ...PKILL,
  uid: 0,
  ancestors: [program(71, '/usr/bin/sh', '-c'), program(70, '/usr/sbin/cron', '-f')],
};
/** A stop that began two seconds before the end. */
const STOP = {
  since_ns: END - 2_000_000_000n,
  continued_ns: null,
  signal: signal(19, { sender: by({ pid: 77, comm: 'sh', exe: '/usr/bin/dash', args: ['sh'] }) }),
};
const POSTGRES = { exe: '/usr/lib/postgresql/15/bin/postgres', comm: 'postgres', args: ['postgres'] };
const WATCHED = victim({
  exe: '/usr/sbin/web',
  args: ['web'],
  cgroup: '/system.slice/web.service',
  env: { WATCHDOG_USEC: '1' },
});
const DEPLOY: Request['process']['ancestors'] = [
  { pid: 81, comm: 'deploy.sh', start_boottime_ns: 2n },
  { pid: 80, comm: 'cron', start_boottime_ns: 1n },
];
const knownOf = (...asked: readonly Request[]) => {
  const requests = new Requests();
  for (const one of asked) requests.add(one, 'boot', 'redacted');
  return requests.of('boot');
};
const USED = reading({
  cgroup: '/machine/web',
  parts: { anon: 12 * 2 ** 20, file: 0, shmem: 8 * 2 ** 20, kernel: 2 ** 20 },
  processes: [{ pid: 99, comm: 'importer', rss: 12 * 2 ** 20, vpid: 99 }],
});
const MEMORY = { total: 8 * 2 ** 30, available: 400 * 2 ** 20, swapTotal: 2 ** 30, swapFree: 4096 };

const ID = 'a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90';
const NAMED = ID.replaceAll('a', 'b');
const WEB = { name: 'shop-web-1', image: null, project: 'shop', service: 'web' };
const containerById = (id: string | null) => (id === NAMED ? WEB : null);
const inContainer = (id: string, uts_hostname: string) => ({
  exe: '/bin/busybox',
  args: ['sh', '-c', 'exit 3'],
  cgroup: `/docker/${id}`,
  uts_hostname,
});

it.each<[string, Death, ...Request[]]>([
  ['a service stopped with sudo', stopped(), request('systemctl stop web', { by: { ancestors: SUDO } })],
  ['a service stopped over D-Bus', stopped()],
  [
    'a service that does not stop',
    stopped(9, {
      request: signal(15, { action: 'ignored', committed: false, sender: SYSTEMD, time_ns: SENT - 90_000_000_000n }),
    }),
  ],
  ['a service that its watchdog aborts', stopped(6, { process: WATCHED })],
  ['a container stopped by a script', stoppedContainer(), request('docker stop web', { by: { ancestors: DEPLOY } })],
  [
    'a worker of gunicorn',
    exitedWith(1, {
      process: victim({ ...GUNICORN, parent_pid: 99 }),
      request: signal(6, { action: 'handled', sender: by(GUNICORN) }),
    }),
  ],
  [
    'gunicorn, stopped gracefully',
    exitedWith(0, {
      process: victim(GUNICORN),
      request: signal(15, { action: 'handled', time_ns: END - 400_000_000n, sender: by(SCRIPT) }),
    }),
  ],
  [
    'a victim of `kill -9` over SSH',
    killedBy(9, {
      signal: signal(9, {
        sender: by({ ...OVER_SSH, ancestors: [program(81, '/usr/sbin/sshd'), program(80, '/usr/sbin/sshd')] }),
      }),
    }),
  ],
  [
    'a victim of a coding agent',
    killedBy(15, {
      process: victim({ exe: '/usr/bin/node', args: ['node', 'server.js'] }),
      signal: signal(15, {
        sender: by({
          ...PKILL,
          args: ['pkill', '-f', 'node'],
          ancestors: [
            program(82, '/usr/bin/bash', '-c', 'npm test; pkill -f node'),
            program(81, '/usr/bin/node', 'agent.js'),
          ],
        }),
      }),
    }),
  ],
  [
    'a server process of PostgreSQL',
    exitedWith(2, {
      process: victim({ ...POSTGRES, parent_pid: 99 }),
      request: signal(3, { action: 'handled', sender: by(POSTGRES) }),
    }),
  ],
  ['a process that was stopped', killedBy(9, { signal: signal(9, { sender: by({}) }), stop: STOP })],
  [
    'a virtual machine of Erlang that was stopped',
    killedBy(9, {
      process: victim({ exe: '/usr/lib/erlang/erts-13.1.5/bin/beam.smp', args: null }),
      signal: signal(9, { sender: by({ exe: '/usr/lib/erlang/erts-13.1.5/bin/heart', args: ['heart'] }) }),
      stop: STOP,
    }),
  ],
  [
    'a job of a lost connection',
    killedBy(1, {
      process: victim({ env: { SSH_CONNECTION: '192.0.2.7 50022 10.0.0.1 22' } }),
      signal: kernelSignal(1, ['tty_signal_session_leader', 'tty_release'], {
        sender: by({ uid: 0, comm: 'sshd', exe: '/usr/sbin/sshd', args: ['sshd: alice@pts/0'] }),
      }),
    }),
  ],
  [
    'a victim of earlyoom',
    killedBy(15, { signal: signal(15, { sender: by({ exe: '/usr/bin/earlyoom', args: ['earlyoom'] }) }) }),
  ],
  [
    'redis-server',
    killedBy(9, {
      process: victim({ exe: '/usr/bin/redis-check-rdb', comm: 'redis-server', args: ['redis-server *:6379'] }),
      signal: signal(9, { sender: by({ comm: 'tidy.sh', args: ['/bin/bash', '/opt/tidy.sh'] }) }),
    }),
  ],
  [
    'the init of a container that is turned off',
    killedBy(2, {
      process: victim({ vpid: 1, uid: 0, uts_hostname: 'web', exe: '/usr/lib/systemd/systemd-shutdown', args: null }),
    }),
    request('systemctl poweroff', { by: { uts_hostname: 'web', ancestors: [{ pid: 511, comm: 'bash' }] } }),
  ],
  [
    'a container that Docker names',
    killedBy(9, {
      process: victim({ ...inContainer(NAMED, 'web'), exe: '/usr/sbin/nginx', args: ['nginx'] }),
      signal: signal(9, {
        sender: by({
          exe: '/usr/sbin/runc',
          comm: 'runc',
          args: null,
          uid: 0,
          ancestors: [{ pid: 98, comm: 'containerd-shim' }],
        }),
      }),
    }),
  ],
  ['a container with a host name', exitedWith(3, { process: victim(inContainer(ID, 'web-7d4b9c6f5-x2x8k')) })],
  ['a container without', exitedWith(3, { process: victim(inContainer(ID, ID.slice(0, 12))) })],
  [
    'a panic in Go',
    exitedWith(2, { process: victim({ exe: '/srv/server', args: ['/srv/server'], go_build_id: 'a/b/c/d' }) }),
  ],
  [
    'a victim of the memory limit of its container',
    killedBy(9, {
      signal: kernelSignal(9, ['oom_kill_process', 'out_of_memory', 'mem_cgroup_out_of_memory'], {
        sender: by({ comm: 'importer', exe: '/srv/importer', args: ['importer'] }),
      }),
      oom_victim: true,
      oom: oom({ cgroup: '/machine/web' }),
    }),
  ],
])('%s', (_, death, ...asked) => {
  const shownBy = {
    reading: death.oom && USED,
    requests: knownOf(...asked),
    host: { ...host, containerById, memoryBefore: () => MEMORY },
  };
  expect(shown).toContain(recordOf(death, shownBy).body);
});

const LOOP = {
  end: null,
  name: 'server',
  pid: 1003,
  count: 3,
  withinNs: 2_400_000_000n,
  outcomes: [['exit code 9', 50]],
  restarter: 'supervisord (pid 99)',
  delayMs: 1_000,
  isUnit: false,
} as const;

it.each<[string, LoopWords]>([
  ['a loop under supervisord', { ...LOOP, state: 'began' }],
  ['its end', { ...LOOP, state: 'ended', end: 'not_restarted', count: 50, withinNs: 58_800_000_000n }],
  [
    'the end of one under systemd',
    { ...LOOP, state: 'ended', end: 'not_restarted', count: 50, withinNs: 12_600_000_000n, isUnit: true },
  ],
])('%s', (_, loop) => {
  expect(shown).toContain(loopSentence(loop));
});

const one = (index: number, changes: Partial<Death['process']> = {}) =>
  victim({ pid: 5000 + index, start_boottime_ns: 8_000_000_000n + BigInt(index), ...changes });
const several = (from: number, to: number, of: (index: number) => Death) =>
  Array.from({ length: to - from + 1 }, (_, index) => of(from + index));
const bash = (changes: Partial<Signal> = {}) => signal(9, { sender: by({}), ...changes });
const web = (index: number) =>
  one(index, { comm: 'web', exe: '/usr/sbin/web', args: ['web'], cgroup: '/system.slice/web.service' });
const init = by({ pid: 5000, start_boottime_ns: 8_000_000_000n, exiting: true });
const BACKEND = { comm: 'postgres', exe: '/usr/lib/postgresql/17/bin/postgres', args: null };
const refused = signal(15, { sender: SYSTEMD, action: 'handled', time_ns: SENT });

it.each<[string, readonly Death[]]>([
  [
    'cgroup.kill',
    several(0, 200, (index) =>
      killedBy(9, {
        process: one(index),
        signal: noinfoSignal(9, { kernel_stack: ['__cgroup_kill'], sender: by({}) }),
      }),
    ),
  ],
  [
    'systemctl stop',
    [
      ...several(0, 99, (index) => stopped(15, { process: web(index) })),
      stopped(9, { process: web(100), request: refused, time_ns: END + SECOND_NS }),
    ],
  ],
  [
    'pkill -f',
    ['report.sh', 'vim', 'tail'].map((name, index) =>
      killedBy(15, {
        process: one(index, { comm: name, exe: `/usr/bin/${name}`, args: [name, 'report.txt'] }),
        signal: signal(15, { sender: by(BY_CRON) }),
      }),
    ),
  ],
  [
    'docker kill',
    [
      killedBy(9, { process: one(0), signal: bash() }),
      ...several(1, 30, (index) =>
        killedBy(9, { process: one(index), signal: kernelSignal(9, ['zap_pid_ns_processes'], { sender: init }) }),
      ),
    ],
  ],
  [
    'PostgreSQL',
    [
      killedBy(9, { process: one(0, { ...BACKEND, parent_pid: 4900 }), signal: bash() }),
      ...several(1, 5, (index) =>
        exitedWith(2, {
          process: one(index, { ...BACKEND, parent_pid: 4900 }),
          request: signal(3, { sender: by({ ...BACKEND, pid: 4900 }), action: 'handled', time_ns: END + 5_000_000n }),
          time_ns: END + 9_000_000n,
        }),
      ),
    ],
  ],
  [
    'a wrapper',
    [
      killedBy(9, { process: one(0, { parent_pid: 99 }), signal: bash() }),
      exitedWith(137, {
        process: victim({ pid: 99, start_boottime_ns: 1n, comm: 'sh', exe: '/usr/bin/dash', args: ['sh'] }),
        time_ns: END + 1_000_000n,
      }),
    ],
  ],
])('the members of an incident: %s', (_, deaths) => {
  const incidents = new Incidents(false);
  const requests = knownOf(request('systemctl stop web', { by: { ancestors: SUDO } }));
  const around = circumstances({ incidents, requests, bootId: 'boot' });
  for (const death of deaths) conclude(death, around);
  const [part] = incidents.due(Number.POSITIVE_INFINITY);
  expect(shown).toContain(part === undefined ? null : buildIncident(part, 0n).body);
});

it('a writer whose reader was killed', () => {
  const endings = new Endings();
  const pipes = { input: 7, output: 7, output_readers: 0 };
  const reader = victim({ pid: 77, exe: '/usr/bin/jq', args: ['jq'], pipes });
  recordOf(killedBy(9, { time_ns: END - 1n, process: reader, signal: signal(9, { sender: by({}) }) }), { endings });
  const process = victim({ exe: '/usr/bin/yes', args: ['yes'], pipes: { ...pipes, input: null } });
  const writer = killedBy(13, { process, signal: noinfoSignal(13, { syscall: 1, sender: itself() }) });
  expect(shown).toContain(recordOf(writer, { endings }).body);
});

it('the page has no other report', () => expect(shown).toHaveLength(31));
