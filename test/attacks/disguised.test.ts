// SPDX-License-Identifier: Apache-2.0
// Processes that look like others: a forged signal code, a name of their choice, a root or mounts of their own, an executable that no path
// leads to. And processes that look a little like them, but are innocent: containers, hardened services, privilege separation.
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { LogRecord } from '../../scripts/stack/otlp-file.ts';
import { ATTACKER, type Program, startProgram, temporaryDirectory, until } from '../../scripts/stack/program.ts';
import { watched } from '../support/watched.ts';
import { ALICE, awaitFirstLine, MALLORY, startAs } from './attacker.ts';

const REPORTED_WITHIN_MS = 60_000;
const both = watched({ WHODUNIT_RECORDS_PER_MINUTE: '1000', OTEL_LOGS_EXPORTER: 'otlp,console' });

/** The record of the process whose last argument is `mark`, or whose pid it is. */
function reported(mark: string | number): Promise<LogRecord> {
  const isAbout = ({ resource }: LogRecord): boolean => {
    const args = resource['process.command_args'];
    return resource['process.pid'] === mark || (Array.isArray(args) && args.at(-1) === mark);
  };
  return until(
    `the record of ${mark}`,
    REPORTED_WITHIN_MS,
    () => both.collector.logs().find(isAbout),
    () => `${both.whodunit.loader.output()}${both.whodunit.service.output()}`,
  );
}

/** Runs `sender`, which sends SIGTERM to a process of `uid`, and returns the record of that process. */
async function killedBy(uid: number, sender: (victim: number) => Program): Promise<LogRecord> {
  const victim = await awaitFirstLine(startAs(uid, ATTACKER, ['wait']));
  const program = await awaitFirstLine(sender(victim.pid));
  await victim.ended;
  program.child.stdin?.end();
  await program.ended;
  return reported(victim.pid);
}

let marks = 0;
/** Runs a command as a user, with a last argument that no other process has, and returns the record of the process that had it. */
async function recordOf(uid: number, command: readonly string[]): Promise<LogRecord> {
  const [program = '', ...args] = command;
  marks += 1;
  const mark = `mark-${process.pid}-${marks}`;
  const running = uid === 0 ? startProgram(program, [...args, mark]) : startAs(uid, program, [...args, mark]);
  running.child.stdin?.end();
  await running.ended;
  return reported(mark).catch((error: Error) => {
    throw new Error(`${error.message}\n${running.output()}`);
  });
}

/** A directory that every user may read, with a copy of the attacker at each of these paths. */
function directoryWith(...paths: readonly string[]): string {
  const { path } = temporaryDirectory();
  chmodSync(path, 0o777);
  for (const copy of paths) {
    mkdirSync(dirname(join(path, copy)), { recursive: true });
    copyFileSync(ATTACKER, join(path, copy));
  }
  return path;
}

const script = (text: string, ...args: readonly string[]) => ['sh', '-ec', `${text} "$@"`, 'sh', ...args];
const evidenceOf = ({ attributes }: LogRecord): string => String(attributes['whodunit.evidence']);
const SSH = '/usr/bin/ssh';

describe('a process that calls itself systemd', () => {
  it.each([-1, -2, -3, -4, -5, -7, -60, -2_147_483_648])(
    'is described by its executable and users, whatever code it forges (%i)',
    async (code) => {
      const record = await killedBy(MALLORY, (pid) =>
        startAs(MALLORY, ATTACKER, ['queue', 'systemd', String(code), String(pid)]),
      );
      expect(record.attributes).toMatchObject({
        'whodunit.cause': 'killed',
        'whodunit.sender.executable.name': 'attacker',
        'whodunit.sender.executable.path': ATTACKER,
        'whodunit.sender.command_line': expect.stringContaining('queue systemd'),
        'whodunit.sender.user.id': MALLORY,
        'whodunit.sender.real_user.id': MALLORY,
      });
      expect(record.body).toContain(' sent by attacker (pid ');
      expect(evidenceOf(record)).toContain('by attacker (pid ');
      expect(`${record.body}${evidenceOf(record)}`).not.toContain('by systemd');
    },
  );
});

describe('a process that calls itself systemd, and 4,000 other senders before its victim ends', () => {
  const SENDERS = 4000; // more than the probes know at once

  it('is described by its executable: the victim keeps the description', async () => {
    const attacker = await awaitFirstLine(startAs(MALLORY, ATTACKER, ['undescribed', String(SENDERS)]));
    const record = await reported(Number(attacker.stdout()));
    expect(record.attributes).toMatchObject({
      'whodunit.cause': 'killed',
      'whodunit.sender.user.id': MALLORY,
      'whodunit.sender.executable.path': ATTACKER,
      'whodunit.sender.command_line': expect.stringContaining('undescribed'),
    });
    expect(record.body).not.toContain('executable not known');
  });
});

describe('a process that runs as another user', () => {
  it('is reported with its real and its effective user, as a sender', async () => {
    const record = await killedBy(ALICE, (pid) =>
      startProgram(ATTACKER, ['asUsers', String(MALLORY), '0', 'send', String(pid)]),
    );
    expect(record.attributes).toMatchObject({
      'whodunit.sender.user.id': 0,
      'whodunit.sender.real_user.id': MALLORY,
    });
    expect(record.resource).toMatchObject({ 'process.user.id': ALICE, 'process.real_user.id': ALICE });
  });

  it('is reported with both, as a victim', async () => {
    const { resource } = await recordOf(0, [ATTACKER, 'asUsers', String(MALLORY), '0', 'exit', '3']);
    expect(resource).toMatchObject({ 'process.user.id': 0, 'process.real_user.id': MALLORY });
  });

  it('is reported with the user who logged in, where the kernel keeps it', async () => {
    const kept = existsSync('/proc/self/loginuid');
    const login = kept ? `echo ${ALICE} >/proc/self/loginuid; exec` : 'exec';
    const sender = await killedBy(MALLORY, (pid) => {
      const [program = '', ...args] = script(login, 'setpriv', `--reuid=${MALLORY}`, ATTACKER, 'send', String(pid));
      return startProgram(program, args);
    });
    const victim = await recordOf(0, script(login, 'setpriv', `--reuid=${MALLORY}`, ATTACKER, 'exit', '3'));
    const expected = kept ? ALICE : undefined;
    expect(sender.attributes['whodunit.sender.login_user.id']).toBe(expected);
    expect(victim.resource['whodunit.process.login_user.id']).toBe(expected);
    expect([sender.attributes['whodunit.sender.user.id'], victim.resource['process.user.id']]).toEqual([
      MALLORY,
      MALLORY,
    ]);
  });

  it('has no login user if no one logged in', async () => {
    const inherited = existsSync('/proc/self/loginuid') ? readFileSync('/proc/self/loginuid', 'utf8') : '4294967295';
    const { resource } = await recordOf(MALLORY, [ATTACKER, 'exit', '3']);
    expect(resource['whodunit.process.login_user.id']).toBe(inherited === '4294967295' ? undefined : Number(inherited));
  });
});

describe('a foreign root', () => {
  const own = ['unshare', '--user', '--map-root-user', '--mount'];
  const mountOver = (...next: readonly string[]) => script(`mount --bind "$1" ${SSH}; shift; exec`, ATTACKER, ...next);

  it.each([
    ['a program mounted over ssh in a user namespace', [...own, ...mountOver(SSH, 'exit', '3')]],
    [
      'the same in a user namespace within another',
      [...own, ...mountOver('unshare', '--user', '--map-root-user', SSH, 'exit', '3')],
    ],
  ])('is marked: %s', async (_, command) => {
    const record = await recordOf(MALLORY, command);
    expect(record.resource['process.executable.path']).toBe(SSH);
    expect(record.attributes['whodunit.process.foreign_root']).toBe('mount_namespace');
    expect(record.body).toContain(', in a foreign root)');
    expect(evidenceOf(record)).toContain(
      'its executable is mounted in a namespace that an unprivileged user can arrange',
    );
  });

  // To the kernel this is a container that a user started without root.
  it('is called a container of a user in a pid namespace of its own', async () => {
    const record = await recordOf(MALLORY, [...own, '--pid', '--fork', ...mountOver(SSH, 'exit', '3')]);
    expect(record.resource['process.executable.path']).toBe(SSH);
    expect(record.attributes['whodunit.process.foreign_root']).toBeUndefined();
    expect(evidenceOf(record)).toContain('its executable lies in a container that an unprivileged user started');
  });

  it('is marked if another process executes the program through the namespace of the first', async () => {
    const [program = '', ...args] = [...own, ...mountOver(SSH, 'wait')];
    const owner = await awaitFirstLine(startAs(MALLORY, program, args));
    const record = await recordOf(MALLORY, [`/proc/${owner.pid}/root${SSH}`, 'exit', '3']);
    await owner.stop();
    expect(record.resource['process.executable.path']).toBe(SSH);
    expect(record.attributes['whodunit.process.foreign_root']).toBe('mount_namespace');
  });

  it('is marked if its file system is no longer mounted', async () => {
    // The program ends when it reads a line, which comes after the unmounting.
    const steps = [
      'mkfifo "$1/in"; exec 3<>"$1/in"',
      'mount -t tmpfs none "$1"; mkdir -p "$1/usr/bin"; cp "$2" "$1/usr/bin/ssh"',
      '"$1/usr/bin/ssh" exit 3 "$3" <&3 & until readlink /proc/$!/exe | grep -q /usr/bin/ssh; do sleep 0.01; done',
      'umount -l "$1"; echo >&3; wait $! || true',
    ];
    const command = [...own, 'sh', '-ec', steps.join('\n'), 'sh', directoryWith(), ATTACKER];
    const record = await recordOf(MALLORY, command);
    expect(record.resource['process.executable.path']).toBe(SSH);
    expect(record.attributes['whodunit.process.foreign_root']).toBe('unmounted');
  });

  it.each([
    ['by an unprivileged user, in a user namespace', MALLORY, ['unshare', '--user', '--map-root-user']],
    ['by root', 0, []],
  ])('is marked if chroot(2) set it: %s', async (_, uid, before) => {
    const record = await recordOf(uid, [...before, 'chroot', directoryWith(SSH), SSH, 'exit', '3']);
    expect(record.resource['process.executable.path']).toBe(SSH);
    expect(record.attributes['whodunit.process.foreign_root']).toBe('chroot');
    expect(evidenceOf(record)).toContain('its executable lies in a root that chroot(2) set');
  });

  it('is marked for the sender, too', async () => {
    const record = await killedBy(MALLORY, (pid) => {
      const [program = '', ...args] = [...own, ...mountOver(SSH, 'send', String(pid))];
      return startAs(MALLORY, program, args);
    });
    expect(record.attributes).toMatchObject({
      'whodunit.sender.executable.path': SSH,
      'whodunit.sender.foreign_root': 'mount_namespace',
    });
    expect(record.attributes['whodunit.process.foreign_root']).toBeUndefined();
    expect(evidenceOf(record)).toContain("the sender's executable is mounted in a namespace");
  });
});

describe('an executable that no path leads to', () => {
  it('is marked if it was deleted', async () => {
    const directory = directoryWith('ssh');
    const program = await awaitFirstLine(startAs(MALLORY, join(directory, 'ssh'), ['exit', '3']));
    rmSync(join(directory, 'ssh'));
    program.child.stdin?.end();
    await program.ended;
    const record = await reported(program.pid);
    expect(record.attributes['whodunit.process.executable.state']).toBe('deleted');
    expect(evidenceOf(record)).toContain('its executable was deleted or replaced');
  });

  it('is marked if it is in memory only, for victim and sender', async () => {
    const victim = await recordOf(MALLORY, [ATTACKER, 'inMemory', 'ssh', 'exit', '3']);
    expect(victim.resource['process.executable.path']).toBe('/memfd:ssh');
    expect(victim.attributes['whodunit.process.executable.state']).toBe('memfd');
    const killed = await killedBy(MALLORY, (pid) =>
      startAs(MALLORY, ATTACKER, ['inMemory', '\n\u001b[2J\u202esystemd', 'send', String(pid)]),
    );
    expect(killed.attributes['whodunit.sender.executable.state']).toBe('memfd');
    expect(evidenceOf(killed)).toContain("the sender's executable is in memory only");
    for (const text of [String(killed.body), evidenceOf(killed)]) {
      expect(text).toContain('\\u000a\\u001b[2J\\u202esystemd');
      expect(text).not.toMatch(/[\n\u001b\u202e]/);
    }
    const printed = () => both.whodunit.service.stdout().includes('\\u001b[2J\\u202esystemd') || undefined;
    await until('the name on the console, escaped', REPORTED_WITHIN_MS, printed, both.whodunit.service.output);
    expect(both.whodunit.service.output()).not.toMatch(/\u001b\[2J|\u202e/);
  });
});

describe('a path too long for the record', () => {
  // Cut between "tmp" and "usr", so that what is left looks like a path of the machine.
  const long = ['usr', 'bin', 'x'.repeat(247), 'y'.repeat(254), 'z'.repeat(254), 'ssh'].join('/');

  it('is marked as cut, for victim and sender', async () => {
    const program = join(directoryWith(long), long);
    const victim = await recordOf(MALLORY, [program, 'exit', '3']);
    expect(victim.resource['process.executable.path']).toBe(`…/${long}`);
    const killed = await killedBy(MALLORY, (pid) => startAs(MALLORY, program, ['send', String(pid)]));
    expect(killed.attributes['whodunit.sender.executable.path']).toBe(`…/${long}`);
  });
});

describe('is not marked:', () => {
  const unmarked = ({ attributes }: LogRecord) => {
    expect(attributes['whodunit.process.foreign_root']).toBeUndefined();
    expect(attributes['whodunit.process.executable.state']).toBeUndefined();
  };

  it('an ordinary program, killed by another', async () => {
    const record = await killedBy(MALLORY, (pid) => startAs(MALLORY, ATTACKER, ['send', String(pid)]));
    unmarked(record);
    expect(Object.keys(record.attributes).filter((key) => /foreign_root|state/.test(key))).toEqual([]);
  });

  it('a hardened service: a mount namespace by root, with its own /tmp and a read-only /usr', async () => {
    const harden = 'mount -t tmpfs none /tmp; mount --bind /usr /usr; mount -o remount,bind,ro /usr; exec';
    unmarked(await recordOf(0, ['unshare', '--mount', ...script(harden, ATTACKER, 'exit', '3')]));
  });

  it('a hardened service that then enters a user namespace (PrivateUsers=)', async () => {
    const command = ['unshare', '--mount', 'unshare', '--user', '--map-root-user', ATTACKER, 'exit', '3'];
    unmarked(await recordOf(0, command));
  });

  it('a program in a root that pivot_root(2) set', async () => {
    const directory = directoryWith();
    const pivot = [
      'mount -t tmpfs none "$1"; mkdir -p "$1/old" "$1/usr/bin"; cp "$2" "$1/usr/bin/ssh"; cd "$1"; shift 2',
      'pivot_root . old; exec',
    ].join('; ');
    const record = await recordOf(0, ['unshare', '--mount', ...script(pivot, directory, ATTACKER, SSH, 'exit', '3')]);
    expect(record.resource['process.executable.path']).toBe(SSH);
    unmarked(record);
  });

  it('a program that was executed before it changed its root, as sshd does', async () => {
    const directory = directoryWith();
    const program = await awaitFirstLine(startProgram(ATTACKER, ['privsep', directory]));
    program.child.stdin?.end();
    await program.ended;
    const record = await reported(program.pid);
    expect(record.resource['process.executable.path']).toBe(ATTACKER);
    unmarked(record);
  });
});
