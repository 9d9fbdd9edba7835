// SPDX-License-Identifier: Apache-2.0
// The stages of one death in a row: classify, classify, enrich, match, aggregate, record. Pure but for the memories that are given to it; what
// happens to the result is left to main.ts.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { CrashLoops } from './filter/aggregate.ts';
import { firstMatch, subjectOf } from './filter/match.ts';
import type { Recent, Seen } from './filter/memory.ts';
import type { Rule, Subject } from './filter/rules.ts';
import { type ArgumentsMode, type Attributes, type Host, resourceOf } from './identity/resource.ts';
import { buildRecord, recordUid, severityOf } from './telemetry/record.ts';
import type { Restarts } from './telemetry/restart.ts';
import { K8S_POD_UID, SERVICE_NAME, SERVICE_NAMESPACE } from './telemetry/semconv.ts';
import { classify } from './verdict/classify.ts';
import { auditArchOf } from './verdict/syscalls.ts';
import type { Verdict } from './verdict/verdict.ts';
import type { Death } from './wire/event.ts';

export interface Circumstances {
  readonly bootId: string;
  readonly host: Host;
  readonly argumentsMode: ArgumentsMode;
  readonly rules: readonly Rule[];
  readonly seen: Seen;
  readonly recent: Recent;
  readonly loops: CrashLoops;
  readonly restarts: Restarts;
  /** When the death was read: ns since 1970, and ms of a steady clock. */
  readonly observedNs: bigint;
  readonly nowMs: number;
}

export type Conclusion =
  | { readonly kind: 'duplicate' }
  | {
      readonly kind: 'new';
      readonly uid: string;
      readonly outcome: 'reported' | 'filtered' | 'aggregated';
      readonly rule: Rule;
      readonly subject: Subject;
      readonly verdict: Verdict;
      readonly resource: Attributes;
      /** null unless the outcome is `reported`. */
      readonly record: ReadableLogRecord | null;
    };

/** What is to be said of a death; `duplicate` if it was concluded before. Adds it to the memories. */
export function conclude(death: Death, circumstances: Circumstances): Conclusion {
  const { bootId, host, argumentsMode, rules, seen, recent, loops, restarts, observedNs, nowMs } = circumstances;
  const uid = recordUid(bootId, death.process.pid, death.process.start_boottime_ns);
  if (!seen.add(uid)) return { kind: 'duplicate' };
  const verdict = classify(death, auditArchOf(host.arch));
  const resource = resourceOf(death, host, argumentsMode);
  const service = serviceKey(resource);
  const ends = recent.add(service, death.time_ns);
  const subject = subjectOf(death, verdict, resource);
  const rule = firstMatch(subject, rules);
  const facts = { kind: 'new', uid, rule, subject, verdict, resource } as const;
  if (rule.action !== 'report') return { ...facts, outcome: 'filtered', record: null };
  const endedNs = death.time_ns + death.clock_offset_ns;
  const severity = severityOf(verdict);
  if (loops.aggregates({ key: service, endedNs, cause: verdict.cause, severity, resource }, nowMs))
    return { ...facts, outcome: 'aggregated', record: null };
  const record = buildRecord({ death, verdict, uid, resource, host, argumentsMode, observedNs, recent: ends });
  const { exe, args } = death.process;
  restarts.add({ uid, victim: { exe, args }, service, resource: record.resource, spanContext: record.spanContext });
  return { ...facts, outcome: 'reported', record };
}

/** Whose ends are counted and aggregated together. Without a name of its own, one pod's executable is not another's. */
function serviceKey(resource: Attributes): string {
  const name = String(resource[SERVICE_NAME]);
  const pod = name.startsWith('unknown_service') ? resource[K8S_POD_UID] : undefined;
  return JSON.stringify([resource[SERVICE_NAMESPACE] ?? null, name, pod ?? null]);
}
