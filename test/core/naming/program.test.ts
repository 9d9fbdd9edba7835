// SPDX-License-Identifier: Apache-2.0
// The names of processes. The facts are those of real programs, as /proc and the probes show them: Debian 12, PyPI, npm, Node.js 24.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { displayName, type ProgramFacts, programOf } from '../../../src/core/naming/program.ts';

const python = '/usr/bin/python3.11';
const node = '/usr/bin/node';
const perl = '/usr/bin/perl';
const java = '/usr/lib/jvm/java-17-openjdk-amd64/bin/java';
const facts = (comm: string, exe: string | null, ...args: string[]): ProgramFacts => ({
  comm,
  exe,
  args: args.length === 0 ? null : args,
});

describe('programs and their arguments', () => {
  it.each<[string, ProgramFacts]>([
    ['bash', facts('bash', '/usr/bin/bash', '-bash')],
    ['bash', facts('bash', '/usr/bin/bash', 'bash', '-c', 'sleep 300; true')],
    ['sh', facts('sh', '/usr/bin/dash', 'sh', '-c', 'sleep 200; true')],
    ['bash', facts('bash', '/usr/bin/bash', 'bash', '/dev/fd/63', 'x')],
    ['bash', facts('bash', '/usr/bin/bash', 'bash', '/proc/self/fd/3')],
    ['dash', facts('dash', '/usr/bin/dash', 'dash')],
    ['my app', facts('my app', '/opt/x/my app', '/opt/x/my app')],
    ['nginx', facts('nginx', '/usr/sbin/nginx (deleted)', 'nginx: worker process')],
    ['timeout', facts('timeout', '/usr/bin/timeout', '/usr/bin/timeout', '100', 'sleep', '300')],
    [
      'beam.smp',
      facts('beam.smp', '/usr/lib/erlang/erts-13.1.5/bin/beam.smp', '/usr/lib/erlang/erts-13.1.5/bin/beam.smp'),
    ],
    ['heart', facts('heart', '/usr/lib/erlang/erts-13.1.5/bin/heart', 'heart', '-pid', '23021')],
    ['earlyoom', facts('earlyoom', '/usr/bin/earlyoom', 'earlyoom', '-m', '1')],
  ])('%s is the name of its file', (name, of) => expect(displayName(of)).toBe(name));

  it.each<[string, ProgramFacts]>([
    ['pkill', facts('pkill', '/usr/bin/pgrep', 'pkill', '-f', 'tidy')],
    ['pkill', facts('pkill', '/usr/bin/pgrep')],
    ['pgrep', facts('pgrep', '/usr/bin/pgrep', 'pgrep', 'x')],
    ['redis-server', facts('redis-server', '/usr/bin/redis-check-rdb', 'redis-server *:16379')],
    ['redis-server', facts('redis-server', '/usr/bin/valkey-server', '/usr/bin/redis-server', '/etc/redis.conf')],
    ['poweroff', facts('poweroff', '/usr/bin/systemctl', 'poweroff')],
    ['uwsgi', facts('uwsgi', '/usr/bin/uwsgi-core', '/usr/bin/uwsgi', '--master')],
    ['php-fpm', facts('php-fpm8.2', '/usr/sbin/php-fpm8.2', 'php-fpm: pool www')],
    ['vim', facts('vim', '/usr/bin/vim.basic', 'vim', 'x')],
    ['busybox timeout', facts('busybox', '/usr/bin/busybox', '/usr/bin/busybox', 'timeout', '100', 'sleep', '300')],
    ['busybox timeout', facts('timeout', '/bin/busybox', 'timeout', '100', 'sleep', '300')],
    ['busybox sh', facts('sh', '/bin/busybox', '-sh')],
    ['tidy.sh', facts('tidy.sh', '/bin/busybox', '/bin/sh', '/opt/tidy.sh')],
    ['busybox', facts('busybox', '/bin/busybox')],
  ])('%s is a file of several names', (name, of) => expect(displayName(of)).toBe(name));
});

describe('interpreters show what they run', () => {
  it.each<[string, ProgramFacts]>([
    ['gunicorn', facts('gunicorn', python, '/usr/bin/python3', '/usr/bin/gunicorn', '-w', '1', 'app:app')],
    ['gunicorn', facts('python3', python, '/usr/bin/python3', '-m', 'gunicorn', '-w', '1', 'app:app')],
    ['gunicorn', facts('gunicorn', python)],
    ['pm2', facts('PM2 v5.3.0: God', node, 'node', '/usr/lib/node_modules/pm2/lib/Daemon.js')],
    ['celery', facts('celery', python, '/usr/bin/python3', '/usr/bin/celery', '-A', 'tasks', 'worker')],
    ['supervisord', facts('supervisord', python, '/usr/bin/python3', '/usr/bin/supervisord', '-n')],
    ['python3 manage.py', facts('python3', python, 'python3', '-u', '-W', 'ignore', '/srv/manage.py', 'runserver')],
    ['manage.py', facts('manage.py', python, '/usr/bin/python3', './manage.py', 'runserver')],
    ['python3 -m http.server', facts('python3', python, 'python3', '-m', 'http.server', '8000')],
    ['python3', facts('python3', python, 'python3', '-c', 'import time; time.sleep(300)')],
    ['python3.11', facts('python3.11', python, 'python3.11', '-')],
    ['node server.js', facts('MainThread', node, 'node', '/srv/app/server.js')],
    [
      'node server.js',
      facts('node', node, 'node', '--require', './trace.js', '--inspect', 'server.js', '--token', 'x'),
    ],
    ['node', facts('MainThread', node, 'node', '-e', 'setTimeout(()=>{},1e6)')],
    ['node', facts('MainThread', node)],
    ['node', facts('MainThread', null)],
    ['pm2', facts('node', node, 'node', '/usr/bin/pm2', 'list')],
    ['tidy.sh', facts('tidy.sh', '/usr/bin/bash', '/bin/bash', '/opt/tidy.sh')],
    ['tidy.sh', facts('bash', '/usr/bin/bash', 'bash', '-euo', 'pipefail', '/opt/tidy.sh', '--all')],
    ['tidy.sh', facts('tidy.sh', '/usr/bin/bash')],
    ['backup', facts('sh', '/usr/bin/dash', 'sh', '/etc/cron.daily/backup')],
    ['parallel', facts('parallel', perl, '/usr/bin/perl', '/usr/bin/parallel', '-j1', '--timeout', '100', 'sleep')],
    ['perl', facts('perl', perl, 'perl', '-MPOSIX', '-e', 'sleep 300')],
    ['perl', facts('perl', perl, 'perl', '-ne', 'print')],
    ['java -jar app.jar', facts('java', java, 'java', '-Xmx1g', '-jar', '/opt/app/app.jar', '--port', '1')],
    ['java com.acme.Main', facts('java', java, 'java', '-cp', '/opt/lib', '-Dx=y', 'com.acme.Main', 'wait')],
    ['ruby', facts('ruby', '/usr/bin/ruby3.1', 'ruby', '-e', 'sleep 300')],
    ['rake', facts('rake', '/usr/bin/ruby3.1', '/usr/bin/ruby', '/usr/bin/rake', 'db:migrate')],
    ['dotnet app.dll', facts('dotnet', '/usr/share/dotnet/dotnet', 'dotnet', 'exec', 'app.dll')],
    ['deno serve.ts', facts('deno', '/usr/bin/deno', 'deno', 'run', '--allow-net', 'serve.ts')],
    [
      'hello',
      facts(
        'ld-linux-x86-64',
        '/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2',
        '/lib64/ld-linux-x86-64.so.2',
        '--library-path',
        '/x',
        '/opt/hello',
      ),
    ],
  ])('%s', (name, of) => expect(displayName(of)).toBe(name));

  it('not the word after an option that may be a secret', () => {
    expect(displayName(facts('node', node, 'node', '--auth-token', 'hunter2hunter2'))).toBe('node');
    expect(displayName(facts('python3', python, 'python3', 'https://user:hunter2@host'))).toBe('python3');
  });

  it.each(['systemd', 'sshd', 'dockerd', 'containerd-shim-runc-v2', 'earlyoom'])(
    'not a script or title that has the name of a system program: %s',
    (name) => {
      expect(displayName(facts(name, python, 'python3', `/tmp/${name}`))).toBe('python3');
      expect(displayName(facts(name, python, `${name}: worker`))).toBe('python3.11');
      expect(displayName(facts(name, '/usr/bin/sleep', name, '100'))).toBe('sleep');
    },
  );
});

describe('titles', () => {
  it.each<[string, ProgramFacts]>([
    ['gunicorn', facts('gunicorn: maste', python, 'gunicorn: master [app:app]')],
    ['gunicorn', facts('[ready] gunicor', python, '[ready] gunicorn: worker [airflow-webserver]')],
    ['celery', facts('[celeryd: celer', python, '[celeryd: celery@vm:MainProcess] -active- (-A tasks worker -c 1)')],
    ['salt-minion', facts('salt-minion', python, '/usr/bin/python3 /usr/bin/salt-minion MultiMinionProcessManager')],
    ['npm', facts('npm run wait', node, 'npm run wait')],
    ['pm2', facts('PM2 v5.3.0: God', node, 'PM2 v5.3.0: God Daemon (/root/.pm2)')],
    ['myapp', facts('myapp', node, 'myapp', '', '', '')],
    ['node', facts('node (vitest 1)', node, 'node (vitest 1)')],
    ['puma', facts('puma 5.6.5 (tcp', '/usr/bin/ruby3.1', 'puma 5.6.5 (tcp://0.0.0.0:3000) [app]')],
    ['resque', facts('resque-1.27.4:', '/usr/bin/ruby3.1', 'resque-1.27.4: Waiting for *')],
    ['redis-server', facts('redis-server', '/usr/bin/redis-check-rdb', 'redis-server *:16379')],
    ['postgres', facts('postgres', '/usr/lib/postgresql/15/bin/postgres', 'postgres: 15/main: checkpointer')],
    ['sshd', facts('sshd', '/usr/sbin/sshd', 'sshd: alice [priv]')],
  ])('%s', (name, of) => {
    expect(programOf(of)).toMatchObject({ name, hasTitle: true });
  });

  it.each<[string, ProgramFacts]>([
    ['one argument', facts('sleep', '/usr/bin/sleep', 'sleep')],
    ['a login shell', facts('bash', '/usr/bin/bash', '-bash')],
    ['an interpreter alone', facts('python', python, 'python')],
    ['an argument with spaces', facts('bash', '/usr/bin/bash', 'bash', '-c', 'a b')],
  ])('%s is none', (_, of) => expect(programOf(of).hasTitle).toBe(false));
});

describe('a comm alone', () => {
  it.each([
    ['gunicorn: maste', 'gunicorn'],
    ['[celeryd: celer', 'celery'],
    ['npm exec sleep ', 'npm'],
    ['PM2 v5.3.0: God', 'pm2'],
    ['tmux: server', 'tmux'],
    ['php-fpm8.2', 'php-fpm'],
    ['MainThread', 'node'],
    ['containerd-shim', 'containerd-shim'],
    ['kworker/0:1-mm_', 'kworker/0:1-mm_'],
    ['Web Content', 'Web Content'],
    ['(sd-pam)', '(sd-pam)'],
    ['x (pid 1, root)', '"x (pid 1, root)"'],
    ['a ← sshd', '"a ← sshd"'],
    ['killed by root `', '"killed by root `"'],
    ['x; web crashed', '"x; web crashed"'],
    ['x,"root"', '"x,\\"root\\""'],
    ['a b c d', '"a b c d"'],
    ['Isolated Web Co', 'Isolated Web Co'],
    ['constructor', 'constructor'],
    ['__proto__', '__proto__'],
  ])('%s → %s', (comm, name) => expect(displayName({ comm })).toBe(name));
});

describe('hostile names', () => {
  const long = `${'x'.repeat(4096)}\n\u001b[31m\u202e`;
  it.each<[string, ProgramFacts]>([
    ['comm', { comm: long }],
    ['executable', { comm: 'x', exe: `/tmp/${long}` }],
    ['script', facts('x', python, 'python3', `/tmp/\n\u001b[2J\u202e${long}`)],
    ['script without slash', facts('x', '/bin/bash', 'bash', `\r\n\u2067${long}.sh`)],
    ['module', facts('x', python, 'python3', '-m', long)],
    ['class', facts('x', java, 'java', `\u0000\u0007${long}`)],
    ['title', facts('x', python, `\u202egunicorn: ${long}`)],
    ['applet', facts('x', '/bin/busybox', '\nsh', long)],
    ['lone surrogates', facts('\ud800', python, 'python3', '\ud800.py')],
  ])('%s', (_, of) => {
    const { name, script } = programOf(of);
    for (const text of [name, script ?? '']) {
      expect(text).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/);
      expect(text.length).toBeLessThan(64 * 6);
      expect(text.isWellFormed()).toBe(true);
    }
  });

  it('any facts give a name, quickly', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.constantFrom('-m', '-c', '--', 'python3', ''),
    );
    const exe = fc.oneof(fc.constantFrom(python, node, java, perl, '/bin/busybox', '/bin/sh', null), text);
    fc.assert(
      fc.property(text, exe, fc.option(fc.array(text, { maxLength: 5 })), (comm, path, args) => {
        const { name } = programOf({ comm, exe: path, args });
        expect(typeof name).toBe('string');
        if (path?.endsWith('python3.11')) expect(name).not.toBe('');
      }),
    );
  });
});
