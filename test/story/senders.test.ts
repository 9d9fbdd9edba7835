// SPDX-License-Identifier: Apache-2.0
// Who it really was: Debian's programs stop others by profession, close terminals and connections, and the sentence says so.
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { isTermination, type LogRecord } from '../../scripts/stack/otlp-file.ts';
import { freePorts, type Program, startProgram, temporaryDirectory, until } from '../../scripts/stack/program.ts';
import { watched } from '../support/watched.ts';

const WITHIN_MS = 120_000;
// Without a limit, members of an incident have records of their own.
const both = watched({ WHODUNIT_RECORDS_PER_MINUTE: 'off' });

/** Pids are reused, soon on a busy machine: records from before the test are of other processes. */
let testBeganNs = 0n;
beforeEach(() => {
  testBeganNs = BigInt(Date.now()) * 1_000_000n;
});
const isOfTest = (record: LogRecord): boolean => isTermination(record) && (record.timeUnixNs ?? 0n) >= testBeganNs;

/** The first record of a termination that the predicate holds for. */
const recordOf = (what: string, holds: (record: LogRecord) => boolean): Promise<LogRecord> =>
  until(
    `the record of ${what}`,
    WITHIN_MS,
    () => both.collector.logs().find((record) => isOfTest(record) && holds(record)),
    () => both.whodunit.service.output(),
  );
const withPid = (pid: number): Promise<LogRecord> =>
  recordOf(`process ${pid}`, ({ resource }) => resource['process.pid'] === pid);

/** Waits until the program has printed this, and returns what matched. */
const printed = (program: Program, pattern: RegExp): Promise<string> =>
  until(`${pattern}`, WITHIN_MS, () => pattern.exec(program.output())?.[1], program.output);

const shell = (script: string, ...args: readonly string[]): Program =>
  startProgram('/bin/bash', ['-c', script, 'bash', ...args], { detached: true });

/** A directory in which every user may read. */
function directory(): string {
  const { path } = temporaryDirectory();
  chmodSync(path, 0o755);
  return path;
}

/** A pid namespace in which only this script and what it starts is to be seen: these daemons would find other victims. */
function alone(script: string): Program {
  const namespace = ['--pid', '--fork', '--mount-proc', '--kill-child', '/bin/sh', '-c', script];
  return startProgram('unshare', namespace);
}

/** Process 1 of a namespace ignores SIGTERM. */
function kill(program: Program): Promise<unknown> {
  program.child.kill('SIGKILL');
  return program.ended;
}

/** `sleep` with a duration that no other process has, so that its record is found. */
let marks = 0;
const mark = (): string => {
  marks += 1;
  return `${100_000 + process.pid}.${marks}`;
};
/** Starts it in a shell, and waits until the child has executed it: until then, it would be stopped as a shell. */
const sleeping = (duration: string) => `sleep ${duration} & until grep -qx sleep /proc/$!/comm; do sleep 0.01; done`;
const ofSleep = (duration: string) =>
  recordOf(`sleep ${duration}`, ({ resource }) => ranWith(resource, 'sleep', duration));

/** Whether the process executed this program with this last argument. */
function ranWith(resource: LogRecord['resource'], program: string, last: string): boolean {
  const args = resource['process.command_args'];
  return resource['process.executable.name'] === program && Array.isArray(args) && args.at(-1) === last;
}

describe('out-of-memory daemons', () => {
  it('earlyoom', async () => {
    const duration = mark();
    const daemon = alone(`${sleeping(duration)}; exec earlyoom -m 99 -s 100 -r 0`);
    const { body, attributes } = await ofSleep(duration);
    await kill(daemon);
    expect(attributes).toMatchObject({
      'whodunit.cause': 'killed',
      'whodunit.sender.role': 'oom_daemon',
      'whodunit.machine.memory.total': expect.any(Number),
    });
    expect(body).toMatch(
      /^sleep .* was stopped by SIGTERM, sent by earlyoom \(pid \d+, root\).*: earlyoom frees memory before the kernel has to: .* were available/,
    );
  });

  it('nohang', async () => {
    const duration = mark();
    const at = directory();
    // It takes no threshold above half of the memory.
    const low = readFileSync('/proc/meminfo', 'utf8').replace(/^MemAvailable:.*$/m, 'MemAvailable: 100000 kB');
    writeFileSync(join(at, 'meminfo'), low.replace(/^SwapTotal:.*$/m, 'SwapTotal: 0 kB'));
    const usual = readFileSync('/etc/nohang/nohang.conf', 'utf8');
    writeFileSync(
      join(at, 'conf'),
      usual
        .replace(/^soft_threshold_min_mem .*$/m, 'soft_threshold_min_mem = 40 %')
        .replace(/^hard_threshold_min_mem .*$/m, 'hard_threshold_min_mem = 0 %'),
    );
    const daemon = alone(
      `mount --bind ${at}/meminfo /proc/meminfo; ${sleeping(duration)}; exec nohang --monitor --config ${at}/conf`,
    );
    const { body, attributes } = await ofSleep(duration);
    await kill(daemon);
    expect(attributes).toMatchObject({ 'whodunit.cause': 'killed', 'whodunit.sender.role': 'oom_daemon' });
    expect(body).toMatch(/was stopped by SIGTERM, sent by nohang \(pid \d+, root\).*: nohang frees memory before/);
  });
});

it("Erlang's heart kills a virtual machine that does not answer: it was stopped", async () => {
  const options = ['-heart', '-env', 'HEART_BEAT_TIMEOUT', '11', '-env', 'HEART_COMMAND', 'true'];
  const erl = startProgram('erl', ['-noshell', '-noinput', ...options, '-eval', 'io:format("up ~s~n",[os:getpid()]).']);
  const pid = Number(await printed(erl, /up (\d+)/));
  process.kill(pid, 'SIGSTOP');
  const { body, attributes } = await withPid(pid);
  await erl.stop();
  expect(attributes).toMatchObject({ 'whodunit.sender.role': 'watchdog', 'whodunit.stop.signal.name': 'SIGSTOP' });
  expect(body).toMatch(
    /^beam\.smp .* was killed by SIGKILL, sent by heart \(pid \d+, \w+\).*: its watchdog, heart, stopped it \(HEART_BEAT_TIMEOUT\?\); it had been stopped for .* by SIGSTOP, sent by node/,
  );
});

describe('gunicorn', () => {
  const APP = `import time
def app(environ, start):
    if environ['PATH_INFO'] == '/hang': time.sleep(1000)
    start('200 OK', [])
    return [b'']
`;
  const started = async () => {
    const at = directory();
    writeFileSync(join(at, 'app.py'), APP);
    const options = ['--timeout', '2', '--bind', `unix:${at}/socket`, '--chdir', at, 'app:app'];
    const gunicorn = startProgram('gunicorn', options);
    const worker = Number(await printed(gunicorn, /Booting worker with pid: (\d+)/));
    return { gunicorn, worker, socketPath: `${at}/socket` };
  };

  it('stops a worker that does not answer in time', async () => {
    const { gunicorn, worker, socketPath } = await started();
    get({ socketPath, path: '/hang' }).on('error', () => {});
    const { body, attributes } = await withPid(worker);
    await kill(gunicorn);
    expect(attributes['whodunit.sender.role'], String(body)).toBe('application_server');
    // SIGABRT, and SIGKILL if the worker is not gone when the master looks again.
    expect(body).toMatch(
      new RegExp(
        `^gunicorn \\(pid ${worker}\\) (?:exited with code 1 .* after it handled SIGABRT|was killed by SIG(?:KILL|ABRT)), sent by gunicorn \\(pid \\d+, root\\).*: its own master, gunicorn, stopped worker ${worker} \\(timeout\\?\\)\\.$`,
      ),
    );
  });

  it('stops gracefully, and its worker, too', async () => {
    const { gunicorn, worker } = await started();
    const killer = shell('kill "$1"; read _', String(gunicorn.pid));
    const master = await withPid(gunicorn.pid);
    const { body } = await withPid(worker);
    killer.child.stdin?.end();
    expect(master.attributes).toMatchObject({ 'whodunit.cause': 'graceful_stop', 'process.exit.code': 0 });
    expect(master.body).toMatch(
      /^gunicorn .* stopped gracefully after .*: it exited with code 0, .* after it handled SIGTERM, sent by bash \(pid \d+, root\)/,
    );
    expect(body).toMatch(
      /sent by gunicorn .*: its own master, gunicorn, stopped worker \d+ \(reload or shutdown\?\)\.$/,
    );
  });
});

it('PostgreSQL stops its server processes after one of them was killed', async () => {
  const at = directory();
  const id = (flag: string) => Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout);
  chownSync(at, id('-u'), id('-g'));
  const version = readdirSync('/usr/lib/postgresql').at(-1);
  const as = (program: string, ...args: readonly string[]): Program =>
    startProgram(
      'setpriv',
      [
        '--reuid=postgres',
        '--regid=postgres',
        '--clear-groups',
        '--',
        `/usr/lib/postgresql/${version}/bin/${program}`,
        ...args,
      ],
      { cwd: at },
    );
  expect((await as('initdb', '-D', `${at}/data`, '--no-sync', '-A', 'trust').ended).code).toBe(0);
  const server = as('postgres', '-D', `${at}/data`, '-k', at, '-h', '', '-F');
  await until('the server', WITHIN_MS, () => /ready to accept connections/.exec(server.output()) ?? undefined);
  const client = () =>
    as('psql', '-h', at, '-d', 'postgres', '-Atc', 'select pg_backend_pid()', '-c', 'select pg_sleep(1000)');
  const clients = [client(), client()];
  const [killed, other] = await Promise.all(clients.map((one) => printed(one, /^(\d+)$/m)));
  process.kill(Number(killed), 'SIGKILL');
  const { body, attributes } = await withPid(Number(other));
  await Promise.all(clients.map(kill));
  server.child.kill('SIGINT'); // a fast shutdown
  await server.ended;
  expect(attributes).toMatchObject({ 'whodunit.sender.role': 'application_server', 'whodunit.signal.name': 'SIGQUIT' });
  expect(body).toMatch(
    new RegExp(
      `^postgres \\(pid ${other}\\) exited with code 2 .* after it handled SIGQUIT, sent by postgres \\(pid \\d+, postgres\\).*: its own master, postgres, stopped worker ${other} \\(another server process crashed, or an immediate shutdown\\?\\)\\.$`,
    ),
  );
});

describe('sshd', () => {
  /** A server with a key of its own, and the command of a client. */
  const served = async () => {
    const at = directory();
    for (const key of ['host', 'user'])
      spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(at, key)], { stdio: 'ignore' });
    const [port = 0] = await freePorts(1);
    const set = (name: string, value: string) => ['-o', `${name}=${value}`];
    spawnSync('mkdir', ['-p', '/run/sshd']);
    const server = startProgram('/usr/sbin/sshd', [
      ...['-D', '-e', '-f', '/dev/null', '-p', String(port), '-h', join(at, 'host')],
      ...[...set('AuthorizedKeysFile', join(at, 'user.pub')), ...set('StrictModes', 'no'), ...set('UsePAM', 'no')],
      ...[...set('PidFile', 'none'), ...set('ListenAddress', '127.0.0.1'), ...set('PermitRootLogin', 'yes')],
    ]);
    await until('sshd', WITHIN_MS, () => /Server listening/.exec(server.output()) ?? undefined, server.output);
    const client = [
      ...['-p', String(port), '-i', join(at, 'user'), '-F', '/dev/null', ...set('IdentitiesOnly', 'yes')],
      ...[...set('StrictHostKeyChecking', 'no'), ...set('UserKnownHostsFile', '/dev/null'), 'root@127.0.0.1'],
    ];
    return { server, client };
  };

  it('kill -9 over ssh', async () => {
    const { server, client } = await served();
    const duration = mark();
    const victim = startProgram('sleep', [duration]);
    const ssh = startProgram('ssh', [...client, `kill -9 ${victim.pid}`]);
    const { body } = await withPid(victim.pid);
    await ssh.ended;
    await server.stop();
    expect(body).toMatch(/^sleep .* was killed by SIGKILL, sent by \w+ \(pid \d+, root\) ← sshd ← sshd/);
  });

  it('a connection is lost: the terminal of which session was closed', async () => {
    const { server, client } = await served();
    const duration = mark();
    const ssh = startProgram('ssh', ['-tt', ...client, `echo up; exec sleep ${duration}`]);
    await printed(ssh, /(up)/);
    ssh.child.kill('SIGKILL');
    const { body, attributes } = await ofSleep(duration);
    await server.stop();
    expect(attributes).toMatchObject({
      'whodunit.cause': 'hangup',
      'whodunit.trigger.executable.name': 'sshd',
      'whodunit.trigger.client.address': '127.0.0.1',
    });
    expect(body).toMatch(
      /^sleep .* was terminated by SIGHUP .*: its terminal of the SSH session root@pts\/\d+ from 127\.0\.0\.1 was closed by sshd \(pid \d+, root\)/,
    );
  });
});

describe('a pipeline', () => {
  it('ends by SIGPIPE when its reader is killed: the writer says so', async () => {
    const duration = mark();
    const pipeline = shell(`yes ${duration} | sleep ${duration}`);
    const sleep = await until('the reader', WITHIN_MS, () => pidOf(duration));
    process.kill(sleep, 'SIGKILL');
    await pipeline.ended;
    const { body, attributes } = await recordOf('the writer', ({ resource }) => ranWith(resource, 'yes', duration));
    const reader = await withPid(sleep);
    expect(body).toMatch(
      new RegExp(
        `^yes .* was terminated by SIGPIPE .*; the reader of its output, sleep \\(pid ${sleep}\\), was killed by SIGKILL, sent by node`,
      ),
    );
    expect(attributes).toMatchObject({
      'whodunit.cause': 'broken_pipe',
      'whodunit.reader.termination.uid': reader.attributes['log.record.uid'],
    });
  });

  it('says nothing about a reader that exited with code 0', async () => {
    const mine = mark();
    await shell(`yes ${mine} | head -1`).ended;
    const { body, attributes } = await recordOf('the writer', ({ resource }) => ranWith(resource, 'yes', mine));
    expect(attributes).not.toHaveProperty(['whodunit.reader.pid']);
    expect(body).toMatch(/^yes .* was terminated by SIGPIPE [^;]*\.$/);
  });
});

describe('terminal multiplexers close the terminals of their windows', () => {
  it.each([
    [
      'tmux',
      (name: string, what: string) =>
        `tmux -L ${name} -f /dev/null new-session -d '${what}'; read _; tmux -L ${name} kill-server`,
    ],
    ['screen', (name: string, what: string) => `screen -dmS ${name} ${what}; read _; screen -S ${name} -X quit`],
  ])('%s', async (program, script) => {
    const duration = mark();
    const user = shell(script(`whodunit-${process.pid}`, `sleep ${duration}`));
    await until(`sleep ${duration}`, WITHIN_MS, () => pidOf(duration), user.output);
    user.child.stdin?.end('\n');
    const { body } = await ofSleep(duration);
    expect(body).toMatch(
      new RegExp(`was terminated by SIGHUP .*: its terminal was closed by ${program} \\(pid \\d+, root\\)`),
    );
  });
});

/** The process that sleeps for this duration. undefined: none does. */
function pidOf(duration: string): number | undefined {
  const pid = readdirSync('/proc').find((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'utf8') === `sleep\0${duration}\0`;
    } catch {
      return false; // it has terminated
    }
  });
  return pid === undefined ? undefined : Number(pid);
}
