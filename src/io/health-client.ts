// SPDX-License-Identifier: Apache-2.0
// The client of the health endpoint of a running service. Every answer is validated before it is used. The server is health.ts.

import * as z from 'zod/mini';
import type { $ZodType } from 'zod/v4/core';
import { type HealthAddress, healthUrl } from '../config/health-address.ts';
import { type RecentTermination, recentTerminationSchema } from '../core/filter/rules.ts';

const ANSWER_TIMEOUT_MS = 5_000;

/** Why an export failed: Reason in core/delivery/outcome.ts. */
const reasonSchema = z.object({
  status: z.union([
    z.object({ kind: z.enum(['http', 'grpc']), code: z.int() }),
    z.object({ kind: z.literal('unreached'), cause: z.nullable(z.string()) }),
    z.object({ kind: z.literal('unencodable') }),
  ]),
  message: z.string(),
});

const exportSchema = z.object({
  /** null: this signal is not sent. */
  target: z.nullable(z.object({ protocol: z.enum(['grpc', 'http/protobuf', 'http/json']), endpoint: z.string() })),
  /** ISO 8601; null: none yet. */
  last_success: z.nullable(z.string()),
  /** null: the last export did not fail. */
  last_error: z.nullable(z.string()),
  /** The same, structured; absent in version 0.1.0. */
  last_failure: z._default(z.nullable(reasonSchema), null),
  /** Absent in version 0.1.0. */
  rejected: z._default(z.int(), 0),
});

/** A record that the collector did not accept in a request of its own. */
const refusedAloneSchema = z.object({
  uid: z.nullable(z.string()),
  body: z.nullable(z.string()),
  since: z.string(),
  attempts: z.int(),
  others_accepted: z.int(),
  reason: z.string(),
});

const logsSchema = z.extend(exportSchema, {
  /** Absent in version 0.1.0. */
  refused_alone: z._default(z.object({ count: z.int(), records: z.array(refusedAloneSchema) }), {
    count: 0,
    records: [],
  }),
});

/** The fields of /status that the doctor reads. */
const statusSchema = z.object({
  queue: z.nullable(
    z.object({
      path: z.string(),
      size: z.int(),
      bytes: z.int(),
      bytes_max: z.int(),
      oldest_age_s: z.nullable(z.number()),
      error: z.nullable(z.string()),
      evicted: z.int(),
      damaged: z.int(),
      rejected: z.object({
        count: z.int(),
        last: z.array(
          z.object({
            time: z.string(),
            count: z.int(),
            reason: z.string(),
            /** null: the collector did not name the record, or it was too long to keep. */
            body: z.nullable(z.string()),
            uid: z._default(z.nullable(z.string()), null),
          }),
        ),
      }),
    }),
  ),
  /** Absent in version 0.1.0. */
  mutes: z._default(z.array(z.object({ service: z.string(), until: z.string(), count: z.int() })), []),
  /** null: records are not printed. Absent in version 0.1.0. */
  stdout: z._default(
    z.nullable(z.object({ printed: z.int(), skipped: z.int(), waiting_bytes: z.int(), error: z.nullable(z.string()) })),
    null,
  ),
  /** null: no container runtime is asked. Absent in version 0.1.0. */
  containers: z._default(
    z.nullable(z.object({ path: z.string(), connected: z.boolean(), known: z.int(), error: z.nullable(z.string()) })),
    null,
  ),
  export: z.object({
    logs: logsSchema,
    metrics: exportSchema,
    traces: exportSchema,
    /** null: /metrics is not served. Absent in version 0.1.0. */
    prometheus: z._default(
      z.nullable(z.object({ host: z.string(), port: z.int(), last_scrape: z.nullable(z.string()) })),
      null,
    ),
  }),
});

const lostSchema = z.object({ kernel: z.int(), loader: z.int(), queue: z.int(), export: z.int() });

/** The fields of /status that `whodunit ui` reads. */
const watcherSchema = z.extend(statusSchema, {
  ready: z.boolean(),
  reason: z.nullable(z.string()),
  deaths: z.object({
    received: z.int(),
    reported: z.int(),
    filtered: z.int(),
    aggregated: z.int(),
    pending: z.int(),
    lost: lostSchema,
  }),
  loader: z.nullable(z.object({ version: z.string(), kernel: z.string() })),
  ring: z.nullable(z.object({ facts_lost: z.int() })),
});

export type WatcherStatus = z.output<typeof watcherSchema>;
export type ServiceExport = z.output<typeof exportSchema>;
export type ServiceStatus = z.output<typeof statusSchema>;

/** What the service answered, or why there is no answer. */
export type Answer<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string };

/** Returns the value of an answer, or null if there is none. */
export function answered<T>(answer: Answer<T>): T | null {
  return answer.ok ? answer.value : null;
}

/** Reads the status of the service. Never rejects. */
export function fetchStatus(address: HealthAddress): Promise<Answer<ServiceStatus>> {
  return fetchJson(healthUrl(address, '/status'), statusSchema);
}

/** Reads what the page shows of the service. Never rejects. */
export function fetchWatcher(address: HealthAddress): Promise<Answer<WatcherStatus>> {
  return fetchJson(healthUrl(address, '/status'), watcherSchema);
}

/** Reads the last terminations that the service handled, oldest first. Never rejects. */
export function fetchRecent(address: HealthAddress): Promise<Answer<RecentTermination[]>> {
  return fetchJson(healthUrl(address, '/recent'), z.array(recentTerminationSchema));
}

async function fetchJson<T extends $ZodType>(url: string, schema: T): Promise<Answer<z.output<T>>> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    if (response.status === 403)
      return {
        ok: false,
        reason:
          'HTTP 403: it is served on the loopback interface only; set WHODUNIT_HEALTH_ADDR of the service to 0.0.0.0 or 127.0.0.1',
      };
    if (!response.ok) return { ok: false, reason: `HTTP ${response.status}` };
    const parsed = z.safeParse(schema, await response.json());
    if (parsed.success) return { ok: true, value: parsed.data };
    const [issue] = parsed.error.issues;
    return { ok: false, reason: `unexpected value at ${issue?.path.join('.') || 'the top level'}` };
  } catch (error) {
    return { ok: false, reason: reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  const { cause, message } = error as Error;
  return cause instanceof Error ? cause.message : message;
}
