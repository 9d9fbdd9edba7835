// SPDX-License-Identifier: Apache-2.0
// Collector, loader and service, each under its own supervisor, and their results: the records that arrived and the losses that were
// counted. The scenarios disturb them in proxy.
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
import { membersBy, type Reported, type ReportedMembers, reportedBy } from './ledger.ts';
import { Supervised } from './supervised.ts';

const READY_WITHIN_MS = 30_000;
/** On a busy machine. */
const ANSWER_WITHIN_MS = 10_000;

export interface StackOptions {
  readonly protocol: Protocol;
  /** Where the service sends to, if not directly to the collector. */
  readonly endpoints?: (collector: CollectorSite) => { grpc: string; http: string };
  readonly ringBytes?: number;
  /** WHODUNIT_SCOPE of the loader. */
  readonly scope?: string;
  /** The first loader, if not the built one. */
  readonly loader?: string | undefined;
  readonly env?: NodeJS.ProcessEnv;
  /** WHODUNIT_STATE_DIR of the service. */
  readonly stateDirectory?: string;
}

/** The fields of /status that are used here. */
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
    /** Why the queue currently stores nothing. */
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
  readonly #members: ReportedMembers[] = [];

  constructor(at: Place, site: CollectorSite, programs: Record<'collector' | 'loader' | 'service', Supervised>) {
    this.at = at;
    this.#site = site;
    this.#lines = new AppendedLines(site.logsFilePath);
    ({ collector: this.collector, loader: this.loader, service: this.service } = programs);
  }

  /** The terminations in the file of the collector, in order: those with a record, and those that the record of an incident lists. */
  records(): readonly Reported[] {
    this.#read();
    return this.#reported;
  }

  /** The records of incidents in the file of the collector. */
  members(): readonly ReportedMembers[] {
    this.#read();
    return this.#members;
  }

  #read(): void {
    for (const line of this.#lines.read())
      for (const request of requests(line))
        for (const record of logRecords(request)) {
          const one = reportedBy(record);
          if (one !== undefined) this.#reported.push(one);
          const members = membersBy(record);
          if (members === undefined) continue;
          this.#members.push(members);
          this.#reported.push(...members.listed);
        }
  }

  collectorReady(): Promise<void> {
    return this.#site.ready(this.collector.program);
  }

  /** Returns undefined if the service does not answer (yet). */
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

  /** Returns undefined if no loader serves the socket at the moment. */
  async counters(): Promise<Status | undefined> {
    return await loaderStatus(this.at.socket).catch(() => undefined);
  }

  /** Resolves when all three are ready. */
  async ready(): Promise<void> {
    await this.collectorReady();
    await this.serviceReady();
  }

  unexpectedExits(): string[] {
    return [this.collector, this.loader, this.service].flatMap(({ unexpectedExits }) => unexpectedExits);
  }

  async stop(): Promise<void> {
    await this.service.stop();
    await this.loader.stop();
    await this.collector.stop();
    // A loader that was killed or replaced leaves its pins.
    await startProgram(LOADER, ['unload', '--pin-dir', this.at.pinDir]).ended;
    this.at.directory.remove();
    this.#site.remove();
  }
}

/** Starts a stack, runs `work`, and stops the stack. Rejects if it does not stop cleanly. */
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
    loader: new Supervised('the loader', () => startLoader(at, options.loader ?? LOADER, options)),
    service: new Supervised('the service', () => startService(at, env)),
  });
  let result: T;
  let known: number;
  try {
    await stack.ready();
    result = await work(stack);
    known = stack.unexpectedExits().length;
  } finally {
    await stack.stop();
  }
  const late = stack.unexpectedExits().slice(known);
  if (late.length > 0) throw new Error(`during the shutdown, ${late.join('\n')}`);
  return result;
}

/** Starts a loader that leaves its pins when it is stopped, as under a service manager. */
export function startLoader(
  at: Place,
  binary: string,
  { ringBytes, scope }: Pick<StackOptions, 'ringBytes' | 'scope'> = {},
): Program {
  return startProgram(binary, [
    ...loaderArgs(at).filter((arg) => arg !== '--unload-on-exit'),
    ...(ringBytes === undefined ? [] : ['--ring-bytes', String(ringBytes)]),
    ...(scope === undefined ? [] : ['--scope', scope]),
  ]);
}

/** The default state directory of the service of a stack. */
export function stateDirectory(at: Place): string {
  return join(at.directory.path, 'state');
}

/** Polling costs CPU time of the programs under test. */
const POLL_MS = 100;

/** Resolves when the service has acknowledged every termination up to now. Later ones on this machine do not matter. */
export async function acknowledged(stack: Stack, withinMs: number): Promise<void> {
  let written: bigint | undefined;
  await until('the acknowledgement of every termination', withinMs, async () => {
    await sleep(POLL_MS);
    const counters = await stack.counters();
    if (counters === undefined) return undefined;
    const acked = BigInt(counters.acked_seq);
    written ??= acked + BigInt(counters.ring_used_bytes);
    return acked >= written || undefined;
  });
}

/** Resolves when every termination up to now is settled: acknowledged, and then accepted, filtered, refused or lost. */
export async function settled(stack: Stack, withinMs: number): Promise<void> {
  await acknowledged(stack, withinMs);
  let received: number | undefined;
  await until('the settlement of every acknowledged termination', withinMs, async () => {
    await sleep(POLL_MS);
    const { deaths } = (await stack.status()) ?? {};
    received ??= deaths?.received;
    // The queue is first in, first out.
    return (
      (deaths !== undefined && received !== undefined && deaths.received - deaths.pending >= received) || undefined
    );
  });
}
