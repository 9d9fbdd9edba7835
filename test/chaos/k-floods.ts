// SPDX-License-Identifier: Apache-2.0
// Two users flood the machine with terminations, one of them with a new exit code each time, and each second a service of root terminates.
// Every record of the service must have all parts, and must be in the collector's file within a second. The time is measured always, and
// judged only where no other programs use the processors.
import { availableParallelism, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { ATTACKER, MORTAL, type Program, startProgram } from '../../scripts/stack/program.ts';
import { ALICE, awaitFirstLine, MALLORY, startAs } from '../attacks/attacker.ts';
import type { TrueDeath } from './ledger.ts';
import { check, type Scenario } from './scenario.ts';
import { onStack, type Stack } from './stack.ts';

const SHORT_VICTIMS = 8;
const FULL_VICTIMS = 120;
const VICTIM_EVERY_MS = 1_000;
const EXIT_CODE = 3;
const REPORTED_WITHIN_MS = 1_000;
const POLL_MS = 20;
/** When the wait for a record ends. */
const GIVEN_UP_AFTER_MS = 60_000;

export const floods: Scenario = {
  key: 'k',
  name: 'two users flood the machine, a service terminates each second',
  withinMs: ({ full }) => (full ? 600_000 : 300_000),
  run: async ({ full }) => {
    const [load = 0] = loadavg();
    const withinMs = load < availableParallelism() ? REPORTED_WITHIN_MS : GIVEN_UP_AFTER_MS;
    return await onStack({ protocol: 'grpc', env: { WHODUNIT_REPORT: 'default' } }, async (stack) => {
      const flooding = [
        await awaitFirstLine(startAs(MALLORY, ATTACKER, ['exits'])),
        await awaitFirstLine(startAs(ALICE, ATTACKER, ['exits', 'varied'])),
      ];
      const before = await stack.counters();
      const victims = await runVictims(stack, full ? FULL_VICTIMS : SHORT_VICTIMS);
      const after = await stack.counters();
      const ended = flooding.filter((flood) => !flood.alive()).length;
      for (const flood of flooding) await kill(flood);
      const slowest = Math.max(...victims.map(({ afterMs }) => afterMs));
      const rate = (Number(after?.deaths) - Number(before?.deaths)) / victims.length;
      const note = `${Math.round(rate)} records a second in the ring, the slowest of ${victims.length} reported after ${Math.round(slowest)} ms`;
      const problems = [
        ...(ended === 0 ? [] : [`${ended} floods ended early`]),
        ...victims.flatMap((victim) => problemsOf(victim, withinMs)),
      ];
      const ledger = victims.map(({ death }) => death);
      return await check({ stack, ledger, executable: MORTAL, note, problems, mayLose: true });
    });
  },
};

interface Victim {
  readonly death: TrueDeath;
  /** From wait4(2) to the record in the collector's file. Infinity: it did not arrive. */
  readonly afterMs: number;
  /** It has its arguments, and no part was left out. */
  readonly whole: boolean;
}

async function runVictims(stack: Stack, count: number): Promise<Victim[]> {
  const victims: Victim[] = [];
  for (let number = 0; number < count; number += 1) {
    const next = sleep(VICTIM_EVERY_MS);
    victims.push(await runVictim(stack, number));
    await next;
  }
  return victims;
}

/** Each is a service of its own, with arguments of its own, so that none is aggregated, or one of a crash loop. */
async function runVictim(stack: Stack, number: number): Promise<Victim> {
  const startAfter = now();
  const env = { ...process.env, OTEL_SERVICE_NAME: `checkout-${number}` };
  const program = startProgram(MORTAL, ['exit', String(EXIT_CODE), String(number)], { env });
  const startBefore = now();
  await program.ended;
  const reaped = performance.now();
  const death = { pid: program.pid, startAfter, startBefore, reapedNs: now(), status: EXIT_CODE << 8 };
  for (;;) {
    const record = stack.records().findLast(({ pid, executable }) => pid === death.pid && executable === MORTAL);
    const afterMs = performance.now() - reaped;
    if (record !== undefined) return { death, afterMs, whole: record.whole };
    if (afterMs > GIVEN_UP_AFTER_MS) return { death, afterMs: Number.POSITIVE_INFINITY, whole: false };
    await sleep(POLL_MS);
  }
}

function problemsOf({ death: { pid }, afterMs, whole }: Victim, withinMs: number): string[] {
  if (afterMs === Number.POSITIVE_INFINITY) return [`victim ${pid} has no record`];
  return [
    ...(whole ? [] : [`the record of victim ${pid} lacks parts`]),
    ...(afterMs <= withinMs ? [] : [`victim ${pid} was reported after ${Math.round(afterMs)} ms`]),
  ];
}

const now = (): bigint => BigInt(Date.now()) * 1_000_000n;

async function kill(flood: Program): Promise<void> {
  flood.child.kill('SIGKILL');
  await flood.ended;
}
