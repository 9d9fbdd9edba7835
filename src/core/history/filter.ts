// SPDX-License-Identifier: Apache-2.0
// Which entries of the history are wanted: one table of names for commands and the page. Values are globs.
import { glob } from '../glob.ts';
import * as semconv from '../telemetry/semconv.ts';
import { signalName, signalNumber } from '../verdict/signals.ts';
import { type Entry, type Kind, SHORT_UID_CHARS } from './entry.ts';
import { FILTER_NAMES, type FilterName } from './filter-names.ts';

export interface Filter extends Readonly<Partial<Record<FilterName, string>>> {
  /** ns since 1970; this and later ones. */
  readonly sinceNs?: bigint;
  /** Only earlier ones. */
  readonly untilNs?: bigint;
  readonly kind?: Kind;
  /** Only restarts of this termination. */
  readonly terminationUid?: string;
}

/** What of an entry a filter is compared with: it matches if one of them does. */
export function valuesOf(entry: Entry, name: FilterName): readonly string[] {
  const { process, attributes, resource } = entry;
  const present = (...values: (string | undefined)[]) => values.filter((value) => value !== undefined);
  switch (name) {
    case 'executable':
      return present(process.executable, process.executable?.split('/').at(-1), process.name);
    case 'container': {
      const id = resource[semconv.CONTAINER_ID];
      return present(entry.container, ...(typeof id === 'string' ? [id, id.slice(0, CONTAINER_CHARS)] : []));
    }
    case 'user':
      return present(entry.user, textOf(resource[semconv.PROCESS_USER_ID]));
    case 'unit':
      return present(entry.unit, textOf(resource[semconv.SYSTEMD_USER_UNIT]), entry.unit?.replace(/\.service$/, ''));
    case 'sender':
      return present(entry.sender, textOf(attributes[semconv.SENDER_EXECUTABLE_NAME]));
    case 'incident':
      return present(entry.incident_id, entry.incident_id?.slice(0, SHORT_UID_CHARS));
    case 'service':
    case 'cause':
    case 'signal':
      return present(entry[name]);
  }
}

const CONTAINER_CHARS = 12;

function textOf(value: unknown): string | undefined {
  return value === undefined || value === '' ? undefined : String(value);
}

/** Compiled once; without its times, which the index has. */
export function matcherOf(filter: Filter): (entry: Entry) => boolean {
  const conditions = FILTER_NAMES.flatMap((name) => {
    const wanted = filter[name];
    if (wanted === undefined) return [];
    const matches = glob(name === 'signal' ? signalOf(wanted) : wanted);
    return [(entry: Entry) => valuesOf(entry, name).some(matches)];
  });
  const { kind, terminationUid, sinceNs, untilNs } = filter;
  return (entry) =>
    (kind === undefined || entry.kind === kind) &&
    (terminationUid === undefined || entry.termination_uid === terminationUid) &&
    (sinceNs === undefined || entry.time_ns >= sinceNs) &&
    (untilNs === undefined || entry.time_ns < untilNs) &&
    conditions.every((holds) => holds(entry));
}

/** `9`, `KILL` and `sigkill` are SIGKILL. */
function signalOf(text: string): string {
  const number = signalNumber(text);
  return number === null ? text : signalName(number);
}

/** The filters that the index can decide before a record is read: the value that it must have. */
export function indexedFilters(filter: Filter): readonly (readonly [FilterName, string])[] {
  return EXACT.flatMap((name) => {
    const value = filter[name];
    if (value === undefined || /[*?\\]/.test(value)) return [];
    if (name === 'incident' && value.length !== UID_CHARS) return [];
    return [[name, name === 'signal' ? signalOf(value) : value] as const];
  });
}

/** Those that are compared with one value only; an incident also with the beginning of its id. */
const EXACT = ['service', 'cause', 'signal', 'incident'] as const;
const UID_CHARS = 36;
