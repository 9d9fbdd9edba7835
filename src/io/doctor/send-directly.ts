// SPDX-License-Identifier: Apache-2.0
// Handles one termination as the service would, if no service is running: applies the rules, builds the record and sends it, with the
// settings of this environment.
import { explainFailure, explainRefusal, type Fault } from '../../core/delivery/diagnose.ts';
import type { Outcome } from '../../core/delivery/outcome.ts';
import type { Target } from '../../core/delivery/target.ts';
import { accepted, faultOf } from './follow-service.ts';
import { EXPORT_TIMEOUT_MS, inTime } from './poll.ts';
import { broken, reached, type Step } from './step.ts';

/** Sends one record and returns the answer. */
export type SendRecord = (record: Uint8Array) => Promise<Outcome>;

/** `record` null: a rule only counts the termination. `logs`, `send` null: logs are not sent. `since`: ms since the kill. */
export async function* sendDirectly(
  record: Uint8Array | null,
  logs: Target | null,
  send: SendRecord | null,
  since: () => number,
): AsyncGenerator<Step, void> {
  if (record === null) {
    yield broken('rules', since(), 'a filter rule only counts it: see whodunit filters.');
    return;
  }
  yield reached('decided', since(), 'reported (by the doctor, because no service answers)');
  if (logs === null || send === null) {
    yield reached('console', since(), 'nothing is sent: set OTEL_EXPORTER_OTLP_ENDPOINT to send to a collector');
    return;
  }
  const fault = (await faultOf(logs, logs.certificate ?? null)) ?? refusalOf(logs, await inTime(send(record)));
  yield fault === null ? accepted(logs, since()) : broken(fault.step, since(), fault.text);
}

/** Returns why the target did not accept the request; null: it accepted. */
export function refusalOf(target: Target, outcome: Outcome | null): Fault | null {
  if (outcome === null) return explainRefusal(target, `no answer within ${EXPORT_TIMEOUT_MS} ms`);
  if (outcome.kind !== 'success') return explainFailure(target, outcome);
  const { partial } = outcome;
  return partial === null || partial.rejected === 0
    ? null
    : explainRefusal(target, `partial success: ${partial.message}`);
}
