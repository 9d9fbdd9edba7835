// SPDX-License-Identifier: Apache-2.0
// A user floods the machine with equal terminations: they are counted in the kernel, exactly, whichever part is killed, and hide no other
// termination. The truth is what wait4(2) returned to the flood. Only the cgroup of a test is watched, so that all counters are its own.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Cgroup, makeCgroup } from '../../scripts/stack/cgroup.ts';
import { answers } from '../../scripts/stack/collector.ts';
import { ATTACKER, type Program, startProgram, until } from '../../scripts/stack/program.ts';
import { type Place, place, startLoader, startService } from '../../scripts/stack/whodunit.ts';
import { ALICE, awaitFirstLine, MALLORY } from './attacker.ts';

const WITHIN_MS = 120_000;
/** RESERVE_RECORDS in bpf/: terminations that others caused have this many records before they are counted. */
const RESERVE = 1024;
/** Nothing listens there: records wait in the queue, and counters outlive the service. */
const NOWHERE = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_METRICS_EXPORTER: 'none' };
/** The loader reports the totals once a second. */
const TOTALS_WITHIN_MS = 2_500;
const CODE = 77;
/** That it begins, and that it ends. */
const LOOP_RECORDS = 2;

interface Status {
  readonly deaths: Readonly<Record<'received' | 'filtered' | 'aggregated' | 'summaries' | 'pending', number>> & {
    readonly lost: Readonly<Record<string, number>>;
  };
  readonly ring: { readonly counted: number };
}

interface Stack {
  readonly at: Place;
  readonly cgroup: Cgroup;
  loader: Program;
  service: Program;
}

let stacks = 0;

async function start(env: NodeJS.ProcessEnv = {}): Promise<Stack> {
  stacks += 1;
  const name = `repeats-${stacks}`;
  const cgroup = makeCgroup(name);
  const at = await place();
  const loader = await loaderOf(at, name);
  const stack = { at, cgroup, loader, service: serviceOf(at, env) };
  await until('readyz', WITHIN_MS, () => answers(`http://${at.health}/readyz`), stack.service.output);
  return stack;
}

const loaderOf = (at: Place, name: string) =>
  startLoader(at, { WHODUNIT_SCOPE: `/whodunit-test-${process.pid}/${name}` });
const serviceOf = (at: Place, env: NodeJS.ProcessEnv = {}) =>
  startService(at, { ...NOWHERE, WHODUNIT_REPORT: 'default', ...env });

async function stop({ at, cgroup, loader, service }: Stack): Promise<void> {
  await service.stop();
  await loader.stop();
  at.directory.remove();
  await cgroup.remove();
}

async function get<T>({ at }: Stack, path: string): Promise<T | undefined> {
  try {
    return (await (await fetch(`http://${at.health}${path}`)).json()) as T;
  } catch {
    return undefined; // the service starts, or was killed
  }
}

async function status(stack: Stack): Promise<Status> {
  return until('the status', WITHIN_MS, async () => {
    const answer = await get<Status>(stack, '/status');
    return answer?.ring === null ? undefined : answer;
  });
}

/** Starts a program in the cgroup of the stack, as a user, with a name for its service if one is given. */
function startIn({ cgroup }: Stack, uid: number, args: readonly string[], service?: string): Program {
  const user = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--', ATTACKER, ...args];
  const [program = '', ...rest] = cgroup.enter(user);
  return startProgram(program, rest, { env: service === undefined ? {} : { OTEL_SERVICE_NAME: service } });
}

/** Floods until the kernel has counted some more, and returns how many terminated. */
async function flood(stack: Stack, how: string, service?: string): Promise<number> {
  const before = (await status(stack)).ring.counted;
  const flooding = await awaitFirstLine(startIn(stack, MALLORY, ['flood', how], service));
  await until('a counted termination', WITHIN_MS, async () => {
    if (!flooding.alive()) throw new Error(flooding.output());
    return (await status(stack)).ring.counted > before + 100 || undefined;
  });
  return ended(flooding);
}

/** Ends a flood, and returns how many terminated. */
async function ended(flooding: Program): Promise<number> {
  flooding.child.stdin?.end();
  expect(await flooding.ended, flooding.output()).toEqual({ code: 0, signal: null });
  return Number(flooding.stdout().trim().split('\n').at(-1));
}

/** Waits until the service receives nothing more. */
async function settled(stack: Stack): Promise<Status> {
  return until('nothing more is received', WITHIN_MS, async () => {
    const before = await status(stack);
    await sleep(TOTALS_WITHIN_MS);
    return (await status(stack)).deaths.received === before.deaths.received ? before : undefined;
  });
}

/** Waits until the service has received this many terminations, and for the loader's next totals: it must not receive more. */
async function receives(stack: Stack, count: number): Promise<Status> {
  await until(
    `${count} terminations`,
    WITHIN_MS,
    async () => (await status(stack)).deaths.received >= count || undefined,
    stack.service.output,
  );
  await sleep(TOTALS_WITHIN_MS);
  const received = await status(stack);
  expect(received.deaths.received).toBe(count);
  expect(received.deaths.lost).toEqual({ kernel: 0, loader: 0, queue: 0, export: 0 });
  return received;
}

describe('a flood of equal terminations', () => {
  let stack: Stack;
  beforeAll(async () => {
    stack = await start();
  });
  afterAll(() => stop(stack));

  it('is counted exactly, as filtered if the rules filter it, and is at most one loop', async () => {
    const happened = await flood(stack, String(CODE));
    const { deaths } = await receives(stack, happened);
    expect(deaths).toMatchObject({ filtered: happened, aggregated: 0, pending: deaths.summaries });
    expect(deaths.summaries).toBeLessThanOrEqual(LOOP_RECORDS);
  });

  it('hides neither a process that names its service nor one of another user, of the same executable and code', async () => {
    const flooding = await awaitFirstLine(startIn(stack, MALLORY, ['flood', String(CODE)]));
    const before = (await status(stack)).ring.counted;
    await until(
      'the flood is counted',
      WITHIN_MS,
      async () => (await status(stack)).ring.counted > before || undefined,
    );
    const named = startIn(stack, MALLORY, ['exit', String(CODE)], 'innocent');
    const other = startIn(stack, ALICE, ['exit', String(CODE)]);
    for (const { child } of [named, other]) child.stdin?.end();
    const endings = await Promise.all([named.ended, other.ended]);
    expect(endings.map(({ code }) => code)).toEqual([CODE, CODE]);
    const outcome = (pid: number) =>
      until(`the record of ${pid}`, WITHIN_MS, async () => {
        const recent = await get<readonly { pid: number; outcome: string }[]>(stack, '/recent');
        return recent?.find((one) => one.pid === pid)?.outcome;
      });
    expect(await Promise.all([outcome(named.pid), outcome(other.pid)])).toEqual(['reported', 'filtered']);
    await ended(flooding);
  });

  it('of a named service has at most ten records, and the rest are aggregated', async () => {
    const from = await settled(stack);
    const happened = await flood(stack, '78', 'flooded');
    const { deaths } = await receives(stack, from.deaths.received + happened);
    expect(deaths.filtered).toBe(from.deaths.filtered);
    expect(deaths.aggregated - from.deaths.aggregated).toBeGreaterThanOrEqual(happened - 10);
  });

  it('of processes that stop gracefully is counted exactly, and takes nothing of the reserve', async () => {
    const from = await settled(stack);
    const happened = await flood(stack, 'stop');
    const { deaths, ring } = await receives(stack, from.deaths.received + happened);
    expect(deaths.filtered - from.deaths.filtered).toBe(happened);
    expect(happened - (ring.counted - from.ring.counted)).toBeLessThan(RESERVE);
  });

  it('by kills of another process leaves each its record while the reserve has room', async () => {
    const from = await settled(stack);
    const happened = await flood(stack, 'kill', 'killed');
    const { ring } = await receives(stack, from.deaths.received + happened);
    expect(happened - (ring.counted - from.ring.counted)).toBeGreaterThanOrEqual(RESERVE);
  });
});

describe('a flood', () => {
  const own: { stack?: Stack } = {};
  afterEach(async () => {
    if (own.stack !== undefined) await stop(own.stack);
    delete own.stack;
  });

  it('is counted once whichever part is killed meanwhile', async () => {
    const stack = await start();
    own.stack = stack;
    const flooding = await awaitFirstLine(startIn(stack, MALLORY, ['flood', String(CODE)], 'flooded'));
    const grows = async () => {
      const before = (await status(stack)).ring.counted;
      await until('the count grows', WITHIN_MS, async () => (await status(stack)).ring.counted > before || undefined);
    };
    await grows();
    stack.service.child.kill('SIGKILL');
    await stack.service.ended;
    stack.service = serviceOf(stack.at);
    await grows();
    stack.loader.child.kill('SIGKILL');
    await stack.loader.ended;
    stack.loader = await loaderOf(stack.at, `repeats-${stacks}`);
    await grows();
    for (const part of ['service', 'loader'] as const) stack[part].child.kill('SIGKILL');
    await Promise.all([stack.service.ended, stack.loader.ended]);
    stack.loader = await loaderOf(stack.at, `repeats-${stacks}`);
    stack.service = serviceOf(stack.at);
    await grows();
    await receives(stack, await ended(flooding));
  });

  it('is not counted in the kernel without a limit of records', async () => {
    const stack = await start({ WHODUNIT_RECORDS_PER_MINUTE: 'off' });
    own.stack = stack;
    const flooding = await awaitFirstLine(startIn(stack, MALLORY, ['flood', String(CODE)], 'flooded'));
    await until('records', WITHIN_MS, async () => (await status(stack)).deaths.received > 500 || undefined);
    const { ring } = await receives(stack, await ended(flooding));
    expect(ring.counted).toBe(0);
  });
});
