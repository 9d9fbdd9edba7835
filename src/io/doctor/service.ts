// SPDX-License-Identifier: Apache-2.0
// What a running service answers at its health address: /status and /recent, as far as the doctor reads them.
import type { Reason } from '../../core/delivery/outcome.ts';
import type { Target } from '../../core/delivery/target.ts';
import type { Judged } from '../../core/filter/rules.ts';
import { listen } from '../otlp/endpoint.ts';

export const ANSWER_TIMEOUT_MS = 5_000;

export interface HealthAddress {
  readonly host: string;
  readonly port: number;
}

export interface ServiceStatus {
  readonly queue: {
    readonly path: string;
    readonly size: number;
    readonly bytes: number;
    readonly bytes_max: number;
    readonly oldest_age_s: number | null;
    readonly error: string | null;
    readonly evicted: number;
    readonly damaged: number;
    readonly rejected: { readonly count: number; readonly last: readonly Refusal[] };
  } | null;
  readonly export: { readonly logs: ServiceExport; readonly metrics: ServiceExport; readonly traces: ServiceExport };
}

/** Records that the collector rejected. */
export interface Refusal {
  readonly time: string;
  readonly count: number;
  readonly reason: string;
  /** null: the record is not known, or not kept. */
  readonly body: string | null;
  readonly uid?: string | null;
}

export interface ServiceExport {
  /** null: this signal is not sent. */
  readonly target: Target | null;
  /** ISO 8601; null: none yet. */
  readonly last_success: string | null;
  /** null: the last export did not fail. */
  readonly last_error: string | null;
  /** The same as a value; left out by version 0.1.0. */
  readonly last_failure?: Reason | null;
  /** Left out by version 0.1.0. */
  readonly rejected?: number;
}

export function healthUrl({ host, port }: HealthAddress, path: string): string {
  const to = host === '0.0.0.0' ? '127.0.0.1' : host;
  return `http://${to.includes(':') ? `[${to}]` : to}:${port}${path}`;
}

/** null: no service answers. */
export async function fetchStatus(address: HealthAddress): Promise<ServiceStatus | null> {
  try {
    const response = await fetch(healthUrl(address, '/status'), { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    return (await response.json()) as ServiceStatus;
  } catch {
    return null;
  }
}

/** The terminations that the service decided about last; empty where it does not answer. */
export async function fetchRecent(address: HealthAddress): Promise<Judged[]> {
  try {
    const response = await fetch(healthUrl(address, '/recent'), { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    return (await response.json()) as Judged[];
  } catch {
    return [];
  }
}

/** Whether a service listens there, however slow its answers are. */
export async function isListening(address: HealthAddress): Promise<boolean> {
  const spoken = await listen(healthUrl(address, '/livez'));
  return spoken?.kind === 'spoken' && spoken.http1;
}
