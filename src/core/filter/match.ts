// SPDX-License-Identifier: Apache-2.0
// The facts of a termination that rules match against, and the first rule that matches. The rules are in rules.ts.

import type { VictimIdentity } from '../identity/identity.ts';
import { seconds } from '../time.ts';
import type { Verdict } from '../verdict/verdict.ts';
import type { Death } from '../wire/event.ts';
import type { Rule, Subject } from './rules.ts';

/** The facts for the rules. Arguments are redacted in every mode, and only if a rule reads them. */
export function subjectOf(verdict: Verdict, victim: VictimIdentity): Subject {
  const { placement, user, executableName } = victim;
  return {
    executable: victim.executable === null ? [executableName] : [victim.executable, executableName],
    cgroup: victim.cgroup,
    container: placement.containerId,
    unit: placement.unit,
    service: victim.serviceName,
    user: user.name ?? String(user.uid),
    exitCode: verdict.exitCode,
    signo: verdict.signo,
    cause: verdict.cause,
    uptimeSeconds: seconds(verdict.uptimeNs),
    get arguments() {
      return victim.arguments.redacted?.join(' ') ?? null;
    },
  };
}

/** The first rule that matches. `rules` comes from rulesOf(): its last rule always matches. */
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
