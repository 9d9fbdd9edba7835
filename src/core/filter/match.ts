// SPDX-License-Identifier: Apache-2.0
// The facts of a termination that rules match against, and the first rule that matches. The rules are in rules.ts.

import type { Arguments } from '../identity/arguments.ts';
import type { VictimIdentity } from '../identity/identity.ts';
import { seconds } from '../time.ts';
import type { Verdict } from '../verdict/verdict.ts';
import type { Death } from '../wire/event.ts';
import type { Rule, Subject } from './rules.ts';

/** The facts for the rules. Arguments are redacted in every mode, and only if they are read. */
class VictimSubject implements Subject {
  readonly executable: string[];
  readonly cgroup: string | null;
  readonly container: string | null;
  readonly unit: string | null;
  readonly service: string;
  readonly user: string;
  readonly exitCode: number | null;
  readonly signo: number;
  readonly cause: Verdict['cause'];
  readonly uptimeSeconds: number;
  readonly #arguments: Arguments;

  constructor(verdict: Verdict, victim: VictimIdentity) {
    const { placement, user } = victim;
    this.executable = victim.executable === null ? [victim.executableName] : [victim.executable, victim.executableName];
    this.cgroup = victim.cgroup;
    this.container = placement.containerId;
    this.unit = placement.unit;
    this.service = victim.serviceName;
    this.user = user.name ?? String(user.uid);
    this.exitCode = verdict.exitCode;
    this.signo = verdict.signo;
    this.cause = verdict.cause;
    this.uptimeSeconds = seconds(verdict.uptimeNs);
    this.#arguments = victim.arguments;
  }

  get arguments(): string | null {
    return this.#arguments.redacted?.join(' ') ?? null;
  }
}

export function subjectOf(verdict: Verdict, victim: VictimIdentity): Subject {
  return new VictimSubject(verdict, victim);
}

/** The first rule that matches. `rules` comes from rulesOf() in built-in.ts: its last rule always matches. */
export function firstMatch(subject: Subject, rules: readonly Rule[]): Rule {
  return rules.find((rule) => rule.matches(subject)) as Rule;
}

/**
 * The rule that matches every termination with the same key as this one. null: other facts than those of the key may decide, of this rule
 * or of one before it.
 */
export function firstCertain(subject: Subject, key: NonNullable<Death['repeat']>, rules: readonly Rule[]): Rule | null {
  for (const rule of rules) {
    const certain = rule.certain(subject, key);
    if (certain === null) return null;
    if (certain) return rule;
  }
  return null;
}
