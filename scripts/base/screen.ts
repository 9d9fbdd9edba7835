// SPDX-License-Identifier: Apache-2.0
// Where a command shows its progress: the terminal, or for work that overlaps with other work a text that is shown in one piece later.
import { AsyncLocalStorage } from 'node:async_hooks';
import { type ChildProcess, spawn } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import { ROOT } from '../paths.ts';
import { own } from './owned.ts';

const captures = new AsyncLocalStorage<Capture>();

/** What the work has shown so far. */
export class Capture {
  #text = '';
  /** Whether its programs leave the processors to others. */
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

/** Runs `work`; all that it shows here goes to `capture` instead of the terminal. */
export function withCapture<T>(capture: Capture, work: () => Promise<T>): Promise<T> {
  return captures.run(capture, work);
}

/** Gives a program of the work that is under way its priority. */
export function prioritize({ pid }: ChildProcess): void {
  if (pid !== undefined && captures.getStore()?.yields === true) setPriority(pid, constants.priority.PRIORITY_LOW);
}

/** Shows a result: standard output. */
export function print(text: string): void {
  const capture = captures.getStore();
  if (capture === undefined) process.stdout.write(`${text}\n`);
  else capture.append(`${text}\n`);
}

/** Shows progress: standard error, so that standard output stays free for results. Without a newline. */
export function progress(text: string): void {
  const capture = captures.getStore();
  if (capture === undefined) process.stderr.write(text);
  else capture.append(text);
}

/** Runs a program to its end, showing what it prints. Gives its exit code. */
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
