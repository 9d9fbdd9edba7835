// SPDX-License-Identifier: Apache-2.0
// What a process declares about itself: OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME and its published context. A claim, not a fact:
// it never overrides what the kernel knows.
import { SERVICE_NAME } from '../telemetry/semconv.ts';
import type { Victim } from '../wire/event.ts';
import type { ContextValue, ProcessContext } from './process-context.ts';
import { cutText } from './redact.ts';

const ATTRIBUTES_MAX = 64;
const VALUE_CHARS_MAX = 1024;

export interface Declared {
  /** The published context takes precedence over the environment. */
  readonly attributes: Readonly<Record<string, ContextValue>>;
  readonly serviceName: string | null;
}

export function declaredBy({ env }: Pick<Victim, 'env'>, { resource }: ProcessContext): Declared {
  const named = parseResourceAttributes(env?.OTEL_RESOURCE_ATTRIBUTES);
  const published = resource[SERVICE_NAME];
  return {
    attributes: { ...named, ...resource },
    serviceName:
      (typeof published === 'string' && published.trim()) ||
      env?.OTEL_SERVICE_NAME?.trim() ||
      named[SERVICE_NAME] ||
      null,
  };
}

/** OTEL_RESOURCE_ATTRIBUTES, percent-decoded. One malformed part discards the whole value, as the specification requires. */
export function parseResourceAttributes(text: string | undefined): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const pair of (text ?? '').split(',')) {
    if (pair.trim() === '') continue;
    const at = pair.indexOf('=');
    const key = pair.slice(0, Math.max(at, 0)).trim();
    if (key === '' || key === '__proto__') return {};
    try {
      attributes[decodeURIComponent(key)] = cutText(decodeURIComponent(pair.slice(at + 1).trim()), VALUE_CHARS_MAX);
    } catch {
      return {};
    }
    if (Object.keys(attributes).length === ATTRIBUTES_MAX) break;
  }
  return attributes;
}
