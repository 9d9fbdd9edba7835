// SPDX-License-Identifier: Apache-2.0
// Runs programs to their end, in steps that are shown with their times.
import { spawn } from 'node:child_process';
import { ROOT } from '../paths.ts';
import { Failure } from './command.ts';
import { own } from './owned.ts';
import { prioritize, progress } from './screen.ts';

/** One line of progress: the label, and the time when it is done. */
export async function step<T>(label: string, work: () => Promise<T>): Promise<T> {
  progress(`${label} … `);
  const start = performance.now();
  try {
    const result = await work();
    progress(`${((performance.now() - start) / 1000).toFixed(1)} s\n`);
    return result;
  } catch (error) {
    progress('failed\n');
    throw error;
  }
}

export interface RunOptions {
  /** What to do if it fails: the end of the failure's message. */
  readonly remedy?: string;
  /** Set besides this process's own. */
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** Runs a program to its end and gives its standard output. Fails, with all that it printed, if it exits with another code than 0. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { remedy = '', env = {}, cwd = ROOT } = options;
  return new Promise((resolve, reject) => {
    const child = own(
      spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] }),
    );
    prioritize(child);
    let stdout = '';
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'ENOENT' ? 'is not installed' : `cannot be run: ${error.message}`;
      reject(new Failure(`${program} ${why}. ${remedy}`));
    });
    child.on('close', (code, signal) => {
      if (code === 0) return resolve(stdout);
      const how = signal ?? `code ${code}`;
      reject(new Failure(`${[program, ...args].join(' ')}: ended with ${how}. ${remedy}`, output));
    });
  });
}
