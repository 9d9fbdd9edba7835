// SPDX-License-Identifier: Apache-2.0
// Only root may load BPF programs. Everything else here runs as another user where it can, the service above all.
import { spawn, spawnSync } from 'node:child_process';
import { Failure } from './command.ts';

/** The flag of a command that runs itself again with sudo: everything is built, and the end of its input asks it to stop. */
export const BEHIND_SUDO = '--behind-sudo';

export const isRoot = (): boolean => process.getuid?.() === 0;

/** A user of this name, where the machine has one, is preferred. */
const SERVICE_USER = 'whodunit';
/** How root runs the service where no other user can read it: without capabilities, and unable to gain any. */
export const WITHOUT_CAPABILITIES = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs', '--'];

export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * The user that the service runs as: its own, else the one who called sudo, else nobody; the first of these who can read `files`. If
 * none can (a checkout in /root), it is root, and the service has to be started WITHOUT_CAPABILITIES.
 */
export function serviceUser(files: readonly string[]): User {
  const behindSudo = Number(process.env.SUDO_UID) > 0 ? process.env.SUDO_UID : undefined;
  for (const name of [SERVICE_USER, behindSudo, 'nobody']) {
    const user = name === undefined ? undefined : userNamed(name);
    if (user !== undefined && user.uid > 0 && canRead(user, files)) return user;
  }
  return { name: 'root', uid: 0, gid: 0 };
}

/** By name or number; undefined if there is none. */
function userNamed(name: string): User | undefined {
  const id = (what: string) => spawnSync('id', [what, name], { encoding: 'utf8' });
  const uid = id('-u');
  if (uid.status !== 0) return undefined;
  return { name: id('-un').stdout.trim(), uid: Number(uid.stdout), gid: Number(id('-g').stdout) };
}

function canRead({ uid, gid }: User, files: readonly string[]): boolean {
  return files.every((file) => spawnSync('test', ['-r', file], { uid, gid }).status === 0);
}

/** Runs the same script again as root and gives its exit code. The configuration in the environment goes with it. */
export async function againAsRoot(script: string, args: readonly string[]): Promise<number> {
  if (spawnSync('sudo', ['--version']).error !== undefined) {
    throw new Failure('The loader needs root to load BPF programs, and sudo is not installed. Run this as root.');
  }
  console.error('The loader needs root to load BPF programs: continuing with sudo, which may ask for your password.');
  const kept = Object.keys(process.env).filter((name) => /^(OTEL|WHODUNIT)_/.test(name));
  const keep = kept.length === 0 ? [] : [`--preserve-env=${kept.join(',')}`];
  // Only root may signal a process behind sudo, so the end of its input asks it to stop. sudo itself asks on the terminal.
  const child = spawn('sudo', [...keep, process.execPath, script, ...args], { stdio: ['pipe', 'inherit', 'inherit'] });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.stdin.end());
  return new Promise((resolve) => {
    child.on('error', (error) => {
      console.error(`sudo: ${error.message}`);
      resolve(1);
    });
    child.on('exit', (code) => resolve(code ?? 1));
  });
}
