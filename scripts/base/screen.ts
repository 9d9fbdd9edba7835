// SPDX-License-Identifier: Apache-2.0
// Output of a command: to the terminal or, for work that runs in parallel, into a buffer that is shown in one piece later.
import { AsyncLocalStorage } from 'node:async_hooks';
import { type ChildProcess, spawn } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import { ROOT } from '../paths.ts';
import { own } from './owned.ts';

const captures = new AsyncLocalStorage<Capture>();

/** Buffers what the work has shown so far. */
export class Capture {
  #text = '';
  /** Whether its programs run at low priority. */
  readonly yields: boolean;

  constructor({ yields = false } = {}) {
    this.yields = yields;
  }

  append(text: string): void {
    this.#text += text;
  }

  get text(): string {
    return this.#text;
  }
}

/** Runs `work` with its output going to `capture` instead of the terminal. */
export function withCapture<T>(capture: Capture, work: () => Promise<T>): Promise<T> {
  return captures.run(capture, work);
}

/** Lowers the priority of a program if the current capture yields. */
export function prioritize({ pid }: ChildProcess): void {
  if (pid !== undefined && captures.getStore()?.yields === true) setPriority(pid, constants.priority.PRIORITY_LOW);
}

/** Prints a result to standard output. */
export function print(text: string): void {
  const capture = captures.getStore();
  if (capture === undefined) process.stdout.write(`${text}\n`);
  else capture.append(`${text}\n`);
}

/** Prints progress to standard error, so that standard output has only results. Appends no newline. */
export function progress(text: string): void {
  const capture = captures.getStore();
  if (capture === undefined) process.stderr.write(text);
  else capture.append(text);
}

/** Runs a program until it exits and shows its output. Returns its exit code. */
export function show(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<number | null> {
  const capture = captures.getStore();
  const output = capture === undefined ? 'inherit' : 'pipe';
  const child = own(
    spawn(program, args, { cwd: ROOT, env: { ...process.env, ...env }, stdio: ['ignore', output, output] }),
  );
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => capture?.append(text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
}
