// SPDX-License-Identifier: Apache-2.0
// Runs programs until they exit, in steps that are shown with their durations.
import { spawn } from 'node:child_process';
import { ROOT } from '../paths.ts';
import { Failure } from './command.ts';
import { own } from './owned.ts';
import { prioritize, progress } from './screen.ts';

/** Runs `work` and shows one line of progress: the label, then the duration. */
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
  /** Appended to the failure's message: what to do. */
  readonly remedy?: string;
  /** Added to the environment of this process. */
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** Runs a program until it exits and returns its standard output. If the exit code is not 0, fails with its whole output. */
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
