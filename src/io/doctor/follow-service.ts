// SPDX-License-Identifier: Apache-2.0
// Follows one termination through the running service: its rules, its queue, the collector's answer. Reads only /recent and /status.
import { setTimeout as sleep } from 'node:timers/promises';
import { type HealthAddress, healthUrl } from '../../config/health-address.ts';
import { diagnose, explainFailure, explainRefusal, type Fault } from '../../core/delivery/diagnose.ts';
import { type Target, withoutCredentials } from '../../core/delivery/target.ts';
import { answered, fetchRecent, fetchStatus, type ServiceStatus } from '../health-client.ts';
import { probeEndpoint } from '../otlp/endpoint.ts';
import { POLL_MS, within } from './poll.ts';
import { broken, reached, type Step } from './step.ts';

const DECIDED_WITHIN_MS = 10_000;
const ANSWER_WITHIN_MS = 30_000;
/** After this time without an answer, the doctor probes the endpoint itself. */
const PATIENCE_MS = 1_500;

/** The termination that is followed. `uid`: the log.record.uid of its record. `since`: ms since the kill. */
export interface Followed {
  readonly pid: number;
  readonly uid: string;
  readonly since: () => number;
}

/** Yields every step as it is reached. `certificate`: the CA to trust, in PEM format; null: the well-known CAs. */
export async function* followService(
  health: HealthAddress,
  followed: Followed,
  certificate: string | null,
): AsyncGenerator<Step, void> {
  const { pid, since } = followed;
  const decided = await within(DECIDED_WITHIN_MS, async () =>
    answered(await fetchRecent(health))?.find((one) => one.pid === pid),
  );
  if (decided === null) {
    const text = `the service at ${health.host}:${health.port} did not receive it within ${DECIDED_WITHIN_MS} ms: run whodunit doctor to see whether it is the loader's consumer.`;
    yield broken('service', since(), text);
    return;
  }
  if (decided.outcome === 'filtered') {
    const text = `the rule "${decided.rule}" only counts it: see whodunit filters.`;
    yield broken('rules', since(), text);
    return;
  }
  yield reached('service', since(), `${decided.outcome}, by the rule "${decided.rule}"`);
  yield await untilAnswered(health, followed, Date.parse(decided.time), certificate);
}

/** Polls /status until it shows the acceptance or the reason for a failure. `endedMs`: when the process terminated, ms since 1970. */
async function untilAnswered(
  health: HealthAddress,
  followed: Followed,
  endedMs: number,
  certificate: string | null,
): Promise<Step> {
  const { since } = followed;
  for (let probed = false, startedAt = performance.now(); ; await sleep(POLL_MS)) {
    const waitedMs = performance.now() - startedAt;
    const status = answered(await fetchStatus(health));
    if (status === null) {
      if (waitedMs <= ANSWER_WITHIN_MS) continue;
      const text = `${healthUrl(health, '/status')} no longer answers: read the log of the service.`;
      return broken('service', since(), text);
    }
    const settled = settledStep(status, followed, endedMs);
    if (settled !== null) return settled;
    const { target, last_error } = status.export.logs;
    if (target === null) continue;
    if (!probed && (waitedMs > PATIENCE_MS || last_error !== null)) {
      probed = true;
      const fault = await faultOf(target, certificate);
      if (fault !== null) return broken(fault.step, since(), fault.text);
    }
    if (last_error !== null || waitedMs > ANSWER_WITHIN_MS) {
      const fault = exportFault(status, target);
      return broken(fault.step, since(), fault.text);
    }
  }
}

/** Returns the last step, or null if the status does not show it yet. */
function settledStep(status: ServiceStatus, { uid, since }: Followed, endedMs: number): Step | null {
  const { target, last_success } = status.export.logs;
  if (target === null) {
    const text = 'the service sends no logs: set its OTEL_EXPORTER_OTLP_ENDPOINT to send to a collector';
    return reached('console', since(), text);
  }
  const refusal = status.queue?.rejected.last.find((one) => one.uid === uid);
  if (refusal !== undefined) {
    const fault = explainRefusal(target, refusal.reason);
    return broken(fault.step, since(), fault.text);
  }
  const refused = status.export.logs.refused_alone.records.find((one) => one.uid === uid);
  if (refused !== undefined && refused.others_accepted > 0) {
    const fault = explainRefusal(target, refused.reason);
    return broken(fault.step, since(), fault.text);
  }
  const oldest = status.queue?.oldest_age_s ?? null;
  const waits = oldest !== null && Date.now() - oldest * 1000 <= endedMs + 1;
  if (!waits && last_success !== null && Date.parse(last_success) >= endedMs) return accepted(target, since());
  return null;
}

function exportFault({ export: { logs } }: ServiceStatus, target: Target): Fault {
  const { last_failure: failure, last_error: message } = logs;
  return failure === null
    ? explainRefusal(target, message ?? `no answer within ${ANSWER_WITHIN_MS} ms`)
    : explainFailure(target, failure);
}

/** Probes the endpoint. Returns what is wrong; null: nothing, or it cannot be probed. */
export async function faultOf(target: Target, certificate: string | null): Promise<Fault | null> {
  const probed = await probeEndpoint(target.endpoint, certificate);
  return probed === null ? null : diagnose(target, probed);
}

export function accepted({ protocol, endpoint }: Target, afterMs: number): Step {
  return reached('collector', afterMs, `accepted over ${protocol} by ${withoutCredentials(endpoint)}`);
}

/** Returns whether a service listens there, however slowly it answers. */
export async function isListening(address: HealthAddress): Promise<boolean> {
  const probed = await probeEndpoint(healthUrl(address, '/livez'));
  return probed?.kind === 'reachable' && probed.http1;
}
