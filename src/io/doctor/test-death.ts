// SPDX-License-Identifier: Apache-2.0
// `whodunit doctor --test`: kills a child and follows its death to the collector's answer. Where a service runs, its way is followed;
// where none does, the doctor judges and sends the record itself, with the settings of its own environment. Acknowledges nothing.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { diagnose, explainAnswer, withoutCredentials } from '../../core/delivery/diagnose.ts';
import type { Outcome } from '../../core/delivery/outcome.ts';
import type { Target } from '../../core/delivery/target.ts';
import type { RecentTermination } from '../../core/filter/rules.ts';
import { missingProbe } from '../../core/status.ts';
import type { Death, Hello } from '../../core/wire/event.ts';
import { watch } from '../loader/watcher.ts';
import { listen } from '../otlp/endpoint.ts';
import { fetchStatus, type HealthAddress, healthUrl, inTime, noLoader, type SignalTarget } from './doctor.ts';

const HELLO_WITHIN_MS = 5_000;
const DEATH_WITHIN_MS = 10_000;
const JUDGED_WITHIN_MS = 10_000;
const ANSWER_WITHIN_MS = 30_000;
/** After so long without an answer the doctor asks the endpoint itself what it speaks. */
const PATIENCE_MS = 1_500;
const POLL_MS = 20;
/** Lives until it is killed, or so many seconds. */
const VICTIM = ['sleep', '60'] as const;

export interface TestInput {
  readonly socketPath: string;
  readonly logs: SignalTarget | null;
  readonly health: HealthAddress | null;
  /** Judges a death as the service would; null: its rules report no such death. */
  readonly judge: (death: Death, bootId: string) => Uint8Array | null;
  /** Sends one record and gives the answer; null: logs are not sent. */
  readonly send: ((record: Uint8Array) => Promise<Outcome>) | null;
}

/** One stop on the way. `afterMs`: since the kill; null: before it. `broken`: the death came no further. */
export interface Stop {
  readonly what: string;
  readonly afterMs: number | null;
  readonly text: string;
  readonly broken: boolean;
}

/** Every stop as it is reached; the last one is broken, or the collector's answer. Never throws. */
export async function* followDeath(input: TestInput): AsyncGenerator<Stop, void> {
  const { socketPath } = input;
  const heard: Death[] = [];
  let hello: Hello | null = null;
  const watcher = watch(socketPath, (message) => {
    if (message.type === 'hello') hello ??= message;
    if (message.type === 'death') heard.push(message);
  });
  let victim: ChildProcess | null = null;
  let lost: string | null = null;
  void watcher.ended.then((reason) => {
    lost = reason;
  });
  try {
    await within(HELLO_WITHIN_MS, () => hello !== null || lost !== null);
    if (hello === null) {
      yield broken('loader', null, noLoader(socketPath, lost ?? `What listens at ${socketPath} said no hello.`));
      return;
    }
    const { boot_id: bootId, loader_version: version }: Hello = hello;
    const missing = missingProbe(hello);
    if (missing !== null) {
      yield broken('probes', null, missing.text);
      return;
    }
    yield reached('loader', null, `${version} at ${socketPath}, its probes are attached`);

    victim = spawn(VICTIM[0], VICTIM.slice(1), {
      stdio: 'ignore',
      env: { PATH: process.env.PATH, OTEL_SERVICE_NAME: 'whodunit-doctor' },
    });
    await once(victim, 'spawn'); // it has executed sleep by now
    const { pid } = victim;
    const killedAt = performance.now();
    const since = (): number => performance.now() - killedAt;
    const exited = once(victim, 'exit');
    victim.kill('SIGKILL');
    await exited;
    yield reached('killed', since(), `${VICTIM.join(' ')} (pid ${pid}) by SIGKILL`);

    const death = await within(
      DEATH_WITHIN_MS,
      () => heard.find(({ process }) => process.pid === pid) ?? lost !== null,
    );
    if (death === null || death === true) {
      const text = `the loader told of no death of pid ${pid} within ${DEATH_WITHIN_MS} ms: run whodunit-loader check, and see its log`;
      yield broken('kernel', since(), lost ?? text);
      return;
    }
    const sender = death.signal === null ? 'nobody' : `${death.signal.sender.comm} (pid ${death.signal.sender.pid})`;
    yield reached('kernel', since(), `told of it, killed by ${sender}, ${shrunk(death)}`);
    yield* input.health !== null && (await listensAt(input.health))
      ? followService(input, input.health, death, since)
      : sendItself(input, death, bootId, since);
  } catch (error) {
    yield broken('doctor', null, `cannot go on: ${(error as Error).message}`);
  } finally {
    watcher.close();
    victim?.kill('SIGKILL');
  }
}

/** The way that the running service's death takes: judged, on disk, taken. */
async function* followService(
  { logs: here }: TestInput,
  health: HealthAddress,
  { process: { pid } }: Death,
  since: () => number,
): AsyncGenerator<Stop, void> {
  const judged = await within(JUDGED_WITHIN_MS, async () => (await fetchRecent(health)).find((one) => one.pid === pid));
  if (judged === null) {
    yield broken(
      'service',
      since(),
      `the service at ${health.host}:${health.port} did not hear of it within ${JUDGED_WITHIN_MS} ms: is it the loader's consumer? See whodunit doctor.`,
    );
    return;
  }
  if (judged.outcome === 'filtered') {
    yield broken(
      'rules',
      since(),
      `the service counts it and tells nothing, by the rule "${judged.rule}": see whodunit rules.`,
    );
    return;
  }
  yield reached('service', since(), `${judged.outcome}, by the rule "${judged.rule}"`);
  const endedMs = Date.parse(judged.time);
  for (let asked = false, startedAt = performance.now(); ; await sleep(POLL_MS)) {
    const waited = performance.now() - startedAt;
    const status = await fetchStatus(health);
    if (status === null) {
      if (waited <= ANSWER_WITHIN_MS) continue;
      yield broken(
        'service',
        since(),
        `${healthUrl(health, '/status')} does not answer any more: see the service's own log.`,
      );
      return;
    }
    const { target, last_success, last_error } = status.export.logs;
    if (target === null) {
      yield reached(
        'console',
        since(),
        'the service prints it and sends nothing: set OTEL_EXPORTER_OTLP_ENDPOINT to send',
      );
      return;
    }
    const refusal = status.queue?.rejected.last.find(({ body }) => body?.includes(`(pid ${pid})`));
    if (refusal !== undefined) {
      const fault = explainAnswer(target, refusal.reason);
      yield broken(fault.stop, since(), fault.text);
      return;
    }
    const oldest = status.queue?.oldest_age_s ?? null;
    const waits = oldest !== null && Date.now() - oldest * 1000 <= endedMs + 1;
    if (!waits && last_success !== null && Date.parse(last_success) >= endedMs) {
      yield accepted(target, since());
      return;
    }
    if (!asked && (waited > PATIENCE_MS || last_error !== null)) {
      asked = true;
      const fault = await faultOf(target, here?.certificate ?? null);
      if (fault !== null) {
        yield broken(fault.stop, since(), fault.text);
        return;
      }
    }
    if (last_error !== null || waited > ANSWER_WITHIN_MS) {
      const fault = explainAnswer(target, last_error ?? `no answer within ${ANSWER_WITHIN_MS} ms`);
      yield broken(fault.stop, since(), fault.text);
      return;
    }
  }
}

/** What the service would do, done here. */
async function* sendItself(
  { logs, judge, send }: TestInput,
  death: Death,
  bootId: string,
  since: () => number,
): AsyncGenerator<Stop, void> {
  const record = judge(death, bootId);
  if (record === null) {
    yield broken('rules', since(), 'the rules count it and tell nothing: see whodunit rules.');
    return;
  }
  yield reached('judged', since(), 'here, since no service answers; it makes a record');
  if (logs === null || send === null) {
    yield reached('console', since(), 'nothing is sent: set OTEL_EXPORTER_OTLP_ENDPOINT to send to a collector');
    return;
  }
  const fault = await faultOf(logs, logs.certificate ?? null);
  if (fault !== null) {
    yield broken(fault.stop, since(), fault.text);
    return;
  }
  const outcome = await inTime(send(record));
  if (outcome?.kind === 'success' && outcome.refused === 0) {
    yield accepted(logs, since());
    return;
  }
  const refusal = explainAnswer(logs, outcome?.reason ?? 'no answer in time');
  yield broken(refusal.stop, since(), refusal.text);
}

async function faultOf(target: Target, certificate: string | null) {
  const spoken = await listen(target.endpoint, certificate);
  return spoken === null ? null : diagnose(target, spoken);
}

function accepted({ protocol, endpoint }: Target, afterMs: number): Stop {
  return reached('collector', afterMs, `accepted over ${protocol} by ${withoutCredentials(endpoint)}`);
}

function reached(what: string, afterMs: number | null, text: string): Stop {
  return { what, afterMs, text, broken: false };
}

function broken(what: string, afterMs: number | null, text: string): Stop {
  return { what, afterMs, text, broken: true };
}

function shrunk(death: Death): string {
  return death.shrunk ? 'in less detail since the ring runs low' : 'in all detail';
}

/** Whether a service is there, however slow its answers are. */
async function listensAt(health: HealthAddress): Promise<boolean> {
  const spoken = await listen(healthUrl(health, '/livez'));
  return spoken?.kind === 'spoken' && spoken.http1;
}

async function fetchRecent(health: HealthAddress): Promise<RecentTermination[]> {
  try {
    return (await (await fetch(healthUrl(health, '/recent'))).json()) as RecentTermination[];
  } catch {
    return [];
  }
}

/** Polls until `probe` gives something; null: not in time. */
async function within<T>(
  ms: number,
  probe: () => T | undefined | Promise<T | undefined>,
): Promise<Exclude<T, false> | null> {
  for (const end = performance.now() + ms; ; await sleep(POLL_MS)) {
    const found = await probe();
    if (found !== undefined && found !== false) return found as Exclude<T, false>;
    if (performance.now() > end) return null;
  }
}

/** A line, as it is printed. */
export function renderStop({ what, afterMs, text, broken: ends }: Stop): string {
  const time = afterMs === null ? '' : `${afterMs.toFixed(0)} ms`;
  return `${ends ? 'BROKEN' : 'ok    '}  ${time.padStart(8)}  ${what.padEnd(11)}  ${text}\n`;
}
