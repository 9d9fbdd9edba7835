// SPDX-License-Identifier: Apache-2.0
// The flags of the commands that read the history → what they look for. A wrong value is a FatalError that names what is allowed.
import { configError } from '../core/errors.ts';
import { MUTE_MS_MAX } from '../core/filter/mutes.ts';
import type { Filter } from '../core/history/filter.ts';
import { FILTER_NAMES } from '../core/history/filter-names.ts';
import { DURATIONS, parseDuration, parseTime, TIMES } from '../core/history/when.ts';
import { CAUSE_VALUES } from '../core/telemetry/semconv.ts';
import { signalNumber } from '../core/verdict/signals.ts';
import { type Env, read } from './env.ts';

const MS = 1_000_000n;

/** The flags, as they were given. */
export type Given = Readonly<Partial<Record<string, string | boolean | readonly string[]>>>;

export interface HistoryQuery {
  readonly stateDir: string;
  readonly filter: Filter;
  /** null: the default of the command. */
  readonly limit: number | null;
  readonly reverse: boolean;
  readonly output: string | null;
  /** The output may be shown in a pager. */
  readonly pager: boolean;
}

export interface PurgeQuery {
  readonly stateDir: string;
  readonly filter: Filter;
  readonly ids: readonly string[];
  readonly undelivered: boolean;
  readonly dryRun: boolean;
}

export interface MuteQuery {
  readonly stateDir: string;
  /** A glob. null: none is named. */
  readonly service: string | null;
  /** null: nothing is muted. */
  readonly forMs: number | null;
  readonly remove: boolean;
}

export type HistoryCommand =
  | ({ readonly command: 'list' | 'follow' | 'stats' } & HistoryQuery)
  /** `what`: an id, the beginning of one, a pid, or `last`. */
  | ({ readonly command: 'show'; readonly what: string } & HistoryQuery)
  | ({ readonly command: 'purge' } & PurgeQuery);

export function readHistoryQuery(env: Env, given: Given, output: string | null): HistoryQuery {
  return {
    stateDir: stateDirOf(env, given),
    filter: readFilter(given),
    limit: limitOf(given.limit),
    reverse: given.reverse === true,
    output,
    pager: given['no-pager'] !== true,
  };
}

/** At least one condition is required: no flag must not mean all. */
export function readPurgeQuery(env: Env, given: Given): PurgeQuery {
  const { before, user, id = [] } = given;
  const ids = (id as readonly string[]).map((text) => text.trim());
  const wrong = ids.find((text) => !/^[0-9a-f-]{4,36}$/i.test(text));
  if (wrong !== undefined)
    throw configError('--id', wrong, 'a uid, or at least its first 4 characters', 'See whodunit list.');
  if (before === undefined && user === undefined && ids.length === 0)
    throw configError('whodunit purge', 'without a condition', '--before, --user, --id', 'Say what to remove.');
  const untilNs = timeOf('--before', before);
  return {
    stateDir: stateDirOf(env, given),
    filter: { ...(untilNs === null ? {} : { untilNs }), ...(typeof user === 'string' ? { user } : {}) },
    ids,
    undelivered: given.undelivered === true,
    dryRun: given['dry-run'] === true,
  };
}

export function readMuteQuery(env: Env, given: Given): MuteQuery {
  const { service, remove } = given;
  const forMs = typeof given.for === 'string' ? parseDuration(given.for) : null;
  const isWrong = forMs === null || forMs <= 0 || forMs > MUTE_MS_MAX;
  if (typeof given.for === 'string' && isWrong)
    throw configError('--for', given.for, `${DURATIONS}; at most 30d`, 'Correct it.');
  if (remove !== true && (service === undefined) !== (forMs === null))
    throw configError('whodunit mute', 'incomplete', '--service NAME --for DURATION', 'Give both.');
  if (remove === true && forMs !== null)
    throw configError('whodunit mute', '--remove --for', 'one of them', 'Leave one out.');
  return {
    stateDir: stateDirOf(env, given),
    service: typeof service === 'string' && service !== '' ? service : null,
    forMs,
    remove: remove === true,
  };
}

export function stateDirOf(env: Env, given: Given): string {
  const directory = given['state-dir'];
  return typeof directory === 'string' && directory !== '' ? directory : read(env, 'WHODUNIT_STATE_DIR');
}

export function readFilter(given: Given): Filter {
  const sinceNs = timeOf('--since', given.since);
  const untilNs = timeOf('--until', given.until);
  const { cause, signal } = given;
  if (typeof cause === 'string' && !/[*?]/.test(cause) && !(CAUSE_VALUES as readonly string[]).includes(cause))
    throw configError('--cause', cause, CAUSE_VALUES.join(', '), 'Wildcards are allowed, too.');
  if (typeof signal === 'string' && !/[*?]/.test(signal) && signalNumber(signal) === null)
    throw configError('--signal', signal, 'a name such as SIGTERM, or a number from 1 to 64', 'Correct it.');
  return {
    ...(sinceNs === null ? {} : { sinceNs }),
    ...(untilNs === null ? {} : { untilNs }),
    ...Object.fromEntries(FILTER_NAMES.flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]]]))),
  };
}

/** ns since 1970. null: it was not given. */
function timeOf(flag: string, given: Given[string]): bigint | null {
  if (typeof given !== 'string') return null;
  const ms = parseTime(given, Date.now());
  if (ms === null || ms < 0) throw configError(flag, given, TIMES, 'Write it in one of these forms.');
  return BigInt(Math.round(ms)) * MS;
}

function limitOf(given: Given[string]): number | null {
  if (typeof given !== 'string') return null;
  if (!/^\d{1,9}$/.test(given)) throw configError('--limit', given, 'a whole number, 0 for all', 'Correct it.');
  return given === '0' ? Number.POSITIVE_INFINITY : Number(given);
}
