// SPDX-License-Identifier: Apache-2.0
// Collector, loader and service, each under a supervisor of its own, and what they say in the end: the records that arrived and the
// losses that were counted. What happens to them in between is each scenario's own.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CollectorSite, collectorSite } from '../../scripts/stack/collector.ts';
import { AppendedLines, logRecords, requests } from '../../scripts/stack/otlp-file.ts';
import { LOADER, type Program, startProgram, until } from '../../scripts/stack/program.ts';
import {
  exportTo,
  loaderArgs,
  loaderStatus,
  type Place,
  type Protocol,
  place,
  type Status,
  startService,
} from '../../scripts/stack/whodunit.ts';
import { type Reported, reportedBy } from './ledger.ts';
import { Supervised } from './supervised.ts';

const READY_WITHIN_MS = 30_000;
/** On a machine that has much else to do. */
const ANSWER_WITHIN_MS = 10_000;

export interface StackOptions {
  readonly protocol: Protocol;
  /** Where the service sends to, if not straight to the collector. */
  readonly endpoints?: (collector: CollectorSite) => { grpc: string; http: string };
  readonly ringBytes?: number;
  /** The first loader, if it is not the built one. */
  readonly loader?: string | undefined;
  readonly env?: NodeJS.ProcessEnv;
  /** The service's WHODUNIT_STATE_DIR. */
  readonly stateDirectory?: string;
}

/** What /status says, as far as it is looked at here. */
export interface ServiceStatus {
  readonly ready: boolean;
  readonly deaths: {
    readonly received: number;
    readonly reported: number;
    readonly filtered: number;
    readonly pending: number;
    readonly lost: Readonly<Record<'kernel' | 'loader' | 'queue' | 'export', number>>;
  };
  readonly queue?: {
    /** Why it takes nothing at the moment. */
    readonly error: string | null;
  };
}

export class Stack {
  readonly at: Place;
  readonly collector: Supervised;
  readonly loader: Supervised;
  readonly service: Supervised;
  readonly #site: CollectorSite;
  readonly #lines: AppendedLines;
  readonly #reported: Reported[] = [];

  constructor(at: Place, site: CollectorSite, programs: Record<'collector' | 'loader' | 'service', Supervised>) {
    this.at = at;
    this.#site = site;
    this.#lines = new AppendedLines(site.logsFilePath);
    ({ collector: this.collector, loader: this.loader, service: this.service } = programs);
  }

  /** Every record that the collector has in its file, in order. */
  records(): readonly Reported[] {
    for (const line of this.#lines.read())
      for (const request of requests(line))
        for (const record of logRecords(request)) {
          const one = reportedBy(record);
          if (one !== undefined) this.#reported.push(one);
        }
    return this.#reported;
  }

  collectorReady(): Promise<void> {
    return this.#site.ready(this.collector.program);
  }

  /** undefined: the service does not answer (yet). */
  async status(): Promise<ServiceStatus | undefined> {
    try {
      const response = await fetch(`http://${this.at.health}/status`, {
        signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      });
      return (await response.json()) as ServiceStatus;
    } catch {
      return undefined;
    }
  }

  async serviceReady(): Promise<void> {
    await until(
      'readyz of the service',
      READY_WITHIN_MS,
      async () => (await this.status())?.ready || undefined,
      () => `${this.loader.program.output()}${this.service.program.output()}`,
    );
  }

  /** undefined: no loader serves the socket right now. */
  async counters(): Promise<Status | undefined> {
    return await loaderStatus(this.at.socket).catch(() => undefined);
  }

  /** Resolves when all three work. */
  async ready(): Promise<void> {
    await this.collectorReady();
    await this.serviceReady();
  }

  surprises(): string[] {
    return [this.collector, this.loader, this.service].flatMap(({ surprises }) => surprises);
  }

  async stop(): Promise<void> {
    await this.service.stop();
    await this.loader.stop();
    await this.collector.stop();
    // A loader that was killed, or replaced by another, has left its pins.
    await startProgram(LOADER, ['unload', '--pin-dir', this.at.pinDir]).ended;
    this.at.directory.remove();
    this.#site.remove();
  }
}

/** Starts a stack, lets `work` happen, and stops it. Rejects where it does not stop in good order. */
export async function onStack<T>(options: StackOptions, work: (stack: Stack) => Promise<T>): Promise<T> {
  const at = await place();
  const site = await collectorSite({ keep: 'at once' });
  const endpoints = options.endpoints?.(site) ?? site;
  const env = {
    ...exportTo(endpoints, options.protocol),
    ...(options.stateDirectory === undefined ? {} : { WHODUNIT_STATE_DIR: options.stateDirectory }),
    ...options.env,
  };
  const stack = new Stack(at, site, {
    collector: new Supervised('the collector', site.start),
    loader: new Supervised('the loader', () => startLoader(at, options.loader ?? LOADER, options.ringBytes)),
    service: new Supervised('the service', () => startService(at, env)),
  });
  let result: T;
  let known: number;
  try {
    await stack.ready();
    result = await work(stack);
    known = stack.surprises().length;
  } finally {
    await stack.stop();
  }
  const late = stack.surprises().slice(known);
  if (late.length > 0) throw new Error(`at the end, ${late.join('\n')}`);
  return result;
}

/** A loader that leaves its pins when it is stopped, as a service manager's does. */
export function startLoader(at: Place, binary: string, ringBytes?: number): Program {
  const args = loaderArgs(at).filter((arg) => arg !== '--unload-on-exit');
  return startProgram(binary, ringBytes === undefined ? args : [...args, '--ring-bytes', String(ringBytes)]);
}

/** Where the service of a stack keeps its state, unless set otherwise. */
export function stateDirectory(at: Place): string {
  return join(at.directory.path, 'state');
}

/** Asking is work for those who are asked. */
const POLL_MS = 100;

/** Resolves when the service has acknowledged everybody who is dead now. Others go on dying on this machine meanwhile. */
export async function acknowledged(stack: Stack, withinMs: number): Promise<void> {
  let written: bigint | undefined;
  await until('everybody is acknowledged', withinMs, async () => {
    await sleep(POLL_MS);
    const counters = await stack.counters();
    if (counters === undefined) return undefined;
    const acked = BigInt(counters.acked_seq);
    written ??= acked + BigInt(counters.ring_used_bytes);
    return acked >= written || undefined;
  });
}

/** Resolves when every termination so far is settled: acknowledged, and then accepted, filtered, refused or lost. */
export async function settled(stack: Stack, withinMs: number): Promise<void> {
  await acknowledged(stack, withinMs);
  let received: number | undefined;
  await until('all that is acknowledged is settled', withinMs, async () => {
    await sleep(POLL_MS);
    const { deaths } = (await stack.status()) ?? {};
    received ??= deaths?.received;
    // First in, first out: what came before has gone before.
    return (
      (deaths !== undefined && received !== undefined && deaths.received - deaths.pending >= received) || undefined
    );
  });
}
