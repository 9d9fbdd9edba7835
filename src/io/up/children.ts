// SPDX-License-Identifier: Apache-2.0
// Starts long-running programs and stops them in reverse order, so that none outlives the command, not even one that is killed. parts.ts
// starts loader and service, supervise.ts keeps them running.
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { FatalError } from '../../core/errors.ts';

const STOP_WITHIN_MS = 10_000;
const PARENT_POLL_MS = 500;
/** The kernel sends SIGTERM to the program when this process has ended, however it ended. */
const ENDS_WITH_US = ['setpriv', '--pdeathsig=TERM', '--'] as const;

export interface Ending {
  readonly code: number | null;
  /** The signal, the exit code, or the error if it could not be started. */
  readonly why: string;
}

export interface Running {
  readonly name: string;
  readonly child: ChildProcess;
  readonly alive: () => boolean;
  /** Never rejects. */
  readonly ended: Promise<Ending>;
}

export interface ProgramOptions extends SpawnOptions {
  /** The ended program that it replaces in the order of stopAll(). */
  readonly previous?: Running | undefined;
}

/** The programs of one command. */
export class Children {
  /** In order. */
  readonly #started: Running[] = [];
  readonly #stopping = new AbortController();

  /** Aborted when the command stops. From then on, start() throws. */
  get stopSignal(): AbortSignal {
    return this.#stopping.signal;
  }

  /** Starts a program in a new session: Ctrl-C reaches only this process, which then stops the programs in order. */
  start(
    name: string,
    program: string,
    args: readonly string[],
    { previous, ...options }: ProgramOptions = {},
  ): Running {
    if (this.stopSignal.aborted) throw new FatalError('UP_FAILED', `${name} is not started: the command is stopping.`);
    const [first, ...rest] = [...ENDS_WITH_US, program, ...args];
    const child = spawn(first, rest, { detached: true, ...options });
    let alive = true;
    const ended = new Promise<Ending>((resolve) => {
      const end = (how: Ending) => {
        alive = false;
        resolve(how);
      };
      child.on('error', (error) => end({ code: null, why: error.message }));
      child.on('exit', (code, signal) => end({ code, why: signal ?? `code ${code}` }));
    });
    const running = { name, child, alive: () => alive, ended };
    const place = previous === undefined ? -1 : this.#started.indexOf(previous);
    this.#started.splice(place === -1 ? this.#started.length : place, place === -1 ? 0 : 1, running);
    return running;
  }

  /** Stops all programs, the last started first. Returns how each ended. Later calls of start() throw. */
  async stopAll(): Promise<({ readonly name: string } & Ending)[]> {
    this.#stopping.abort();
    const ends = [];
    for (const running of [...this.#started].reverse()) ends.push({ name: running.name, ...(await stop(running)) });
    return ends;
  }
}

/** Sends SIGTERM, then SIGKILL after STOP_WITHIN_MS. */
async function stop(running: Running): Promise<Ending> {
  if (running.alive()) running.child.kill('SIGTERM');
  const timer = setTimeout(() => running.child.kill('SIGKILL'), STOP_WITHIN_MS);
  const how = await running.ended;
  clearTimeout(timer);
  return how;
}

/**
 * Resolves when this process receives a stop signal, when npm, which started it, has been killed, or, if `endOfInput`, at the end of its
 * standard input.
 */
export function stopRequested({ endOfInput }: { readonly endOfInput: boolean }): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve(signal));
    const { ppid } = process;
    // Without npm, the parent is a shell, which may end before a program in the background.
    if (process.env.npm_lifecycle_event !== undefined && !endOfInput)
      setInterval(() => process.ppid !== ppid && resolve('the end of npm'), PARENT_POLL_MS).unref();
    if (!endOfInput) return;
    process.stdin.on('end', () => resolve('end of input')).resume();
    process.stdin.unref(); // an open standard input must not keep this process running
  });
}
