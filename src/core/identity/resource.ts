// SPDX-License-Identifier: Apache-2.0
// Who the victim was, as an OpenTelemetry resource: service, process, container, unit, host. Rests on semantic conventions
// 1.45.0 and docs/telemetry.md. Reads nothing but the event and a Host value; secrets in arguments are left to redact.ts.

import * as semconv from '../telemetry/semconv.ts';
import { isoTime } from '../time.ts';
import { VERSION } from '../version.ts';
import type { Actor, Death, Victim } from '../wire/event.ts';
import { isContained, type Placement, placementOf } from './placement.ts';
import { parseProcessContext } from './process-context.ts';
import { cutArguments, cutText, redactArguments } from './redact.ts';

/** The machine. User names are those of its own /etc/passwd. */
export interface Host {
  readonly id: string | null;
  readonly name: string;
  /** As OpenTelemetry names it: amd64, arm64, … */
  readonly arch: string;
  readonly osVersion: string;
  readonly userNames: ReadonlyMap<number, string>;
}

export type ArgumentsMode = 'redacted' | 'full' | 'off';
export type AttributeValue = string | number | boolean | readonly string[];
export type Attributes = Record<string, AttributeValue>;

export type Pair = readonly [key: string, value: AttributeValue | null | undefined];

/**
 * The pairs that have a value; of those with the same key the last. An object to which a dozen computed keys are assigned is a hash
 * table for V8 (JSObject::TooManyFastProperties): twice as slow to make, and again for whoever reads it.
 */
export function attributesOf(pairs: readonly Pair[]): Attributes {
  return Object.fromEntries(pairs.filter(hasValue));
}

function hasValue(pair: Pair): pair is readonly [string, AttributeValue] {
  return pair[1] !== null && pair[1] !== undefined;
}

/** OTEL_RESOURCE_ATTRIBUTES, percent-decoded. Malformed as a whole if any part is, as the specification asks. */
export function parseResourceAttributes(text: string | undefined): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const pair of (text ?? '').split(',')) {
    if (pair.trim() === '') continue;
    const at = pair.indexOf('=');
    const key = pair.slice(0, Math.max(at, 0)).trim();
    if (key === '' || key === '__proto__') return {};
    try {
      attributes[decodeURIComponent(key)] = cutText(
        decodeURIComponent(pair.slice(at + 1).trim()),
        RESOURCE_VALUE_CHARS_MAX,
      );
    } catch {
      return {};
    }
    if (Object.keys(attributes).length === RESOURCE_ATTRIBUTES_MAX) break;
  }
  return attributes;
}

const RESOURCE_ATTRIBUTES_MAX = 64;
const RESOURCE_VALUE_CHARS_MAX = 1024;

/** The victim's resource. `mode` decides whether and how its arguments are part of it. */
export function resourceOf(death: Death, host: Host, mode: ArgumentsMode): Attributes {
  const victim = death.process;
  const placement = placementOf(victim.cgroup);
  const published = parseProcessContext(victim.otel_context).resource;
  const named = parseResourceAttributes(victim.env?.OTEL_RESOURCE_ATTRIBUTES);
  const name = executableName(victim);
  const [command] = victim.args ?? [];
  return attributesOf([
    // What the process says of itself comes first; what the kernel says of it is added, and wins.
    ...Object.entries(named),
    ...Object.entries(published),
    [semconv.SERVICE_NAME, serviceName(victim, published, named, placement)],
    [semconv.PROCESS_PID, victim.pid],
    [semconv.PROCESS_CREATION_TIME, isoTime(victim.start_boottime_ns + death.clock_offset_ns)],
    [semconv.PROCESS_PARENT_PID, victim.parent_pid],
    [semconv.PROCESS_VPID, victim.vpid],
    [semconv.PROCESS_EXECUTABLE_NAME, name],
    [semconv.PROCESS_EXECUTABLE_PATH, victim.exe],
    [semconv.PROCESS_EXECUTABLE_BUILD_ID_GNU, victim.build_id],
    [semconv.PROCESS_RUNTIME_NAME, runtimeName(name, victim.exe)],
    ...(command === undefined ? [] : argumentAttributes(victim, command, mode)),
    [semconv.PROCESS_OWNER, userName(victim.uid, placement, host)],
    [semconv.PROCESS_USER_ID, victim.uid],
    [semconv.PROCESS_LINUX_CGROUP, victim.cgroup],
    [semconv.CONTAINER_ID, placement.containerId],
    [semconv.CONTAINER_NAME, placement.containerName],
    [semconv.K8S_POD_UID, placement.podUid],
    [semconv.SYSTEMD_UNIT, placement.unit],
    ...Object.entries(hostAttributes(host)),
  ]);
}

function argumentAttributes({ args, args_truncated }: Victim, command: string, mode: ArgumentsMode): Pair[] {
  return [
    // Always redacted: a program may rewrite its first argument into a title of any content.
    [semconv.PROCESS_COMMAND, redactArguments([command])[0]],
    [semconv.PROCESS_ARGS_COUNT, args_truncated ? null : args?.length],
    [semconv.PROCESS_COMMAND_ARGS, shownArguments(args ?? [], mode)],
  ];
}

/**
 * What of a resource says which service it is, and on which host: no pid, no time, no single container, and no scope, whose name has
 * one of these in it. For the counters.
 */
export function serviceLevel(resource: Readonly<Attributes>): Attributes {
  const attributes: Attributes = {};
  for (const key of SERVICE_LEVEL) {
    const value = resource[key];
    if (value !== undefined) attributes[key] = value;
  }
  const unit = attributes[semconv.SYSTEMD_UNIT];
  if (typeof unit === 'string' && !unit.endsWith('.service')) delete attributes[semconv.SYSTEMD_UNIT];
  return attributes;
}

const SERVICE_LEVEL = [
  semconv.SERVICE_NAME,
  semconv.SERVICE_NAMESPACE,
  semconv.SERVICE_VERSION,
  semconv.DEPLOYMENT_ENVIRONMENT_NAME,
  semconv.SYSTEMD_UNIT,
  semconv.HOST_ID,
  semconv.HOST_NAME,
  semconv.HOST_ARCH,
  semconv.OS_TYPE,
  semconv.OS_VERSION,
  semconv.TELEMETRY_DISTRO_NAME,
  semconv.TELEMETRY_DISTRO_VERSION,
] as const;

export function hostAttributes(host: Host): Attributes {
  return {
    ...(host.id === null ? {} : { [semconv.HOST_ID]: host.id }),
    [semconv.HOST_NAME]: host.name,
    [semconv.HOST_ARCH]: host.arch,
    [semconv.OS_TYPE]: 'linux',
    [semconv.OS_VERSION]: host.osVersion,
    [semconv.TELEMETRY_DISTRO_NAME]: 'whodunit',
    [semconv.TELEMETRY_DISTRO_VERSION]: VERSION,
  };
}

/** The last part of the executable's path; where that is not known, the name that the kernel keeps (comm, at most 15 bytes). */
export function executableName(task: Pick<Actor, 'exe' | 'comm'>): string {
  const path = task.exe?.replace(/ \(deleted\)$/, '');
  const name = path?.slice(path.lastIndexOf('/') + 1);
  return name === undefined || name === '' ? task.comm : name;
}

/** Arguments as the mode allows; null: not at all. */
export function shownArguments(args: readonly string[], mode: ArgumentsMode): string[] | null {
  switch (mode) {
    case 'off':
      return null;
    case 'full':
      return cutArguments(args);
    case 'redacted':
      return redactArguments(args);
  }
}

/** The name of a user. In a container the host's /etc/passwd tells nothing but that 0 is root. */
export function userName(uid: number, placement: Placement, host: Host): string | null {
  if (isContained(placement)) return uid === 0 ? 'root' : null;
  return host.userNames.get(uid) ?? null;
}

const USER_MANAGER = /^user@\d+\.service$/;

function serviceName(
  victim: Victim,
  published: Readonly<Attributes>,
  named: Record<string, string>,
  placement: Placement,
): string {
  const context = published[semconv.SERVICE_NAME];
  const own =
    (typeof context === 'string' && context.trim()) ||
    victim.env?.OTEL_SERVICE_NAME?.trim() ||
    named[semconv.SERVICE_NAME];
  if (own) return own;
  const { unit } = placement;
  if (unit?.endsWith('.service') && !USER_MANAGER.test(unit)) return unit.slice(0, -'.service'.length);
  if (placement.containerName !== null) return placement.containerName;
  return `unknown_service:${executableName(victim)}`;
}

const RUNTIMES: readonly (readonly [RegExp, string])[] = [
  [/^node(?:js)?(?:-?\d+)?$/, 'nodejs'],
  [/^python\d?(?:\.\d+)?$/, 'cpython'],
  [/^ruby\d?(?:\.\d+)?$/, 'ruby'],
  [/^php(?:-fpm)?\d?(?:\.\d+)?$/, 'php'],
  [/^dotnet$/, 'dotnet'],
  [/^beam\.smp$/, 'BEAM'],
  [/^(?:deno|bun|perl)$/, ''],
];

function runtimeName(name: string, exe: string | null): string | null {
  if (name === 'java') return exe?.includes('openjdk') ? 'OpenJDK' : null;
  const runtime = RUNTIMES.find(([pattern]) => pattern.test(name))?.[1];
  return runtime === undefined ? null : runtime || name;
}
