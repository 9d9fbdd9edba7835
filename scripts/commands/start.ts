// SPDX-License-Identifier: Apache-2.0
// `npm start`: builds loader and service and keeps them running until Ctrl-C. Arguments after `--` are passed to the service:
// `npm start -- --output json`. If it is killed, both end, and the pinned probes keep recording: the next start continues.
import { lchownSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { read } from '../../src/config/env.ts';
import { type HealthAddress, healthUrl } from '../../src/config/health-address.ts';
import { KNOBS } from '../../src/config/knobs.ts';
import { FatalError } from '../../src/core/errors.ts';
import { requireFree } from '../../src/io/health.ts';
import { portOwner } from '../../src/io/port-owner.ts';
import { stopAll, stopRequested } from '../base/children.ts';
import { command, Failure } from '../base/command.ts';
import { superviseLoader, superviseService } from '../base/parts.ts';
import { againAsRoot, BEHIND_SUDO, isRoot, serviceUser, type User } from '../base/privileges.ts';
import { run } from '../base/run.ts';
import type { Supervised } from '../base/supervise.ts';
import { build } from '../build/programs.ts';
import { LOADER, NODE, ROOT, SERVICE } from '../paths.ts';

const READABLE_BY_ROOT_ONLY = `No other user can read ${ROOT}: make it readable or move it to run the service as another user.`;
/** The service of a killed `npm start` ends within its shutdown timeout. */
const PORT_FREE_WITHIN_MS = 10_000;
const PORT_POLL_MS = 200;
/** The service of a closed terminal ends because it cannot write; the request to stop is at most so far behind. */
const STOP_FOLLOWS_MS = 1_000;

await command(async () => {
  const args = process.argv.slice(2);
  const behindSudo = args[0] === BEHIND_SUDO;
  if (behindSudo) args.shift();
  const settings = readSettings();
  if (!behindSudo) await build();
  if (!isRoot()) return againAsRoot(import.meta.filename, [BEHIND_SUDO, ...args]);

  const stop = stopRequested({ endOfInput: behindSudo });
  let requested = false;
  try {
    requested = (await Promise.race([stop, runBoth(settings, args).catch((why) => followed(why, stop))])) !== undefined;
  } finally {
    const ends = await stopAll();
    console.error(`whodunit has stopped (${ends.map(({ name, why }) => `${name}: ${why}`).join(', ')}).`);
    // After a failure, the pinned probes keep recording for the next start.
    if (requested && ends.length > 0) {
      console.error((await run(LOADER, ['unload', '--pin-dir', settings.pinDir])).trimEnd());
      rmSync(settings.socket, { force: true }); // the loader can remove nothing once it serves
    }
  }
  return 0;
});

/** Throws the failure, unless a request to stop follows: the terminal was closed. */
async function followed(failure: unknown, stop: Promise<string>): Promise<string> {
  const request = await Promise.race([stop, sleep(STOP_FOLLOWS_MS)]);
  if (request === undefined) throw failure;
  return request;
}

/** The settings that it shares with the service. */
interface Settings {
  readonly socket: string;
  readonly pinDir: string;
  readonly stateDir: string;
  /** null: off. */
  readonly health: HealthAddress | null;
}

function readSettings(): Settings {
  try {
    const { env } = process;
    return {
      socket: read(env, 'WHODUNIT_SOCKET'),
      pinDir: read(env, 'WHODUNIT_PIN_DIR'),
      stateDir: read(env, 'WHODUNIT_STATE_DIR'),
      health: read(env, 'WHODUNIT_HEALTH_ADDR'),
    };
  } catch (error) {
    if (error instanceof FatalError) throw new Failure(error.message);
    throw error;
  }
}

/**
 * Creates the directory of queue and history and makes the service's user its owner; the service may have run as another user before. An existing
 * directory that the user configured is not changed.
 */
function prepareStateDir(directory: string, { uid, gid }: User): void {
  const made = mkdirSync(directory, { recursive: true, mode: 0o750 });
  if (made === undefined && directory !== KNOBS.WHODUNIT_STATE_DIR.fallback) return;
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  for (const path of [directory, ...names.map((name) => join(directory, name))]) lchownSync(path, uid, gid);
}

/** Throws a Failure that names the owner if the health port is taken. The service could not name the process of another user. */
async function requireFreePort(address: HealthAddress): Promise<void> {
  const end = performance.now() + PORT_FREE_WITHIN_MS;
  for (;;) {
    try {
      return await requireFree(address);
    } catch (error) {
      if (!(error instanceof FatalError)) throw error;
      if (performance.now() > end || !isOurService(portOwner(address.port)?.pid ?? null))
        throw new Failure(error.message);
    }
    await sleep(PORT_POLL_MS);
  }
}

function isOurService(pid: number | null): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(SERVICE);
  } catch {
    return false;
  }
}

/** Starts loader and service, and keeps them running. Rejects with a Failure when one of them is not started again. */
async function runBoth({ socket, pinDir, stateDir, health }: Settings, args: readonly string[]): Promise<void> {
  const user = serviceUser([NODE, SERVICE]);
  const hint = user.uid === 0 ? ` ${READABLE_BY_ROOT_ONLY}` : '';
  console.error(`The service runs as ${user.name}, without privileges.${hint}`);
  if (health !== null) await requireFreePort(health);
  const parts: Supervised[] = [];
  parts.push(await superviseLoader({ socket, pinDir, user, unloadOnExit: false }));
  prepareStateDir(stateDir, user);
  parts.push(await superviseService({ args, user, env: {}, socket }));
  const where = health === null ? 'off' : healthUrl(health, '/readyz');
  console.error(`whodunit is running. Health: ${where}. Press Ctrl-C to stop.`);
  await Promise.race(parts.map(({ over }) => over));
}
