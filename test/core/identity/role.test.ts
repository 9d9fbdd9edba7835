// SPDX-License-Identifier: Apache-2.0
// The roles of senders, and what the record says of them. The facts are those of real programs (Debian 12, PyPI).
import { describe, expect, it } from 'vitest';
import { conclude } from '../../../src/core/conclude.ts';
import { rulesOf } from '../../../src/core/filter/built-in.ts';
import type { Actor, Death, Victim } from '../../../src/core/wire/event.ts';
import { circumstances, recordOf } from '../../support/circumstances.ts';
import { actor, exitedWith, killedBy, signal, victim } from '../../support/deadly.ts';
import { identitiesOf } from '../../support/derived.ts';
import { host } from '../../support/host.ts';

const PARENT = 99;
const roleOf = (sender: Partial<Actor>, of: Partial<Victim> = {}, signo = 9) =>
  identitiesOf(killedBy(signo, { process: victim(of), signal: signal(signo, { sender: actor(sender) }) })).role;
const program = (exe: string, ...args: string[]): Partial<Actor> => ({
  exe,
  comm: exe.slice(exe.lastIndexOf('/') + 1).slice(0, 15),
  args: args.length === 0 ? null : args,
});

describe('the role of a sender', () => {
  it.each<[string, Partial<Actor>]>([
    ['service_manager', program('/usr/lib/systemd/systemd', '/sbin/init')],
    ['service_manager', program('/usr/lib/systemd/systemd-shutdown', '/usr/lib/systemd/systemd-shutdown', 'poweroff')],
    ['service_manager', program('/bin/busybox', 'init')],
    ['container_runtime', program('/usr/sbin/runc', 'runc', '--root', '/run', 'kill')],
    ['container_runtime', program('/usr/bin/containerd-shim-runc-v2', '/usr/bin/containerd-shim-runc-v2', '-id', 'x')],
    ['container_runtime', program('/usr/bin/conmon', 'conmon')],
    ['supervisor', program('/usr/bin/python3.11', '/usr/bin/python3', '/usr/bin/supervisord', '-n')],
    ['supervisor', program('/usr/bin/node', 'PM2 v5.3.0: God Daemon (/root/.pm2)')],
    ['shell', program('/usr/bin/bash', '-bash')],
    ['shell', program('/bin/busybox', '-sh')],
    ['timeout', program('/usr/bin/timeout', 'timeout', '10', 'sleep', '300')],
    ['timeout', program('/usr/bin/busybox', '/usr/bin/busybox', 'timeout', '10', 'sleep', '300')],
    ['timeout', program('/usr/bin/perl', '/usr/bin/perl', '/usr/bin/parallel', '--timeout', '1')],
    ['oom_daemon', program('/usr/bin/earlyoom', 'earlyoom', '-m', '1')],
    ['oom_daemon', program('/usr/lib/systemd/systemd-oomd', '/usr/lib/systemd/systemd-oomd')],
    ['oom_daemon', program('/usr/bin/python3.11', 'python3', '/usr/sbin/nohang', '--monitor')],
    ['watchdog', program('/usr/lib/erlang/erts-13.1.5/bin/heart', 'heart', '-pid', '23021')],
    ['application_server', program('/usr/sbin/php-fpm8.2', 'php-fpm: master process (/etc/php/fpm.conf)')],
    ['application_server', program('/usr/lib/postgresql/15/bin/postgres', '/usr/lib/postgresql/15/bin/postgres')],
    ['ci_runner', program('/home/ci/actions-runner/bin/Runner.Worker', 'Runner.Worker', 'spawnclient')],
    ['coding_agent', program('/usr/bin/node', 'node', '/usr/bin/codex')],
  ])('%s', (role, sender) => expect(roleOf(sender)?.role).toBe(role));

  it.each<[string, Partial<Actor>]>([
    ['a comm alone', { comm: 'earlyoom', exe: null, args: null }],
    ['an executable where any user can write', program('/tmp/systemd-oomd', 'systemd-oomd')],
    ['an executable in memory', program('/memfd:systemd (deleted)', 'systemd')],
    ['an executable in a foreign root', { ...program('/usr/bin/earlyoom', 'earlyoom'), exe_flags: ['chroot'] }],
    ['a script of that name', program('/usr/bin/python3.11', 'python3', '/tmp/systemd')],
    ['another program under that title', program('/usr/bin/sleep', 'gunicorn: master [app]')],
    ['a shell that runs a script', program('/usr/bin/bash', 'bash', '/opt/tidy.sh')],
    ['pkill', program('/usr/bin/pgrep', 'pkill', '-f', 'x')],
  ])('none: %s', (_, sender) => expect(roleOf(sender)).toBeNull());
});

describe('an application server that stops its own worker', () => {
  const worker = (exe: string, ...args: string[]) => victim({ exe, comm: 'x', args, parent_pid: PARENT });
  const python = '/usr/bin/python3.11';
  const gunicorn = ['/usr/bin/python3', '/usr/bin/gunicorn', 'app:app'];
  const stopped = (signo: number, exe: string, args: string[]): Death =>
    killedBy(signo, {
      process: worker(exe, ...args),
      signal: signal(signo, { sender: actor({ pid: PARENT, exe, comm: 'x', args, ancestors: [] }) }),
    });

  it.each<[string, number, string, string[]]>([
    ['gunicorn, stopped worker 4242 (timeout?)', 9, python, gunicorn],
    ['gunicorn, stopped worker 4242 (timeout?)', 6, python, ['gunicorn: master [app:app]']],
    ['gunicorn, stopped worker 4242 (reload or shutdown?)', 15, python, gunicorn],
    ['uwsgi, stopped worker 4242 (harakiri?)', 9, '/usr/bin/uwsgi-core', ['/usr/bin/uwsgi', '--master']],
    ['celery, stopped worker 4242 (time limit?)', 9, python, ['[celeryd: celery@vm:MainProcess]']],
    [
      'php-fpm, stopped worker 4242 (request_terminate_timeout or shutdown?)',
      15,
      '/usr/sbin/php-fpm8.2',
      ['php-fpm: master process'],
    ],
    [
      'postgres, stopped worker 4242 (another server process crashed, or an immediate shutdown?)',
      3,
      '/usr/lib/postgresql/15/bin/postgres',
      ['postgres', '-D', '/data'],
    ],
  ])('%s', (words, signo, exe, args) => {
    const { body, attributes } = recordOf(stopped(signo, exe, args));
    expect(body).toMatch(new RegExp(`: its own master, ${words.replace(/[()?]/g, '\\$&')}\\.$`));
    expect(attributes['whodunit.evidence']).toContain(`its own master, ${words}`);
    expect(attributes['whodunit.sender.role']).toBe('application_server');
  });

  it('or has another worker stop it: pg_terminate_backend', () => {
    const [exe, comm] = ['/usr/lib/postgresql/15/bin/postgres', 'postgres'];
    const sender = actor({
      pid: 98,
      exe,
      comm,
      args: ['postgres: app db [local] SELECT'],
      ancestors: [{ pid: PARENT, comm }],
    });
    const request = signal(15, { sender, action: 'handled', committed: false });
    const of = (parent_pid: number) =>
      recordOf(exitedWith(1, { process: victim({ exe, comm, parent_pid }), request })).body;
    expect(of(PARENT)).toMatch(/: another worker of its own master stopped it \(pg_terminate_backend\?\)\.$/);
    expect(of(1)).not.toContain('pg_terminate_backend');
  });

  it('also if the worker handled the signal, and exited', () => {
    const { signal: request } = stopped(6, python, gunicorn);
    const death = exitedWith(1, {
      process: worker(python, ...gunicorn),
      request: request === null ? null : { ...request, action: 'handled' },
    });
    expect(recordOf(death).body).toBe(
      'gunicorn (pid 4242) exited with code 1 after 3.0 s, 1 ms after it handled SIGABRT, sent by gunicorn (pid 99, alice): its own master, gunicorn, stopped worker 4242 (timeout?).',
    );
  });

  it('not if it is another server, or no child of it', () => {
    const own = stopped(9, python, gunicorn);
    const other = killedBy(9, { process: worker('/usr/bin/sleep', 'sleep'), signal: own.signal });
    const elsewhere = killedBy(9, { process: { ...own.process, parent_pid: 1 }, signal: own.signal });
    for (const death of [other, elsewhere]) expect(recordOf(death).body).not.toContain('its own master');
  });
});

describe('what else a role says', () => {
  const by = (signo: number, sender: Partial<Actor>, changes: Partial<Death> = {}): Death =>
    killedBy(signo, { signal: signal(signo, { sender: actor({ ancestors: [], ...sender }) }), ...changes });

  it('a time limit', () => {
    expect(recordOf(by(15, program('/usr/bin/timeout', 'timeout', '3', 'sleep', '100'))).body).toContain(
      'sent by timeout (pid 99, alice), after 3.0 s: timeout stopped it (time limit?).',
    );
  });

  it('a supervisor of runit or s6', () => {
    const process = victim({ parent_pid: PARENT });
    expect(recordOf(by(9, program('/usr/bin/runsv', 'runsv', 'web'), { process })).body).toContain(
      'sent by runsv (pid 99, alice), after 3.0 s: its service manager, runsv, stopped it (it did not stop in time?).',
    );
    expect(recordOf(by(15, program('/usr/bin/s6-supervise', 's6-supervise', 'web'), { process })).body).toContain(
      'its service manager, s6-supervise, stopped it.',
    );
  });

  it('the memory of the machine before the signal of an out-of-memory daemon', () => {
    const memory = { total: 8 * 2 ** 30, available: 400 * 2 ** 20, swapTotal: 2 ** 30, swapFree: 4096 };
    const asked: bigint[] = [];
    const memoryBefore = (timeNs: bigint) => {
      asked.push(timeNs);
      return memory;
    };
    const death = by(15, program('/usr/bin/earlyoom', 'earlyoom', '-m', '10'));
    const { body, attributes } = recordOf(death, { host: { ...host, memoryBefore } });
    expect(body).toMatch(
      /: earlyoom frees memory before the kernel has to: 400 MiB of 8 GiB were available, 4 KiB of 1 GiB swap\.$/,
    );
    expect(asked).toEqual([(death.signal?.time_ns ?? 0n) + death.clock_offset_ns]);
    expect(attributes).toMatchObject({
      'whodunit.cause': 'killed',
      'whodunit.sender.role': 'oom_daemon',
      'whodunit.machine.memory.available': memory.available,
      'whodunit.machine.swap.free': 4096,
    });
    expect(recordOf(by(15, {}), { host: { ...host, memoryBefore } }).attributes).not.toHaveProperty(
      'whodunit.machine.memory.available',
    );
  });

  it('a coding agent among the ancestors, by its name', () => {
    const ancestors = [
      { pid: 40, comm: 'bash' },
      { pid: 30, comm: 'claude' },
    ];
    const { attributes } = recordOf(by(15, { ...program('/usr/bin/pgrep', 'pkill', '-f', 'x'), ancestors }));
    expect(attributes['whodunit.evidence']).toContain(
      'claude (pid 30), by its name a coding agent, is an ancestor of the sender',
    );
  });

  it("Erlang's port program ends its workers: counted, without a record", () => {
    const exe = '/usr/lib/erlang/erts-13.1.5/bin/inet_gethost';
    const port = (path: string): Death =>
      by(10, program(path, 'inet_gethost', '4'), { process: victim({ exe: path, args: ['inet_gethost', '4'] }) });
    const outcome = (death: Death) => {
      const conclusion = conclude(death, circumstances({ rules: rulesOf([], 'default') }));
      return conclusion.kind === 'new' ? [conclusion.outcome, conclusion.rule.name] : [];
    };
    expect(outcome(port(exe))).toEqual(['filtered', "Erlang's port programs"]);
    expect(outcome(port('/opt/inet_gethost'))).toEqual(['reported', 'fault, kill or OOM, any process']);
  });

  it('being turned off is no error', () => {
    const shutdown = program('/usr/lib/systemd/systemd-shutdown', '/usr/lib/systemd/systemd-shutdown', 'poweroff');
    const { severityText, body } = recordOf(by(9, shutdown));
    expect([severityText, body]).toEqual([
      'INFO',
      expect.stringMatching(/: the machine or container was being turned off\.$/),
    ]);
    expect(recordOf(by(9, program('/usr/lib/systemd/systemd', '/sbin/init'))).severityText).toBe('ERROR');
  });
});
