// SPDX-License-Identifier: Apache-2.0
// What a process declares about itself: OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME and its published context. Claims, not facts: claims.ts
// decides which are kept.
import { type IdentitySourceValue, SERVICE_NAME } from '../telemetry/semconv.ts';
import type { Victim } from '../wire/event.ts';
import { type Claims, claimsOf, harmlessText, STRINGS } from './claims.ts';
import type { ContextValue, ProcessContext } from './process-context.ts';
import { cutText } from './redact.ts';

const ATTRIBUTES_MAX = 64;
const VALUE_CHARS_MAX = 1024;
/** Of both sources together: Loki refuses a record with more than 128 attributes, and whodunit needs up to 96. */
const KEPT_MAX = 32;

export interface Declared {
  /** The claims that are kept. The published context takes precedence over the environment. */
  readonly attributes: Readonly<Record<string, ContextValue>>;
  readonly dropped: Claims['dropped'];
  readonly serviceName: string | null;
  /** Where the name of the service is from; if the process declares none, where the other attributes are from. null: there are none. */
  readonly source: Extract<IdentitySourceValue, 'process_context' | 'environment'> | null;
}

/** `contained`: in a container, as the kernel knows it. */
export function declaredBy({ env }: Pick<Victim, 'env'>, context: ProcessContext, contained: boolean): Declared {
  const named = claimsOf(parseResourceAttributes(env?.OTEL_RESOURCE_ATTRIBUTES), contained);
  const published = claimsOf(context.resource, contained);
  const publishedName = nameIn(published.kept[SERVICE_NAME]);
  const variableName = nameIn(env?.OTEL_SERVICE_NAME) ?? nameIn(named.kept[SERVICE_NAME]);
  return {
    attributes: limited({ ...published.kept, ...named.kept, ...published.kept }),
    dropped: { ...named.dropped, ...published.dropped },
    serviceName: publishedName ?? variableName,
    source: publishedName !== null ? PUBLISHED : variableName !== null ? NAMED : sourceOf(named, published),
  };
}

/** The first ones, and before them those that whodunit reads itself. */
function limited(kept: Claims['kept']): Claims['kept'] {
  const own = Object.entries(kept).filter(([name]) => STRINGS.has(name));
  const others = Object.entries(kept).filter(([name]) => !STRINGS.has(name));
  return Object.fromEntries([...own, ...others].slice(0, KEPT_MAX));
}

const PUBLISHED = 'process_context';
const NAMED = 'environment';

function sourceOf(named: Claims, published: Claims): Declared['source'] {
  if (Object.keys(published.kept).length > 0) return PUBLISHED;
  return Object.keys(named.kept).length > 0 ? NAMED : null;
}

function nameIn(value: ContextValue | undefined): string | null {
  return value === undefined ? null : harmlessText(String(value)).trim() || null;
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
