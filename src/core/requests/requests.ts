// SPDX-License-Identifier: Apache-2.0
// Remembers which tools were executed to ask for something, and how they ended. Bounded by origin; kept across restarts of the service. Time
// is an argument. ask.ts reads the command lines, join.ts finds the request behind a termination.
import * as z from 'zod/mini';
import type { ArgumentsMode } from '../identity/arguments.ts';
import { originOf } from '../identity/origin.ts';
import { cutArguments, redactArguments } from '../identity/redact.ts';
import { Displaced, FairMap } from '../shares.ts';
import { SECOND_NS } from '../time.ts';
import { decodeStatus } from '../verdict/signals.ts';
import { type Request, type RequestEnd, requestSchema } from '../wire/event.ts';
import { flag, object, u64 } from '../wire/values.ts';
import { type Ask, askOf } from './ask.ts';
import { keyOf } from './key.ts';

/** Requests that are remembered at once. */
export const REQUESTS_MAX = 512;
export const REMEMBERED_NS = 600n * SECOND_NS;

export interface Known {
  readonly ask: Ask;
  /** With the arguments as they may be shown. */
  readonly request: Request;
  /** null: the tool runs, as far as is known. */
  readonly end: End | null;
}

export interface End {
  /** CLOCK_BOOTTIME. */
  readonly atNs: bigint;
  /** A tool that a signal ended may have asked before. One that ended with an error asked for nothing, and is forgotten. */
  readonly bySignal: boolean;
}

/** As it is stored: JSON. */
export interface StoredRequest {
  readonly bootId: string;
  readonly known: unknown;
}

interface Remembered {
  readonly bootId: string;
  readonly known: Known;
  readonly stored: StoredRequest;
}

export class Requests {
  readonly #remembered = new FairMap<Remembered>(REQUESTS_MAX);
  /** The keys of those that run, as far as is known. */
  readonly #running = new Set<string>();
  /** All, in the order in which they were executed. null: something changed since. */
  #ordered: readonly Remembered[] | null = null;
  /** When old ones were forgotten last. */
  #cleanedNs = 0n;
  /** Requests of the last 10 minutes that were forgotten. */
  readonly forgotten = new Displaced();

  /** `before`: what the previous run stored. */
  constructor(before: readonly StoredRequest[] = []) {
    for (const { bootId, known } of before) {
      const read = z.safeParse(knownSchema, known);
      if (read.success) this.#keep(bootId, read.data);
    }
  }

  /** Remembers it, if it asks for something. A tool that executes another one, as `service` does, is one request: the last. */
  add(request: Request, bootId: string, mode: ArgumentsMode): void {
    this.#forgetOld(request.time_ns, bootId);
    const ask = askOf(request);
    if (ask !== null && request.init_signal !== null) {
      const end = { atNs: request.time_ns, bySignal: false };
      this.#keep(bootId, { ask, request: shown(request, mode), end });
    } else if (ask === null) this.#forget(keyOf(request.process));
    else this.#keep(bootId, { ask, request: shown(request, mode), end: null });
  }

  end({ pid, start_boottime_ns, time_ns: atNs, status_raw }: RequestEnd): void {
    const key = keyOf({ pid, start_boottime_ns });
    const remembered = this.#remembered.get(key);
    if (remembered === undefined) return;
    const { signal, exitCode } = decodeStatus(status_raw);
    if (signal === 0 && exitCode !== 0) this.#forget(key);
    else this.#keep(remembered.bootId, { ...remembered.known, end: { atNs, bySignal: signal !== 0 } });
  }

  /** No termination has to wait for the end of one. */
  get allEnded(): boolean {
    return this.#running.size === 0;
  }

  /** Those of this boot, in the order in which they were executed. */
  of(bootId: string): readonly Known[] {
    return this.#inOrder().flatMap((one) => (one.bootId === bootId ? [one.known] : []));
  }

  /** One that has not changed since is the same object. */
  stored(): readonly StoredRequest[] {
    return this.#inOrder().map(({ stored }) => stored);
  }

  #inOrder(): readonly Remembered[] {
    this.#ordered ??= this.#remembered
      .members()
      .map(({ value }) => value)
      .sort((a, b) => (a.known.request.time_ns < b.known.request.time_ns ? -1 : 1));
    return this.#ordered;
  }

  #keep(bootId: string, known: Known): void {
    const key = rememberedAs(known.request);
    const stored = { bootId, known: plain(known) };
    this.#ordered = null;
    const displaced = this.#remembered.set(key, originOf(known.request), { bootId, known, stored });
    if (known.end === null) this.#running.add(key);
    else this.#running.delete(key);
    if (displaced === null) return;
    this.#running.delete(displaced.key);
    this.forgotten.add(displaced.origin);
  }

  #forget(key: string): void {
    this.#ordered = null;
    this.#remembered.delete(key);
    this.#running.delete(key);
  }

  #forgetOld(nowNs: bigint, bootId: string): void {
    if (nowNs - this.#cleanedNs < SECOND_NS && nowNs >= this.#cleanedNs) return;
    this.#cleanedNs = nowNs;
    for (const { key, value } of this.#remembered.members())
      if (value.bootId !== bootId || nowNs - value.known.request.time_ns > REMEMBERED_NS) this.#forget(key);
  }
}

/** A tool may send signals, too: they are requests besides its own. */
function rememberedAs({ process, init_signal: signal }: Request): string {
  return signal === null ? keyOf(process) : `${keyOf(process)} ${signal.signo} ${keyOf(signal)}`;
}

/** What is stored, too, has no secrets that may not be shown. */
function shown(request: Request, mode: ArgumentsMode): Request {
  const allowed = (args: readonly string[] | null | undefined): string[] | null => {
    if (mode === 'off' || args == null) return null;
    return [...(mode === 'full' ? cutArguments(args) : redactArguments(args))];
  };
  const { process } = request;
  const ancestors = process.ancestors.map((ancestor) => ({ ...ancestor, args: allowed(ancestor.args) }));
  return { ...request, process: { ...process, args: allowed(process.args), ancestors } };
}

/** JSON has no bigint: as on the wire, a text. */
function plain(known: Known): unknown {
  return JSON.parse(JSON.stringify(known, (_, value) => (typeof value === 'bigint' ? String(value) : value)));
}

const knownSchema = object({
  ask: z.custom<Ask>((value) => typeof value === 'object' && value !== null),
  request: requestSchema,
  end: z.nullable(object({ atNs: u64, bySignal: flag })),
});
