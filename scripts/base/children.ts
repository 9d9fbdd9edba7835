// SPDX-License-Identifier: Apache-2.0
// Starts long-running programs and stops them in reverse order, so that none outlives the command. Also starts loader and service for
// `npm start` and `npm run demo`.
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { LOADER, NODE, ROOT, SERVICE, SERVICE_FLAGS } from '../paths.ts';
import { Failure } from './command.ts';
import { type User, WITHOUT_CAPABILITIES } from './privileges.ts';

const READY_WITHIN_MS = 30_000;
const READY_POLL_MS = 100;
const STOP_WITHIN_MS = 10_000;

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

/** All started programs, in order. While `stopping`, startProgram() throws. */
const started: Running[] = [];
let stopping = false;

/** Starts a program in a new session: Ctrl-C reaches only this process, which then stops the programs in order. */
export function startProgram(
  name: string,
  program: string,
  args: readonly string[],
  options: SpawnOptions = {},
): Running {
  if (stopping) throw new Failure(`${name} is not started: the command is stopping.`);
  const child = spawn(program, args, { cwd: ROOT, detached: true, ...options });
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
  started.push(running);
  return running;
}

/** Stops all programs, the last started first. Returns how each ended. Later calls of startProgram() throw. */
export async function stopAll(): Promise<({ readonly name: string } & Ending)[]> {
  stopping = true;
  const ends = [];
  for (const running of [...started].reverse()) ends.push({ name: running.name, ...(await stop(running)) });
  return ends;
}

/** Sends SIGTERM, then SIGKILL after STOP_WITHIN_MS. */
async function stop(running: Running): Promise<Ending> {
  if (running.alive()) running.child.kill('SIGTERM');
  const timer = setTimeout(() => running.child.kill('SIGKILL'), STOP_WITHIN_MS);
  const how = await running.ended;
  clearTimeout(timer);
  return how;
}

/** Runs a script of the project until it exits or a stop is requested. Returns its exit code. */
export async function runScript(
  name: string,
  args: readonly string[],
  { endOfInput }: { readonly endOfInput: boolean },
): Promise<number> {
  const script = startProgram(name, NODE, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  await Promise.race([script.ended, stopRequested({ endOfInput })]);
  const [end] = await stopAll();
  return end?.code ?? 1;
}

interface LoaderOptions {
  readonly socket: string;
  readonly pinDir: string;
  readonly socketGroup: number;
}

/** Starts the loader, forwards its output, and waits until it serves the socket. */
export async function startLoader({ socket, pinDir, socketGroup }: LoaderOptions): Promise<Running> {
  const args = ['run', '--socket', socket, '--pin-dir', pinDir, '--unload-on-exit'];
  args.push('--socket-group', String(socketGroup));
  const loader = startProgram('the loader', LOADER, args, { stdio: ['ignore', 'inherit', 'pipe'] });
  const ready = readyLine(loader);
  const timeout = new Promise<'late'>((resolve) => setTimeout(resolve, READY_WITHIN_MS, 'late').unref());
  const first = await Promise.race([ready, timeout, loader.ended]);
  if (first === 'ready') return loader;
  await stop(loader);
  const why = first === 'late' ? `was not ready after ${READY_WITHIN_MS / 1000} s` : `ended with ${first.why}`;
  throw new Failure(`The loader ${why}. \`${LOADER} check\` reports what this machine lacks.`);
}

function readyLine({ child }: Running): Promise<'ready'> {
  return new Promise((resolve) => {
    if (child.stderr === null) return;
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (/\bready\b/.test(line)) resolve('ready');
      else console.error(line);
    });
  });
}

interface ServiceOptions {
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly user: User;
  readonly stdio?: SpawnOptions['stdio'];
}

export function startService({ args, env, user: { uid, gid }, stdio }: ServiceOptions): Running {
  const [program, ...before] = uid === 0 ? [...WITHOUT_CAPABILITIES, NODE] : [NODE];
  return startProgram('the service', program as string, [...before, ...SERVICE_FLAGS, SERVICE, 'run', ...args], {
    stdio: stdio ?? ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
    uid,
    gid,
  });
}

/** Waits until /readyz answers 200. */
export async function awaitReady(service: Running, healthAddress: string): Promise<void> {
  const end = Date.now() + READY_WITHIN_MS;
  let last = 'no answer';
  while (Date.now() < end && service.alive()) {
    try {
      const response = await fetch(`http://${healthAddress}/readyz`);
      if (response.status === 200) return;
      last = `${response.status}: ${(await response.text()).trim()}`;
    } catch (error) {
      const { message, cause } = error as Error;
      last = cause instanceof Error ? cause.message : message;
    }
    await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS));
  }
  if (!service.alive()) throw new Failure(`The service ended with ${(await service.ended).why}.`);
  throw new Failure(`http://${healthAddress}/readyz did not answer 200 within ${READY_WITHIN_MS / 1000} s (${last}).`);
}

/** Resolves when this process receives a stop signal or, if `endOfInput`, at the end of its standard input. */
export function stopRequested({ endOfInput }: { readonly endOfInput: boolean }): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve(signal));
    if (!endOfInput) return;
    process.stdin.on('end', () => resolve('end of input')).resume();
    process.stdin.unref(); // an open standard input must not keep this process running
  });
}
