// SPDX-License-Identifier: Apache-2.0
// Which attributes a process may claim. Facts of the kernel, or what the kernel knows to be absent, are dropped whatever the process says,
// and so is what identifies whodunit's own records. What only the process can know is kept, and marked as claimed (declared.ts).
import type { AttributeValue } from '../telemetry/attributes.ts';
import * as semconv from '../telemetry/semconv.ts';
import type { ContextValue } from './process-context.ts';
import { cutText } from './redact.ts';

const VALUE_CHARS_MAX = 1024;
const NAME_CHARS_MAX = 256;
/** Dropped names that a record lists. */
const NAMES_SHOWN_MAX = 16;
const SHOWN_CHARS_MAX = 64;

/** Printable ASCII: other characters look like these, or like nothing. */
const NAME = new RegExp(`^[!-~]{1,${NAME_CHARS_MAX}}$`);

/** Names and namespaces, in the form of canonical(). */
const FACTS: readonly string[] = [
  'process',
  'user',
  'host',
  'os',
  'cgroup',
  'systemd',
  'container.id',
  'container.name',
  'container.runtime',
  'k8s.pod.uid',
  // The same, as agents and backends call it:
  'hostname',
  'machine.id',
  'pid',
  'uid',
  'docker.container.id',
  'kubernetes.pod.uid',
];
/** What backends put beside the attributes of a resource, and by what queries find records. */
const OWN_RECORDS: readonly string[] = [
  'whodunit',
  'telemetry.distro',
  'log',
  'event',
  'error',
  'exception',
  'thread',
  'otel',
  'scope',
  'severity',
  'detected.level',
  'observed.timestamp',
  'trace.id',
  'span.id',
  // Of the work of a thread (telemetry/thread-context.ts), not of a process:
  'http.request.method',
  'http.route',
  'rpc.method',
  'messaging.operation.name',
];
/** Namespaces, as attributes: a value would stand where backends have an object. */
const OBJECTS: ReadonlySet<string> = new Set(['service', 'deployment', 'k8s', 'container', 'telemetry', 'cloud']);
const CLAIMABLE = 'process.runtime.';
const IN_CONTAINERS = 'container.';
/** The claimable attributes that whodunit reads or writes itself. They are strings, under exactly this name. */
export const STRINGS: ReadonlySet<string> = new Set([
  semconv.SERVICE_NAME,
  semconv.SERVICE_NAMESPACE,
  semconv.SERVICE_VERSION,
  semconv.SERVICE_INSTANCE_ID,
  semconv.DEPLOYMENT_ENVIRONMENT_NAME,
  semconv.PROCESS_RUNTIME_NAME,
]);

export interface Claims {
  readonly kept: Readonly<Record<string, ContextValue>>;
  readonly dropped: Readonly<Record<string, ContextValue>>;
}

/** Divides what a process says of itself. `contained`: in a container, as the kernel knows it. */
export function claimsOf(said: Readonly<Record<string, ContextValue>>, contained: boolean): Claims {
  const { kept = [], dropped = [] } = Object.groupBy(Object.entries(said), ([name]) =>
    isClaimable(name, contained) ? 'kept' : 'dropped',
  );
  // Not by assignment: a name may be that of the prototype.
  return {
    kept: Object.fromEntries(kept.map(([name, value]) => [name, harmless(name, value)])),
    dropped: Object.fromEntries(dropped),
  };
}

function isClaimable(name: string, contained: boolean): boolean {
  if (!NAME.test(name) || name === '__proto__') return false;
  const meant = canonical(name);
  if (meant !== name && STRINGS.has(meant)) return false;
  if (meant.startsWith(CLAIMABLE)) return true;
  if (meant.startsWith(IN_CONTAINERS) && !contained) return false;
  return !OBJECTS.has(meant) && ![...FACTS, ...OWN_RECORDS].some((fact) => isWithin(meant, fact));
}

/** The name that backends may take it for: without regard to case and to the separator. */
export function canonical(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '.')
    .replace(/^\.|\.$/g, '');
}

function isWithin(name: string, namespace: string): boolean {
  return name === namespace || name.startsWith(`${namespace}.`);
}

function harmless(name: string, value: ContextValue): ContextValue {
  if (typeof value === 'string') return harmlessText(value);
  return STRINGS.has(name) || !Number.isFinite(Number(value)) ? String(value) : value;
}

/** At most 1,024 characters, without those that control a terminal, a line or the direction of writing. */
export function harmlessText(text: string): string {
  return cutText(text.replace(CONTROLS, '\uFFFD'), VALUE_CHARS_MAX).toWellFormed();
}

const CONTROLS = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

/** The names of dropped claims that the resource does not confirm, as a record lists them. */
export function contradicted(
  dropped: Claims['dropped'],
  resource: Readonly<Record<string, AttributeValue>>,
): readonly string[] {
  const names = Object.entries(dropped)
    .filter(([name, value]) => !Object.hasOwn(resource, name) || String(resource[name]) !== String(value))
    .map(([name]) => cutText(name.replace(/[^ -~]/gu, '\uFFFD'), SHOWN_CHARS_MAX));
  const more = names.length - NAMES_SHOWN_MAX;
  return more > 0 ? [...names.slice(0, NAMES_SHOWN_MAX), `${more} more`] : names;
}
