// SPDX-License-Identifier: Apache-2.0
// The stages of one termination in order: duplicate? → verdict → identities → filter → aggregation → record. Pure, except that it
// updates the memories passed to it. The caller prints, counts and stores the conclusion.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { crashReport } from './crash/crash.ts';
import type { CrashPlaces } from './crash/history.ts';
import type { Candidate, CrashLoops } from './filter/aggregate.ts';
import { firstMatch, subjectOf } from './filter/match.ts';
import type { Recent, Seen } from './filter/memory.ts';
import type { Rule, Subject } from './filter/rules.ts';
import type { ArgumentsMode } from './identity/arguments.ts';
import type { Host } from './identity/host.ts';
import { identify, serviceKey } from './identity/identity.ts';
import { originOf } from './identity/origin.ts';
import type { OriginKey } from './shares.ts';
import type { Attributes } from './telemetry/attributes.ts';
import { buildRecord, severityOf } from './telemetry/record.ts';
import { countedResource, resourceOf } from './telemetry/resource.ts';
import type { Restarts } from './telemetry/restart.ts';
import { traceContextOf } from './telemetry/trace-context.ts';
import { recordUid } from './telemetry/uid.ts';
import { classify } from './verdict/classify.ts';
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
  readonly places: CrashPlaces;
  /** When the event was read: ns since 1970, and ms of a steady clock. */
  readonly observedNs: bigint;
  readonly nowMs: number;
}

export type Conclusion =
  | { readonly kind: 'duplicate' }
  | {
      readonly kind: 'new';
      readonly uid: string;
      readonly origin: OriginKey;
      readonly outcome: 'reported' | 'filtered' | 'aggregated';
      readonly rule: Rule;
      readonly subject: Subject;
      readonly verdict: Verdict;
      readonly severity: Candidate['severity'];
      /** As in `Candidate`. */
      readonly sender: string | null;
      /** As in `Candidate`. */
      readonly service: string;
      /** As in `Candidate`. */
      readonly executable: string | null;
      /** The part of the victim's resource that counters and summaries need. The record has the whole resource. */
      readonly resource: Attributes;
      /** null unless the outcome is `reported`. */
      readonly record: ReadableLogRecord | null;
    };

/** Decides what to report of a termination, and adds it to the memories. `duplicate`: it was concluded before. */
export function conclude(death: Death, circumstances: Circumstances): Conclusion {
  const { bootId, host, argumentsMode, rules, seen, recent, loops, restarts, places, observedNs, nowMs } =
    circumstances;
  const uid = recordUid(bootId, death.process.pid, death.process.start_boottime_ns);
  if (!seen.add(uid)) return { kind: 'duplicate' };

  const verdict = classify(death);
  const identities = identify(death, verdict, host, argumentsMode);
  const { victim } = identities;
  const origin = originOf(death);
  const service = serviceKey(victim, origin);
  const terminations = recent.add(service, origin, death.time_ns);

  const subject = subjectOf(verdict, victim);
  const rule = firstMatch(subject, rules);
  const resource = countedResource(victim, host);
  const severity = severityOf(verdict);
  const sender = identities.sender?.name ?? null;
  const { executable } = victim;
  const said = { verdict, severity, sender, service, executable, resource };
  const facts = { kind: 'new', uid, origin, rule, subject, ...said } as const;
  if (rule.action !== 'report') return { ...facts, outcome: 'filtered', record: null };

  const { cause, endedNs } = verdict;
  if (loops.add({ key: service, origin, endedNs, cause, executable, sender, severity, resource }, nowMs))
    return { ...facts, outcome: 'aggregated', record: null };

  const crash = crashReport(death, verdict, argumentsMode);
  const fingerprint = crash?.fingerprint ?? null;
  const record = buildRecord({
    uid,
    verdict,
    identities,
    resource: resourceOf(victim, host),
    crash,
    crashHistory: fingerprint === null ? null : places.add(fingerprint, origin, endedNs),
    trace: traceContextOf(death, victim.context),
    observedNs,
    recent: terminations,
  });
  const { exe, args } = death.process;
  const { resource: whole, spanContext } = record;
  restarts.add({ uid, endedNs, origin, victim: { exe, args }, service, resource: whole, spanContext });
  return { ...facts, outcome: 'reported', record };
}
