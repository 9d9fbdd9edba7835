// SPDX-License-Identifier: Apache-2.0
// Which terminations are worth a record. Rules are a list, the first match wins. Only the built-in rules are here; rules of the
// user (globs on executable, unit, service, …) will be put before them. Nothing screened is lost: it is counted.

import type { Attributes } from './enrich.ts';
import type { Death } from './event.ts';
import { CONTAINER_ID, SERVICE_NAME, SYSTEMD_UNIT } from './semconv.ts';
import type { Cause, Verdict } from './verdict.ts';

/** `report`: a record and the metric; `count`: the metric only; `ignore`: neither, but it still counts as screened. */
export type Action = 'report' | 'count' | 'ignore';
export type ReportMode = 'default' | 'all';

/** A process that lived longer than this matters, whoever it is. */
export const UPTIME_THAT_MATTERS_NS = 10_000_000_000n;

interface Subject {
  readonly death: Death;
  readonly verdict: Verdict;
  readonly resource: Attributes;
  readonly mode: ReportMode;
}

interface Rule {
  readonly name: string;
  readonly when: (subject: Subject) => boolean;
  readonly action: Action;
}

/** Deaths that are an incident whoever dies. */
const INCIDENTS: ReadonlySet<Cause> = new Set([
  'fault',
  'abort',
  'oom_kill',
  'seccomp',
  'resource_limit',
  'killed',
  'self_signal',
  'namespace_exit',
  'kernel',
  'unknown',
]);

const RULES: readonly Rule[] = [
  { name: 'exit code 0 is no incident', when: ({ verdict }) => verdict.exitCode === 0, action: 'ignore' },
  { name: 'everything was asked for', when: ({ mode }) => mode === 'all', action: 'report' },
  {
    name: 'a death that is an incident whoever dies',
    when: ({ verdict }) => INCIDENTS.has(verdict.cause),
    action: 'report',
  },
  // What is left: an exit code, or an end that belongs to daily life (Ctrl-C, `yes | head`, a closed terminal, a timer).
  { name: 'a process that matters', when: matters, action: 'report' },
  { name: 'daily life', when: () => true, action: 'count' },
];

/** What to do with a termination. */
export function screen(death: Death, verdict: Verdict, resource: Attributes, mode: ReportMode): Action {
  const subject: Subject = { death, verdict, resource, mode };
  return (RULES.find((rule) => rule.when(subject)) as Rule).action;
}

/** A known service name, a container, a systemd service, or more than 10 s of life. */
function matters({ death, resource }: Subject): boolean {
  const service = resource[SERVICE_NAME];
  if (typeof service === 'string' && !service.startsWith('unknown_service')) return true;
  if (resource[CONTAINER_ID] !== undefined) return true;
  const unit = resource[SYSTEMD_UNIT];
  if (typeof unit === 'string' && unit.endsWith('.service') && !unit.startsWith('user@')) return true;
  return death.time_ns - death.process.start_boottime_ns > UPTIME_THAT_MATTERS_NS;
}
