// SPDX-License-Identifier: Apache-2.0
// Filter rules: which terminations get a record. They are validated and compiled once, and the first that matches decides. The built-in
// rules are in built-in.ts. io/rules.ts reads the user's file; match.ts provides the facts.
import * as z from 'zod/mini';
import type { $ZodIssue, $ZodType } from 'zod/v4/core';
import { type Glob, glob } from '../glob.ts';
import { CAUSE_VALUES } from '../telemetry/semconv.ts';
import { signalNumber } from '../verdict/signals.ts';
import type { Death } from '../wire/event.ts';

/** `report`: a record and the metric; `count`: only the metric; `ignore`: neither, but the termination still counts as filtered. */
export type Action = 'report' | 'count' | 'ignore';
export type ReportMode = 'default' | 'all';

export const RULES_MAX = 1000;
/** Maximum number of patterns in one condition. */
const PATTERNS_MAX = 100;

/** REPEAT_LONG_LIVED_NS in bpf/. */
export const LONG_LIVED_SECONDS = 10;

const EXIT_RANGE = /^(\d{1,3})-(\d{1,3})$/;

const oneOrMore = <T extends $ZodType>(item: T) =>
  z.pipe(
    z.union([item, z.array(item).check(z.minLength(1), z.maxLength(PATTERNS_MAX))]),
    z.transform((value): z.output<T>[] => (Array.isArray(value) ? value : [value]) as z.output<T>[]),
  );
const globs = z.optional(oneOrMore(z.string().check(z.minLength(1), z.maxLength(1024))));
const exitCode = z.union([
  z.int().check(z.gte(0), z.lte(255)),
  z.string().check(
    z.regex(EXIT_RANGE),
    z.refine((text) => Number(text.split('-')[0]) <= Number(text.split('-')[1]) && Number(text.split('-')[1]) <= 255),
  ),
]);
const signal = z.union([z.int(), z.string()]).check(z.refine((value) => signalNumber(String(value)) !== null));
const seconds = z.optional(z.number().check(z.gte(0)));

export const ruleSchema = z.strictObject({
  name: z.string().check(z.minLength(1), z.maxLength(200)),
  action: z.enum(['report', 'count', 'ignore']),
  executable: globs,
  cgroup: globs,
  container: globs,
  unit: globs,
  service: globs,
  user: globs,
  arguments: globs,
  exit_code: z.optional(oneOrMore(exitCode)),
  signal: z.optional(oneOrMore(signal)),
  cause: z.optional(oneOrMore(z.enum(CAUSE_VALUES))),
  uptime_above: seconds,
  uptime_below: seconds,
});
/** A rule as written in the file. All of its conditions must hold; a list holds if one of its values does. */
export type RuleText = z.input<typeof ruleSchema>;

const rulesSchema = z.strictObject({
  rules: z.optional(z.array(ruleSchema).check(z.maxLength(RULES_MAX))),
});

/** What is allowed at each key, for error messages. */
const ALLOWED: Readonly<Record<string, string>> = {
  '': 'the key rules',
  rules: `a list of at most ${RULES_MAX} rules`,
  name: 'a name of 1 to 200 characters',
  action: 'report, count, ignore',
  exit_code: 'a number from 0 to 255, a range such as "1-125", or a list of them',
  signal: 'a name such as SIGTERM, a number from 1 to 64, or a list of them',
  cause: `${CAUSE_VALUES.join(', ')}, or a list of them`,
  uptime_above: 'a number of seconds',
  uptime_below: 'a number of seconds',
};
const KEYS =
  'name, action, executable, cgroup, container, unit, service, user, arguments, exit_code, signal, cause, uptime_above, uptime_below';

export const subjectSchema = z.object({
  executable: z.array(z.string()),
  cgroup: z.nullable(z.string()),
  container: z.nullable(z.string()),
  unit: z.nullable(z.string()),
  service: z.string(),
  user: z.nullable(z.string()),
  /** Joined with spaces; secrets are redacted. */
  arguments: z.nullable(z.string()),
  /** null: the process was terminated by a signal. */
  exitCode: z.nullable(z.int()),
  /** 0: the process exited. */
  signo: z.int(),
  cause: z.enum(CAUSE_VALUES),
  uptimeSeconds: z.number(),
});
/** The facts of one termination that rules match against. null: not known; no condition on it holds. */
export type Subject = z.output<typeof subjectSchema>;

export const recentTerminationSchema = z.object({
  /** When the process terminated, ISO 8601. */
  time: z.string(),
  pid: z.int(),
  outcome: z.enum(['reported', 'filtered', 'aggregated']),
  /** The name of the rule that matched. */
  rule: z.string(),
  subject: subjectSchema,
});
/** One of the last terminations that the service handled, as in /recent. */
export type RecentTermination = z.output<typeof recentTerminationSchema>;

export interface Rule {
  readonly name: string;
  readonly action: Action;
  /** What it filters stays unsaid, also in a loop: the user wrote it, or knows what such an exit means. */
  readonly isFinal: boolean;
  readonly matches: (subject: Subject) => boolean;
  /** Whether it matches all terminations with the same key as this one. null: it matches some, or that is not known. */
  readonly certain: (subject: Subject, key: RepeatKey) => boolean | null;
}

/** What the key of equal terminations has (docs/wire.md, `repeat`). */
type RepeatKey = NonNullable<Death['repeat']>;

interface Condition {
  readonly holds: (subject: Subject) => boolean;
  /** Whether it holds, or does not hold, for all terminations with the same key as this one. */
  readonly isCertain: (subject: Subject, key: RepeatKey) => boolean;
}

/** An error in a rules file: the key (`rules[2].exit_code`), its value, and what is allowed there. */
export interface RulesError {
  readonly key: string;
  readonly value: string;
  readonly allowed: string;
}

/** Validates and compiles the parsed content of a rules file. */
export function parseRules(value: unknown): { ok: true; rules: Rule[] } | { ok: false; error: RulesError } {
  const parsed = rulesSchema.safeParse(value ?? {});
  if (parsed.success) return { ok: true, rules: (parsed.data.rules ?? []).map((rule) => compile(rule)) };
  return { ok: false, error: errorOf(parsed.error.issues[0] as $ZodIssue, value) };
}

function errorOf(issue: $ZodIssue, value: unknown): RulesError {
  const unknownKey = issue.code === 'unrecognized_keys' ? [issue.keys[0] ?? ''] : [];
  const path = [...issue.path, ...unknownKey];
  const key = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  const given = path.reduce<unknown>((at, part) => (at as Record<PropertyKey, unknown> | undefined)?.[part], value);
  const last = [...issue.path].reverse().find((part) => typeof part === 'string') ?? '';
  const inRule = issue.path.length >= 2;
  const allowed =
    inRule && last === 'rules' ? `a rule with ${KEYS}` : (ALLOWED[String(last)] ?? 'a glob, or a list of globs');
  return { key: key.replace(/^\./, '') || 'the file', value: shown(given), allowed };
}

function shown(value: unknown): string {
  return value === undefined ? 'missing' : (typeof value === 'string' ? value : JSON.stringify(value)).slice(0, 80);
}

/** Compiles a rule. `isFinal`: as of Rule. */
export function compile(text: z.output<typeof ruleSchema>, isFinal = text.action !== 'report'): Rule {
  const conditions: Condition[] = [];
  const add = (holds: Condition['holds'], isCertain: Condition['isCertain']): void => {
    conditions.push({ holds, isCertain });
  };
  const match = (
    patterns: readonly string[] | undefined,
    of: (subject: Subject) => string | null,
    isCertain: Condition['isCertain'],
  ): void => {
    if (patterns === undefined) return;
    const compiled = patterns.map(glob);
    add((subject) => any(compiled, of(subject)), isCertain);
  };
  const { exit_code: codes, signal: signals, cause: causes, uptime_above: above, uptime_below: below } = text;
  // Cheap conditions first.
  if (causes !== undefined) add(({ cause }) => causes.includes(cause), isExit);
  if (codes !== undefined) {
    const set = new Set(codes.flatMap(codesIn));
    add(({ exitCode }) => exitCode !== null && set.has(exitCode), always);
  }
  if (signals !== undefined) {
    const set = new Set(signals.map((value) => signalNumber(String(value))));
    add(({ signo }) => set.has(signo), always);
  }
  if (above !== undefined) add(({ uptimeSeconds }) => uptimeSeconds > above, isBeside(above));
  if (below !== undefined) add(({ uptimeSeconds }) => uptimeSeconds < below, isBeside(below));
  if (text.executable !== undefined) {
    const compiled = text.executable.map(glob);
    add(({ executable }) => executable.some((name) => any(compiled, name)), hasFile);
  }
  match(text.service, ({ service }) => service, hasClaims);
  match(text.unit, ({ unit }) => unit, always);
  match(text.container, ({ container }) => container, always);
  match(text.user, ({ user }) => user, always);
  match(text.cgroup, ({ cgroup }) => cgroup, always);
  match(text.arguments, (subject) => subject.arguments, never);
  const all = conditions.map(({ holds }) => holds);
  return {
    name: text.name,
    action: text.action,
    isFinal,
    matches: (subject) => all.every((holds) => holds(subject)),
    certain: (subject, key) => certain(conditions, subject, key),
  };
}

function certain(conditions: readonly Condition[], subject: Subject, key: RepeatKey): boolean | null {
  const sure = conditions.filter(({ isCertain }) => isCertain(subject, key));
  if (sure.some(({ holds }) => !holds(subject))) return false;
  return sure.length === conditions.length ? true : null;
}

// What a key decides: it has the status, the cgroup, the user, the executable's inode and a hash of the claims (struct repeat_key).
const always: Condition['isCertain'] = () => true;
const never: Condition['isCertain'] = () => false;
/** An exit has one cause, whatever came before; with code 0, a key is only armed where that holds. A signal's depends on how it was sent. */
const isExit: Condition['isCertain'] = ({ signo }) => signo === 0;
const hasFile: Condition['isCertain'] = (_, key) => key.file;
/** A process that claims no service is named after its unit, its container or its executable. */
const hasClaims: Condition['isCertain'] = (_, key) => key.file && key.claims;

/** Of how long the process ran, a key has whether that was longer than 10 s. */
function isBeside(limit: number): Condition['isCertain'] {
  return ({ uptimeSeconds }) =>
    uptimeSeconds > LONG_LIVED_SECONDS ? limit <= LONG_LIVED_SECONDS : limit >= LONG_LIVED_SECONDS;
}

function any(globs: readonly Glob[], text: string | null): boolean {
  return text !== null && globs.some((matches) => matches(text));
}

function codesIn(value: number | string): number[] {
  if (typeof value === 'number') return [value];
  const [, first = '', last = ''] = EXIT_RANGE.exec(value) ?? [];
  return Array.from({ length: Number(last) - Number(first) + 1 }, (_, i) => Number(first) + i);
}
