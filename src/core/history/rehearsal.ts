// SPDX-License-Identifier: Apache-2.0
// Rules tried on what was: which records would go, and which terminations without one would get one. Pure: the caller reads both.
import { firstMatch } from '../filter/match.ts';
import type { Action, Rule, Subject } from '../filter/rules.ts';
import { redactArguments } from '../identity/redact.ts';
import * as semconv from '../telemetry/semconv.ts';
import type { Cause } from '../verdict/verdict.ts';
import type { Entry } from './entry.ts';
import type { Unreported } from './unreported.ts';

/** A termination that the rules would handle otherwise. */
export interface Change {
  readonly uid: string;
  readonly timeNs: bigint;
  readonly pid: number | null;
  readonly subject: Subject;
  /** The rule that matches now, and what it does. */
  readonly rule: string;
  readonly action: Action;
  /** The rule that matched then. null: it was not kept, as of each record. */
  readonly ruleThen: string | null;
  /** Equal ones that the kernel counted after it. */
  readonly counted: number;
}

export interface Rehearsal {
  /** How many were tried. */
  readonly records: number;
  readonly unreported: number;
  /** Equal ones of the latter that the kernel counted. */
  readonly counted: number;
  /** Records that would go. */
  readonly gone: readonly Change[];
  /** Filtered terminations that would get a record, or be aggregated. */
  readonly come: readonly Change[];
  /** Aggregated terminations that would only be counted: incidents, loops and summaries would not have them. */
  readonly left: readonly Change[];
}

/** `entries`: of terminations. */
export function rehearse(
  entries: Iterable<Entry>,
  unreported: readonly Unreported[],
  rules: readonly Rule[],
): Rehearsal {
  let records = 0;
  const gone: Change[] = [];
  for (const entry of entries) {
    const subject = subjectOfEntry(entry);
    if (subject === null) continue;
    records += 1;
    const { uid, time_ns: timeNs, process } = entry;
    const { name: rule, action } = firstMatch(subject, rules);
    if (action !== 'report')
      gone.push({ uid, timeNs, pid: process.pid, subject, rule, action, ruleThen: null, counted: 0 });
  }
  const [come, left]: [Change[], Change[]] = [[], []];
  for (const { uid, timeNs, pid, subject, outcome, rule: ruleThen, counted } of unreported) {
    const { name: rule, action } = firstMatch(subject, rules);
    const change = { uid, timeNs, pid, subject, rule, action, ruleThen, counted };
    if (outcome === 'filtered' && action === 'report') come.push(change);
    else if (outcome === 'aggregated' && action !== 'report') left.push(change);
  }
  const sum = unreported.reduce((total, { counted }) => total + counted, 0);
  return { records, unreported: unreported.length, counted: sum, gone, come, left };
}

/** What rules read, from the record. null: it has no cause. */
export function subjectOfEntry({ process, cause, unit, user, attributes, resource }: Entry): Subject | null {
  if (!isCause(cause)) return null;
  const text = (name: string): string | null => (resource[name] === undefined ? null : String(resource[name]));
  const args = resource[semconv.PROCESS_COMMAND_ARGS];
  const name = text(semconv.PROCESS_EXECUTABLE_NAME) ?? process.name;
  const exitCode = attributes[semconv.PROCESS_EXIT_CODE];
  return {
    executable: process.executable === undefined ? [name] : [process.executable, name],
    cgroup: text(semconv.PROCESS_LINUX_CGROUP),
    container: text(semconv.CONTAINER_ID),
    unit: unit ?? null,
    service: text(semconv.SERVICE_NAME) ?? '',
    user: user ?? null,
    // As the service does, which matches them without their secrets.
    arguments: Array.isArray(args) ? redactArguments(args.map(String)).join(' ') : null,
    exitCode: typeof exitCode === 'number' ? exitCode : null,
    signo: typeof exitCode === 'number' ? 0 : Number(attributes[semconv.SIGNAL_NUMBER] ?? 0),
    cause,
    uptimeSeconds: Number(attributes[semconv.PROCESS_UPTIME] ?? 0),
  };
}

function isCause(cause: string | undefined): cause is Cause {
  return (semconv.CAUSE_VALUES as readonly (string | undefined)[]).includes(cause);
}
