// SPDX-License-Identifier: Apache-2.0
// The stages of one death in a row: classify, enrich, screen, record. Pure but for the two memories that are given to it; what
// happens to the result is left to main.ts.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { classify } from './classify.ts';
import { type ArgumentsMode, type Attributes, type Host, resourceOf } from './enrich.ts';
import type { Death } from './event.ts';
import type { Recent, Seen } from './memory.ts';
import { buildRecord, recordUid } from './record.ts';
import { type Action, type ReportMode, screen } from './screen.ts';
import { SERVICE_NAME } from './semconv.ts';
import { auditArchOf } from './syscalls.ts';
import type { Verdict } from './verdict.ts';

export interface Circumstances {
  readonly bootId: string;
  readonly host: Host;
  readonly argumentsMode: ArgumentsMode;
  readonly reportMode: ReportMode;
  readonly seen: Seen;
  readonly recent: Recent;
  /** When the death was read, ns since 1970. */
  readonly observedNs: bigint;
}

export type Conclusion =
  | { readonly kind: 'duplicate' }
  | {
      readonly kind: 'new';
      readonly action: Action;
      readonly verdict: Verdict;
      readonly resource: Attributes;
      /** null unless the action is `report`. */
      readonly record: ReadableLogRecord | null;
    };

/** What is to be said of a death; `duplicate` if it was concluded before. Adds it to both memories. */
export function conclude(death: Death, circumstances: Circumstances): Conclusion {
  const { bootId, host, argumentsMode, reportMode, seen, recent, observedNs } = circumstances;
  const uid = recordUid(bootId, death.process.pid, death.process.start_boottime_ns);
  if (!seen.add(uid)) return { kind: 'duplicate' };
  const verdict = classify(death, auditArchOf(host.arch));
  const resource = resourceOf(death, host, argumentsMode);
  const ends = recent.add(String(resource[SERVICE_NAME]), death.time_ns);
  const action = screen(death, verdict, resource, reportMode);
  const record =
    action === 'report'
      ? buildRecord({ death, verdict, uid, resource, host, argumentsMode, observedNs, recent: ends })
      : null;
  return { kind: 'new', action, verdict, resource, record };
}
