// SPDX-License-Identifier: Apache-2.0
// `whodunit doctor --test`: kills a child and follows its termination to the collector's answer, through the running service
// (follow-service.ts) or, if none is running, without it (send-directly.ts). Acknowledges nothing.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { HealthAddress } from '../../config/health-address.ts';
import type { Target } from '../../core/delivery/target.ts';
import { displayName } from '../../core/naming/program.ts';
import { missingProbe } from '../../core/status.ts';
import { recordUid } from '../../core/telemetry/uid.ts';
import type { Death, Hello } from '../../core/wire/event.ts';
import { watch } from '../loader/watcher.ts';
import { noLoader } from './doctor.ts';
import { followService, isListening } from './follow-service.ts';
import { within } from './poll.ts';
import { type SendRecord, sendDirectly } from './send-directly.ts';
import { broken, reached, type Step } from './step.ts';

const HELLO_WITHIN_MS = 5_000;
const EVENT_WITHIN_MS = 10_000;
/** Runs until it is killed; exits by itself if the doctor is killed first. */
const VICTIM = ['sleep', '60'] as const;

export interface TestInput {
  readonly socketPath: string;
  readonly logs: Target | null;
  readonly health: HealthAddress | null;
  /** Builds the stored record as the service would; null: a rule only counts the termination. */
  readonly buildRecord: (death: Death, bootId: string) => Uint8Array | null;
  /** null: logs are not sent. */
  readonly send: SendRecord | null;
}

/** What the loader has sent to this watcher. */
interface Watched {
  hello: Hello | null;
  readonly events: Death[];
  /** Why the connection is closed; null: it is open. */
  closed: string | null;
  close(): void;
}

/** Yields every step as it is reached. The last one is broken, or the acceptance. Never throws. */
export async function* followTermination(input: TestInput): AsyncGenerator<Step, void> {
  const watched = watchLoader(input.socketPath);
  let victim: ChildProcess | null = null;
  try {
    const start = await loaderStep(input.socketPath, watched);
    yield start.step;
    if (start.hello === null) return;

    victim = await startVictim();
    const pid = victim.pid ?? 0;
    const killedAt = performance.now();
    const since = (): number => performance.now() - killedAt;
    const exited = once(victim, 'exit');
    victim.kill('SIGKILL');
    await exited;
    yield reached('killed', since(), `${VICTIM.join(' ')} (pid ${pid}) by SIGKILL`);

    const death = await eventOf(pid, watched);
    if (death === null) {
      const text = `the loader sent no event for pid ${pid} within ${EVENT_WITHIN_MS} ms: run whodunit-loader check, and read the loader's log`;
      yield broken('kernel', since(), watched.closed ?? text);
      return;
    }
    yield reached('kernel', since(), `reported, killed by ${senderOf(death)}, ${detailOf(death)}`);
    yield* followEvent(input, death, start.hello.boot_id, since);
  } catch (error) {
    yield broken('doctor', null, `the test failed: ${(error as Error).message}`);
  } finally {
    watched.close();
    victim?.kill('SIGKILL');
  }
}

function watchLoader(path: string): Watched {
  const watched: Watched = { hello: null, events: [], closed: null, close: () => watcher.close() };
  const watcher = watch(path, (message) => {
    if (message.type === 'hello') watched.hello ??= message;
    if (message.type === 'death') watched.events.push(message);
  });
  void watcher.ended.then((reason) => {
    watched.closed = reason;
  });
  return watched;
}

/** Waits for the loader's hello. `hello` null: the loader cannot be used; `step` is the reason. */
async function loaderStep(path: string, watched: Watched): Promise<{ step: Step; hello: Hello | null }> {
  await within(HELLO_WITHIN_MS, () => watched.hello !== null || watched.closed !== null);
  const { hello, closed } = watched;
  if (hello === null) {
    const text = noLoader(
      path,
      closed ?? `The process listening at ${path} sent no hello within ${HELLO_WITHIN_MS} ms.`,
    );
    return { step: broken('loader', null, text), hello: null };
  }
  const missing = missingProbe(hello);
  if (missing !== null) return { step: broken('probes', null, missing.text), hello: null };
  const text = `${hello.loader_version} at ${path}, its probes are attached`;
  return { step: reached('loader', null, text), hello };
}

async function startVictim(): Promise<ChildProcess> {
  const victim = spawn(VICTIM[0], VICTIM.slice(1), {
    stdio: 'ignore',
    // No termination before had this id, so that the kernel cannot have armed the key of this one (docs/decisions/0065).
    env: {
      PATH: process.env.PATH,
      OTEL_SERVICE_NAME: 'whodunit-doctor',
      OTEL_RESOURCE_ATTRIBUTES: `service.instance.id=${randomUUID()}`,
    },
  });
  await once(victim, 'spawn'); // execve() has succeeded
  return victim;
}

/** Returns null if no event arrives in time, or the connection is closed. */
async function eventOf(pid: number, watched: Watched): Promise<Death | null> {
  const found = await within(
    EVENT_WITHIN_MS,
    () => watched.events.find(({ process }) => process.pid === pid) ?? watched.closed !== null,
  );
  return found === true ? null : found;
}

async function* followEvent(
  { health, logs, buildRecord, send }: TestInput,
  death: Death,
  bootId: string,
  since: () => number,
): AsyncGenerator<Step, void> {
  const { pid, start_boottime_ns } = death.process;
  if (health !== null && (await isListening(health))) {
    const uid = recordUid(bootId, pid, start_boottime_ns);
    yield* followService(health, { pid, uid, since }, logs?.certificate ?? null);
  } else yield* sendDirectly(buildRecord(death, bootId), logs, send, since);
}

function senderOf({ signal }: Death): string {
  return signal === null ? 'an unknown sender' : `${displayName(signal.sender)} (pid ${signal.sender.pid})`;
}

function detailOf({ shrunk }: Death): string {
  return shrunk ? 'in less detail, because its share of the ring buffer is nearly full' : 'in full detail';
}
