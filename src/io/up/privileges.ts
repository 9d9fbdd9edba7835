// SPDX-License-Identifier: Apache-2.0
// Privileges: only root may load BPF programs. The service and everything else run as another user where possible.
import { spawn, spawnSync } from 'node:child_process';
import { FatalError } from '../../core/errors.ts';

export const isRoot = (): boolean => process.getuid?.() === 0;

/** The preferred user, if it exists. */
const SERVICE_USER = 'whodunit';
/** Runs the service as root where no other user can read its files: without capabilities, and unable to gain any. */
export const WITHOUT_CAPABILITIES = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs', '--'];

export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Returns the user to run the service as: the first of SERVICE_USER, the user who called sudo and `nobody` that can read `files`. If
 * none can (a checkout in /root), returns root; the service must then be started WITHOUT_CAPABILITIES.
 */
export function serviceUser(files: readonly string[]): User {
  const behindSudo = Number(process.env.SUDO_UID) > 0 ? process.env.SUDO_UID : undefined;
  for (const name of [SERVICE_USER, behindSudo, 'nobody']) {
    const user = name === undefined ? undefined : userNamed(name);
    if (user !== undefined && user.uid > 0 && canRead(user, files)) return user;
  }
  return { name: 'root', uid: 0, gid: 0 };
}

/** Looks up a user by name or number. */
function userNamed(name: string): User | undefined {
  const id = (what: string) => spawnSync('id', [what, name], { encoding: 'utf8' });
  const uid = id('-u');
  if (uid.status !== 0) return undefined;
  return { name: id('-un').stdout.trim(), uid: Number(uid.stdout), gid: Number(id('-g').stdout) };
}

function canRead({ uid, gid }: User, files: readonly string[]): boolean {
  return files.every((file) => spawnSync('test', ['-r', file], { uid, gid }).status === 0);
}

/** Runs the same script again as root and returns its exit code. OTEL_* and WHODUNIT_* variables are preserved. */
export async function againAsRoot(script: string, args: readonly string[]): Promise<number> {
  if (spawnSync('sudo', ['--version']).error !== undefined) {
    throw new FatalError(
      'NOT_ROOT',
      'The loader needs root to load BPF programs, and sudo is not installed. Run this as root.',
    );
  }
  console.error('The loader needs root to load BPF programs: continuing with sudo, which may ask for your password.');
  const kept = Object.keys(process.env).filter((name) => /^(OTEL|WHODUNIT)_/.test(name));
  const keep = kept.length === 0 ? [] : [`--preserve-env=${kept.join(',')}`];
  // Only root may signal a process that runs under sudo, so closing its input is the request to stop. sudo prompts on the terminal.
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
