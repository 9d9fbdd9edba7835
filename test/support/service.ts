// SPDX-License-Identifier: Apache-2.0
// Runs the service as a child process with its own fake loader.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { FakeLoader, goldenObject, line, until } from '../../scripts/stack/fake-loader.ts';

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname;

export interface Running {
  readonly child: ChildProcess;
  readonly loader: FakeLoader;
  readonly out: () => string;
  readonly err: () => string;
  /** Waits for the exit. Resolves with the exit code. */
  readonly ended: () => Promise<number | null>;
  /** Sends SIGTERM. Resolves with the exit code. */
  readonly stop: () => Promise<number | null>;
  readonly remove: () => Promise<void>;
}

/** Starts it; for `run`, waits until it claims the role of the consumer or exits. WHODUNIT_REPORT is `all` unless `env` sets it. */
export async function startService(args: readonly string[], env: Record<string, string> = {}): Promise<Running> {
  const loader = await new FakeLoader().start();
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...args], {
    env: {
      PATH: process.env.PATH,
      WHODUNIT_SOCKET: loader.path,
      WHODUNIT_HEALTH_ADDR: 'off',
      WHODUNIT_STATE_DIR: join(loader.directory, 'state'),
      WHODUNIT_REPORT: 'all',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, err] = ['', ''];
  child.stdout?.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    err += chunk;
  });
  const closed = once(child, 'close');
  const ended = async (): Promise<number | null> => {
    await closed;
    return child.exitCode;
  };
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  if (args[0] === 'run') await until(() => loader.received.length > 0 || hasEnded(), 'the claim');
  return {
    child,
    loader,
    out: () => out,
    err: () => err,
    ended,
    stop: () => {
      child.kill('SIGTERM');
      return ended();
    },
    remove: async () => {
      child.kill('SIGKILL');
      await closed;
      await loader.remove();
    },
  };
}

/** A golden termination as a line, with this ring position and pid. */
export function death(name: string, seq: number): string {
  const object = goldenObject(name);
  object.seq = String(seq);
  object.process.pid = seq;
  return line(object);
}
