// SPDX-License-Identifier: Apache-2.0
// Gives a termination to the rules: what of it they look at, and the first that matches. Nothing filtered is lost: it is counted.
// The rules themselves are in rules.ts.

import { redactArguments } from '../identity/redact.ts';
import type { Attributes } from '../identity/resource.ts';
import * as semconv from '../telemetry/semconv.ts';
import { seconds } from '../time.ts';
import type { Verdict } from '../verdict/verdict.ts';
import type { Death } from '../wire/event.ts';
import type { Rule, Subject } from './rules.ts';

/** What rules see of a termination. Arguments are without their secrets, and only looked at where a rule asks for them. */
export function subjectOf(death: Death, verdict: Verdict, resource: Attributes): Subject {
  const text = (key: string): string | null => (typeof resource[key] === 'string' ? (resource[key] as string) : null);
  const names = [text(semconv.PROCESS_EXECUTABLE_PATH), text(semconv.PROCESS_EXECUTABLE_NAME)];
  const { args } = death.process;
  let shown: string | null | undefined;
  return {
    executable: names.filter((name) => name !== null),
    cgroup: text(semconv.PROCESS_LINUX_CGROUP),
    container: text(semconv.CONTAINER_ID),
    unit: text(semconv.SYSTEMD_UNIT),
    service: text(semconv.SERVICE_NAME) ?? '',
    user: text(semconv.PROCESS_OWNER) ?? String(death.process.uid),
    exitCode: verdict.exitCode,
    signo: verdict.signo,
    cause: verdict.cause,
    uptimeSeconds: seconds(death.time_ns - death.process.start_boottime_ns),
    get arguments() {
      shown ??= args === null ? null : redactArguments(args).join(' ');
      return shown;
    },
  };
}

/** The first rule that matches. `rules` is of rulesOf(): its last one always does. */
export function firstMatch(subject: Subject, rules: readonly Rule[]): Rule {
  return rules.find((rule) => rule.matches(subject)) as Rule;
}
