// Who may load eBPF programs: root. Everything else here prefers to be somebody else, the service above all.
//
// SPDX-License-Identifier: Apache-2.0

import { spawn, spawnSync } from 'node:child_process';
import { Failure } from './steps.mjs';

/** Said to the one behind sudo: everything is built, and the end of the input means stop. */
export const BEHIND_SUDO = '--behind-sudo';

export const isRoot = () => process.getuid() === 0;

/** A user of this name, where one was made for it, is preferred. */
const SERVICE_USER = 'whodunit';
/** How root runs the service where no other user can read it: without a single capability, and no way to get one. */
export const WITHOUT_CAPABILITIES = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs', '--'];

/**
 * Whom the service runs as, `{name, uid, gid}`: its own user, else the person behind sudo, else nobody; whoever of these can read
 * `files`. If none can (a checkout in /root), it is root, and the service has to be started with WITHOUT_CAPABILITIES.
 */
export function serviceUser(files) {
  const behindSudo = Number(process.env.SUDO_UID) > 0 ? process.env.SUDO_UID : undefined;
  for (const name of [SERVICE_USER, behindSudo, 'nobody']) {
    const user = name === undefined ? undefined : userNamed(name);
    if (user !== undefined && user.uid > 0 && canRead(user, files)) return user;
  }
  return { name: 'root', uid: 0, gid: 0 };
}

/** By name or number; undefined if there is none. */
function userNamed(name) {
  const [uid, gid, text] = ['-u', '-g', '-un'].map((what) => spawnSync('id', [what, name], { encoding: 'utf8' }));
  return uid.status === 0 ? { name: text.stdout.trim(), uid: Number(uid.stdout), gid: Number(gid.stdout) } : undefined;
}

function canRead({ uid, gid }, files) {
  return files.every((file) => spawnSync('test', ['-r', file], { uid, gid }).status === 0);
}

/** Runs the same script again as root and gives its exit code. The configuration in the environment goes with it. */
export async function againAsRoot(script, args) {
  if (spawnSync('sudo', ['--version']).error !== undefined) {
    throw new Failure('The loader needs root to load eBPF programs, and there is no sudo here. Run this as root.');
  }
  console.error('The loader needs root to load eBPF programs: going on with sudo, which may ask for your password.');
  const kept = Object.keys(process.env).filter((name) => /^(OTEL|WHODUNIT)_/.test(name));
  const keep = kept.length === 0 ? [] : [`--preserve-env=${kept.join(',')}`];
  // Nobody but root may signal the one behind sudo, so the end of its input tells it to stop. sudo asks on the terminal itself.
  const child = spawn('sudo', [...keep, process.execPath, script, ...args], { stdio: ['pipe', 'inherit', 'inherit'] });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.stdin.end());
  return new Promise((resolve) => {
    child.on('error', (error) => {
      console.error(`sudo: ${error.message}`);
      resolve(1);
    });
    child.on('exit', (code) => resolve(code ?? 1));
  });
}
