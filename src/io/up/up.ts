// SPDX-License-Identifier: Apache-2.0
// `whodunit up`, and `npm start` once it has built: keeps loader and service running until Ctrl-C. If it is killed, both end, and the pinned
// probes keep recording: the next start continues. parts.ts starts the two, supervise.ts keeps them running.
import { spawnSync } from 'node:child_process';
import { lchownSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type HealthAddress, healthUrl } from '../../config/health-address.ts';
import { KNOBS } from '../../config/knobs.ts';
import type { UpSettings } from '../../config/read.ts';
import { FatalError } from '../../core/errors.ts';
import { requireFree } from '../health.ts';
import { portOwner } from '../port-owner.ts';
import { Children, stopRequested } from './children.ts';
import { superviseLoader, superviseService } from './parts.ts';
import { againAsRoot, isRoot, serviceUser, type User } from './privileges.ts';
import { noLoader, type Programs, programsOf } from './programs.ts';
import type { Supervised } from './supervise.ts';

/** The service of a killed `whodunit up` ends within its shutdown timeout. */
const PORT_FREE_WITHIN_MS = 10_000;
/** Its loader ends at once. */
const SOCKET_FREE_WITHIN_MS = 3_000;
const POLL_MS = 200;
/** The group may read the history. */
const STATE_DIR_MODE = 0o750;
/** The service of a closed terminal ends because it cannot write; the request to stop is at most so far behind. */
const STOP_FOLLOWS_MS = 1_000;

/** Returns the exit code. */
export async function up(settings: UpSettings): Promise<number> {
  const { socketPath: socket, pinDir, endOfInput, serviceArgs } = settings;
  const { loader, ...rest } = programsOf(process.argv[1] ?? '');
  if (loader === null) throw new FatalError('UP_FAILED', noLoader());
  const programs = { ...rest, loader };
  if (!isRoot()) return againAsRoot(programs.service, ['up', '--until-eof', ...serviceArgs]);

  const stop = stopRequested({ endOfInput });
  const children = new Children();
  let requested = false;
  try {
    const over = runBoth(settings, programs, children).catch((why) => followed(why, stop));
    requested = (await Promise.race([stop, over])) !== undefined;
  } finally {
    const ends = await children.stopAll();
    if (ends.length > 0)
      console.error(`whodunit has stopped (${ends.map(({ name, why }) => `${name}: ${why}`).join(', ')}).`);
    // After a failure, the pinned probes keep recording for the next start.
    if (requested && ends.length > 0) {
      const { stdout, stderr } = spawnSync(loader, ['unload', '--pin-dir', pinDir], { encoding: 'utf8' });
      console.error(`${stdout}${stderr}`.trimEnd());
      rmSync(socket, { force: true }); // the loader can remove nothing once it serves
    }
  }
  return 0;
}

/** Throws the failure, unless a request to stop follows: the terminal was closed. */
async function followed(failure: unknown, stop: Promise<string>): Promise<string> {
  const request = await Promise.race([stop, sleep(STOP_FOLLOWS_MS)]);
  if (request === undefined) throw failure;
  return request;
}

/** Starts loader and service, and keeps them running. Rejects with a FatalError when one of them is not started again. */
async function runBoth(settings: UpSettings, programs: Programs, children: Children): Promise<void> {
  const { socketPath: socket, pinDir, health, serviceArgs } = settings;
  await requireAlone(socket);
  const user = serviceUser([programs.node, programs.service]);
  if (health !== null) await requireFreePort(health, programs.service);
  prepareStateDir(settings, user);
  const root = dirname(dirname(programs.service));
  const hint = `No other user can read ${root}: make it readable or move it to run the service as another user.`;
  console.error(`The service runs as ${user.name}, without privileges.${user.uid === 0 ? ` ${hint}` : ''}`);
  const parts: Supervised[] = [];
  parts.push(await superviseLoader(children, programs, { socket, pinDir, user, unloadOnExit: false }));
  parts.push(await superviseService(children, programs, { args: serviceArgs, user, env: {}, socket }));
  const where = health === null ? 'off' : healthUrl(health, '/readyz');
  console.error(`whodunit is running. Health: ${where}. Press Ctrl-C to stop.`);
  await Promise.race(parts.map(({ over }) => over));
}

/** Throws a FatalError if a loader goes on serving the socket. */
async function requireAlone(socket: string): Promise<void> {
  const end = performance.now() + SOCKET_FREE_WITHIN_MS;
  while (await isServed(socket)) {
    if (performance.now() > end)
      throw new FatalError(
        'ALREADY_RUNS',
        `whodunit already runs on this machine, and \`whodunit list\` shows what it reported: stop it first (Ctrl-C where it runs, or \`systemctl stop whodunit whodunit-loader\`), or set WHODUNIT_SOCKET (${socket} is its own), WHODUNIT_PIN_DIR, WHODUNIT_STATE_DIR and WHODUNIT_HEALTH_ADDR to others for a second one.`,
      );
    await sleep(POLL_MS);
  }
}

function isServed(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = createConnection(socket);
    connection.once('connect', () => resolve(true)).once('error', () => resolve(false));
    connection.once('connect', () => connection.destroy());
  });
}

/** Throws a FatalError that names the owner if the health port is taken. The service could not name the process of another user. */
async function requireFreePort(address: HealthAddress, service: string): Promise<void> {
  const end = performance.now() + PORT_FREE_WITHIN_MS;
  for (;;) {
    try {
      return await requireFree(address);
    } catch (error) {
      if (performance.now() > end || !runsScript(portOwner(address.port)?.pid ?? null, service)) throw error;
    }
    await sleep(POLL_MS);
  }
}

function runsScript(pid: number | null, script: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(script);
  } catch {
    return false;
  }
}

/** Returns false if it existed. */
function makeDirectory(path: string): boolean {
  try {
    return mkdirSync(path, { recursive: true, mode: STATE_DIR_MODE }) !== undefined;
  } catch {
    // For a read-only file system, the recursive form throws ENOENT.
    mkdirSync(path, { mode: STATE_DIR_MODE });
    return true;
  }
}

/**
 * Creates the directory of queue and history and makes the service's user its owner; the service may have run as another user before. An existing
 * directory that the user configured is not changed.
 */
function prepareStateDir({ stateDir, logs, history }: UpSettings, { uid, gid }: User): void {
  if (logs === null && history === null) return;
  try {
    if (!makeDirectory(stateDir) && stateDir !== KNOBS.WHODUNIT_STATE_DIR.fallback) return;
    const names = readdirSync(stateDir, { recursive: true, encoding: 'utf8' });
    for (const path of [stateDir, ...names.map((name) => join(stateDir, name))]) lchownSync(path, uid, gid);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new FatalError(
      'STATE_DIR_UNUSABLE',
      `Queue and history cannot be kept in ${stateDir} (${code}): set WHODUNIT_STATE_DIR to a directory that can be written to.`,
    );
  }
}
