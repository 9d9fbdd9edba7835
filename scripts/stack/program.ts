// SPDX-License-Identifier: Apache-2.0
// A real program that a test runs: its output is recorded, and it does not outlive the test process.
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../paths.ts';

export * from '../paths.ts';

/** Run when the test process exits early. */
const atExit = new Set<() => void>();
process.once('exit', () => {
  for (const last of [...atExit].reverse()) last();
});

const STOP_WITHIN_MS = 30_000;
const POLL_MS = 5;

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Program {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Standard output and standard error so far. */
  readonly output: () => string;
  readonly stdout: () => string;
  readonly ended: Promise<Ending>;
  readonly alive: () => boolean;
  /** Sends SIGTERM, then SIGKILL after STOP_WITHIN_MS. */
  readonly stop: () => Promise<Ending>;
}

export function startProgram(program: string, args: readonly string[], options: SpawnOptions = {}): Program {
  const child = spawn(program, args, { cwd: ROOT, stdio: ['pipe', 'pipe', 'pipe'], ...options });
  let output = '';
  let stdout = '';
  let alive = true;
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stdin?.on('error', () => {}); // the program may have ended; `ended` reports why
  const ended = new Promise<Ending>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      alive = false;
      resolve({ code, signal });
    });
  });
  ended.catch(() => {
    alive = false;
  });
  const kill = () => child.kill('SIGKILL');
  atExit.add(kill);
  void ended.then(() => atExit.delete(kill)).catch(() => {});
  const stop = async (): Promise<Ending> => {
    if (alive) child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
    try {
      return await ended;
    } finally {
      clearTimeout(timer);
    }
  };
  return { child, pid: child.pid ?? -1, output: () => output, stdout: () => stdout, ended, alive: () => alive, stop };
}

/** Polls until `probe` returns a value. After `withinMs`, throws an error with `what` and the text that `diagnostics` returns. */
export async function until<T>(
  what: string,
  withinMs: number,
  probe: () => T | undefined | Promise<T | undefined>,
  diagnostics: () => string = () => '',
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error(`${what}: not within ${withinMs} ms\n${diagnostics()}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Creates a directory that is removed when the test process exits. */
export function temporaryDirectory(parent = tmpdir()): { path: string; remove: () => void } {
  const path = mkdtempSync(join(parent, 'whodunit-test-'));
  const remove = () => {
    rmSync(path, { recursive: true, force: true });
    atExit.delete(remove);
  };
  atExit.add(remove);
  return { path, remove };
}

/** Below net.ipv4.ip_local_port_range, from which the kernel assigns source ports: one of them could be the same port. */
const PORTS = { from: 15_000, to: 32_000 } as const;

/** Returns different free ports: all are bound before the first is released. */
export async function freePorts(count: number): Promise<number[]> {
  const held = [];
  while (held.length < count) {
    const server = createServer();
    const port = randomInt(PORTS.from, PORTS.to);
    const free = await new Promise<boolean>((resolve, reject) => {
      server.on('error', (error: NodeJS.ErrnoException) =>
        error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
      );
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (free) held.push({ port, server });
  }
  await Promise.all(held.map(({ server }) => new Promise((resolve) => server.close(resolve))));
  return held.map(({ port }) => port);
}
