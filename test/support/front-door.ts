// SPDX-License-Identifier: Apache-2.0
// `npm start` and `npm run demo`, with the command lines of package.json, and the parts that they run.
import { chmodSync, readFileSync } from 'node:fs';
import { answers } from '../../scripts/stack/collector.ts';
import { type Program, ROOT, startProgram, until } from '../../scripts/stack/program.ts';
import type { Place } from '../../scripts/stack/whodunit.ts';

const READY_WITHIN_MS = 120_000; // it builds first

const { scripts }: { scripts: Record<string, string> } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8'));

/** Runs a script of package.json as npm does: in a shell, which the command replaces. */
export function startScript(name: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Program {
  return startProgram('sh', ['-c', `${scripts[name]} "$@"`, 'sh', ...args], { env: { ...process.env, ...env } });
}

/** Starts `npm start`, and waits until it is ready. */
export async function npmStart(at: Place, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Program> {
  // The service runs as another user if that user can read the checkout.
  chmodSync(at.directory.path, 0o711);
  const program = startScript('start', args, {
    WHODUNIT_SOCKET: at.socket,
    WHODUNIT_PIN_DIR: at.pinDir,
    WHODUNIT_HEALTH_ADDR: at.health,
    WHODUNIT_STATE_DIR: `${at.directory.path}/state`,
    WHODUNIT_REPORT: 'all',
    ...env,
  });
  await isRunning(program);
  return program;
}

/** Waits until `npm start` says that whodunit is running. */
export async function isRunning(program: Program): Promise<void> {
  await until(
    'its last line',
    READY_WITHIN_MS,
    () => {
      if (!program.alive()) throw new Error(`it ended:\n${program.output()}`);
      return /whodunit is running/.test(program.output()) || undefined;
    },
    program.output,
  );
}

export function ready(at: Place, diagnostics: () => string): Promise<true> {
  return until('readyz', READY_WITHIN_MS, () => answers(`http://${at.health}/readyz`), diagnostics);
}

/** Parts of their command lines. The build has the first as the name of a file. */
export const LOADER_NAME = 'build/whodunit-loader\0run';
export const SERVICE_NAME = 'dist/main.js\0run';
/** `npm start`, once it has built. */
export const UP_NAME = 'dist/main.js\0up';

/** The child that runs the given program. Waits for it. */
export function childRunning(parent: number, what: string): Promise<number> {
  return until(`a child that runs ${what}`, READY_WITHIN_MS, () =>
    childrenOf(parent).find((pid) => commandLine(pid).includes(what) && !commandLine(pid).includes('setpriv')),
  );
}

function childrenOf(parent: number): number[] {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim();
  return children === '' ? [] : children.split(' ').map(Number);
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // it has ended
  }
}

/** Whether the process runs. A zombie does not. */
export function runs(pid: number): boolean {
  return commandLine(pid) !== '';
}
