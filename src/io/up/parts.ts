// SPDX-License-Identifier: Apache-2.0
// Loader and service as `whodunit up` and `npm run demo` run them. supervise.ts keeps them running.
import type { SpawnOptions } from 'node:child_process';
import { createConnection } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { FatalError } from '../../core/errors.ts';
import type { Children, Running } from './children.ts';
import { type User, WITHOUT_CAPABILITIES } from './privileges.ts';
import { type Programs, SERVICE_FLAGS } from './programs.ts';
import { type Part, type Supervised, supervise } from './supervise.ts';

const READY_WITHIN_MS = 30_000;
const READY_POLL_MS = 100;
const ANSWER_WITHIN_MS = 5_000;

export interface LoaderOptions {
  readonly socket: string;
  readonly pinDir: string;
  /** Who the service is. No other user but root can be the consumer. */
  readonly user: Pick<User, 'uid' | 'gid'>;
  /** Whether a stopped loader removes its pins, and with them what the service has not read. */
  readonly unloadOnExit: boolean;
}

/** Starts the loader, forwards its output, and waits until it serves the socket. */
export function superviseLoader(
  children: Children,
  { loader }: Programs,
  { socket, pinDir, user, unloadOnExit }: LoaderOptions,
): Promise<Supervised> {
  const access = ['--socket-group', `${user.gid}`, '--socket-user', `${user.uid}`];
  const args = ['run', '--socket', socket, '--pin-dir', pinDir, ...access];
  if (unloadOnExit) args.push('--unload-on-exit');
  const start: Part['start'] = (previous) =>
    children.start('the loader', loader, args, { stdio: ['ignore', 'inherit', 'pipe'], previous });
  return superviseUntilReady({ name: 'the loader', start, ready: readyLine }, children);
}

/** Resolves with true at the line with which the loader says that it is ready, and false if it ends before. Forwards all other lines. */
function readyLine({ child, ended }: Running): Promise<boolean> {
  const ready = new Promise<boolean>((resolve) => {
    if (child.stderr === null) return;
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (/\bready\b/.test(line)) resolve(true);
      else console.error(line);
    });
  });
  return Promise.race([ready, ended.then(() => false)]);
}

export interface ServiceOptions {
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly user: User;
  readonly socket: string;
  readonly stdio?: SpawnOptions['stdio'];
  /** Called with each instance. */
  readonly onStart?: (running: Running) => void;
}

/** Starts the service, and waits until it reads from the loader. */
export function superviseService(
  children: Children,
  { node, service: script }: Programs,
  options: ServiceOptions,
): Promise<Supervised> {
  const { args, env, user, socket, stdio = ['ignore', 'inherit', 'inherit'], onStart } = options;
  const { uid, gid } = user;
  const [program = node, ...before] = uid === 0 ? [...WITHOUT_CAPABILITIES, node] : [node];
  const line = [...before, ...SERVICE_FLAGS, script, 'run', ...args];
  const part: Part = {
    name: 'the service',
    start: (previous) => {
      const service = children.start('the service', program, line, {
        stdio,
        env: { ...process.env, ...env, WHODUNIT_SOCKET: socket },
        uid,
        gid,
        previous,
      });
      onStart?.(service);
      return service;
    },
    ready: async (service) => {
      while (service.alive() && !(await hasConsumer(socket))) await sleep(READY_POLL_MS);
      return service.alive();
    },
  };
  return superviseUntilReady(part, children);
}

/** Asks the loader whether a service reads from it. /readyz cannot answer this: the endpoint may be off, or another program's. */
async function hasConsumer(socket: string): Promise<boolean> {
  const connection = createConnection(socket);
  connection.setTimeout(ANSWER_WITHIN_MS, () => connection.destroy());
  try {
    for await (const hello of createInterface({ input: connection }))
      return JSON.parse(hello).consumer_connected === true;
  } catch {
    // no loader serves the socket at the moment
  } finally {
    connection.destroy();
  }
  return false;
}

/** Throws a FatalError if the part ends for good, or is not ready in time. */
async function superviseUntilReady(part: Part, { stopSignal }: Children): Promise<Supervised> {
  const supervised = supervise(part, stopSignal);
  const late = sleep(READY_WITHIN_MS, 'late', { ref: false });
  if ((await Promise.race([supervised.ready, supervised.over, late])) === 'late')
    throw new FatalError(
      'UP_FAILED',
      `${part.name} was not ready within ${READY_WITHIN_MS / 1000} s, so whodunit stops.`,
    );
  return supervised;
}
