// SPDX-License-Identifier: Apache-2.0
// The bytes of a crashed process's stack: what has them, and for how long.
import { openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { ATTACKER, LOADER, type Program, until } from '../../scripts/stack/program.ts';
import { exportTo, place, startLoader, startWhodunit, type Whodunit } from '../../scripts/stack/whodunit.ts';
import { ALICE, startAs } from './attacker.ts';
import { Backend, onlyTheTest, PREFIX } from './backend.ts';

const WITHIN_MS = 60_000;
/** In two parts, so that neither this program nor the attacker has it in one piece. */
const SECRET = ['a-secret-on', '-the-stack-'] as const;
/** Debian's: version managers install a script that other users may not execute. */
const PYTHON = '/usr/bin/python3';
const READ_BYTES_MAX = 64 << 20;
/** After that, no process has stack bytes. */
const ERASED_MS = 1_000;

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

interface Line {
  readonly type: string;
  readonly process: { readonly pid: number };
  readonly crash: { readonly state: string; readonly frames: readonly { readonly function: string | null }[] } | null;
}

/** Collects what the socket's clients are sent. */
function linesOf(socket: string): { text: () => string; of: (pid: number) => Line | undefined } {
  let text = '';
  const connection = createConnection(socket);
  cleanUp.push(() => connection.destroy());
  connection.on('data', (chunk) => (text += chunk.toString()));
  const deaths = () =>
    text
      .split('\n')
      .slice(0, -1)
      .filter((line) => line.includes('"type":"death"'))
      .map((line) => JSON.parse(line) as Line);
  return { text: () => text, of: (pid) => deaths().find((death) => death.process.pid === pid) };
}

/** The processes that run the loader's program: the loader, its helper, and the worker of that. */
function loaders(): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('whodunit-loader');
      } catch {
        return false; // It has ended.
      }
    });
}

/** How often the bytes occur in what the process can read of its memory. */
function occurrences(pid: number, bytes: string): number {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  let found = 0;
  for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').trim().split('\n')) {
    const [, start = '', end = ''] = /^([0-9a-f]+)-([0-9a-f]+) r/.exec(line) ?? [];
    if (start === '') continue;
    const from = Number.parseInt(start, 16);
    const content = Buffer.alloc(Math.min(Number.parseInt(end, 16) - from, READ_BYTES_MAX));
    try {
      readSync(memory, content, 0, content.length, from);
    } catch {
      continue; // [vvar]
    }
    for (let at = content.indexOf(bytes); at >= 0; at = content.indexOf(bytes, at + 1)) found++;
  }
  return found;
}

/** Crashes a process of another user with the secret on its stack. */
async function crash(): Promise<Program> {
  const victim = startAs(ALICE, ATTACKER, ['marked', ...SECRET]);
  cleanUp.push(victim.stop);
  await victim.ended;
  return victim;
}

it('stack bytes are neither sent nor logged, and are in no memory afterwards', { timeout: 3 * WITHIN_MS }, async () => {
  const at = await place();
  cleanUp.push(() => at.directory.remove());
  const loader = await startLoader(at);
  cleanUp.push(loader.stop);
  const lines = linesOf(at.socket);
  await until('the first line', WITHIN_MS, () => lines.text().includes('\n') || undefined);
  const victim = await crash();
  const death = await until('the record', WITHIN_MS, () => lines.of(victim.pid));
  expect(death.crash?.state).toBe('unwound');
  expect(death.crash?.frames.map((frame) => frame.function).join('\n')).toContain('runtime.');

  const secret = SECRET.join('');
  // The arguments have the two parts, and are sent; the whole is only on the stack.
  expect(lines.text()).not.toContain(secret);
  expect(loader.output()).not.toContain(secret);
  expect(loaders(), LOADER).toContain(loader.pid);
  for (const pid of loaders()) expect(occurrences(pid, secret), `pid ${pid}`).toBe(0);
});

it('a loader that was killed leaves no stack bytes, and the next one says that the stack is lost', {
  timeout: 4 * WITHIN_MS,
}, async () => {
  const at = await place();
  cleanUp.push(() => at.directory.remove());
  const killed = await startLoader(at);
  cleanUp.push(killed.stop);
  process.kill(killed.pid, 'SIGSTOP');
  const victim = await crash();
  process.kill(killed.pid, 'SIGKILL');
  await killed.ended;
  const next = await startLoader(at);
  cleanUp.push(next.stop);

  let text = '';
  const service = createConnection(at.socket);
  cleanUp.push(() => service.destroy());
  service.on('data', (chunk) => (text += chunk.toString()));
  service.write('{"v":1,"type":"ack","seq":"0"}\n');
  const death = await until('the record', WITHIN_MS, () =>
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line)
      .find((line) => line.type === 'death' && line.process.pid === victim.pid),
  );
  expect(death.crash).toMatchObject({ state: 'lost', frames: [] });
  expect(occurrences(next.pid, SECRET.join(''))).toBe(0);
});

/** Everything that whodunit has written: log, queue and what is below its state directory, /recent, and all requests to the backend. */
async function outputsOf({ at, loader, service }: Whodunit, backend: Backend): Promise<Record<string, string>> {
  const state = join(at.directory.path, 'state');
  const files = readdirSync(state, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return {
    'the log of the loader': loader.output(),
    'the log of the service': service.output(),
    '/recent': await (await fetch(`http://${at.health}/recent`)).text(),
    '/status': await (await fetch(`http://${at.health}/status`)).text(),
    disk: files.map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'latin1')).join('\n'),
    OTLP: Buffer.concat([...backend.requests.logs, ...backend.requests.metrics]).toString('latin1'),
  };
}

/** Starts whodunit and a backend, which stop after the test. */
async function startBoth(env: NodeJS.ProcessEnv): Promise<{ whodunit: Whodunit; backend: Backend }> {
  const rules = onlyTheTest();
  cleanUp.push(rules.remove);
  const backend = await Backend.start();
  cleanUp.push(() => backend.stop());
  const whodunit = await startWhodunit({ ...exportTo(backend.endpoints, 'http/protobuf'), ...rules.env, ...env });
  cleanUp.push(whodunit.stop);
  return { whodunit, backend };
}

it('stack and heap are in no output of the service, and in no memory of the loader a second later', {
  timeout: 4 * WITHIN_MS,
}, async () => {
  const { whodunit, backend } = await startBoth({});
  const mark = `${PREFIX}stack-${process.pid}`;
  const victim = startAs(ALICE, ATTACKER, ['marked', ...SECRET, mark]);
  cleanUp.push(victim.stop);
  await victim.ended;
  await until('the record', WITHIN_MS, () => backend.has(mark) || undefined, whodunit.service.output);
  await sleep(ERASED_MS);
  for (const [what, text] of Object.entries(await outputsOf(whodunit, backend)))
    expect(text.includes(SECRET.join('')), what).toBe(false);
  expect(backend.accepted.logs.some((body) => body.includes('crashBeside'))).toBe(true);
  for (const pid of loaders()) expect(occurrences(pid, SECRET.join('')), `pid ${pid}`).toBe(0);
});

/** Fails an assertion whose text no argument has in one piece. */
const ASSERTS = (mark: string): string[] => [
  '-c',
  `import ctypes; ctypes.CDLL(None).__assert_fail(b'${SECRET[0]}' + b'${SECRET[1]}', b'a.c', 3, b'${mark}')`,
];

it.each([
  { mode: 'redacted', isReported: true },
  { mode: 'off', isReported: false },
])(
  'the message of an abort, with WHODUNIT_ARGUMENTS=$mode, is reported: $isReported',
  {
    timeout: 4 * WITHIN_MS,
  },
  async ({ mode, isReported }) => {
    const { whodunit, backend } = await startBoth({ WHODUNIT_ARGUMENTS: mode });
    const victim = startAs(ALICE, PYTHON, ASSERTS(`${PREFIX}${process.pid}`));
    cleanUp.push(victim.stop);
    expect((await victim.ended).signal).toBe('SIGABRT');
    await until(
      'the record',
      WITHIN_MS,
      () => backend.accepted.logs.some((body) => body.includes('#0 ')) || undefined,
      whodunit.service.output,
    );
    const found = Object.entries(await outputsOf(whodunit, backend)).filter(([, text]) =>
      text.includes(SECRET.join('')),
    );
    if (isReported) expect(found.map(([what]) => what)).toContain('OTLP');
    else expect(found).toEqual([]);
  },
);
