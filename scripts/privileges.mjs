// Who may load eBPF programs: root. Everything else here prefers to be somebody else.
//
// SPDX-License-Identifier: Apache-2.0

import { spawn, spawnSync } from 'node:child_process';
import { Failure } from './steps.mjs';

/** Said to the one behind sudo: everything is built, and the end of the input means stop. */
export const BEHIND_SUDO = '--behind-sudo';

export const isRoot = () => process.getuid() === 0;

/** The person behind sudo: the service runs as that user. Undefined: root itself was at the keyboard. */
export function invokingUser() {
  const uid = Number(process.env.SUDO_UID);
  const gid = Number(process.env.SUDO_GID);
  return uid > 0 && gid > 0 ? { uid, gid } : undefined;
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
