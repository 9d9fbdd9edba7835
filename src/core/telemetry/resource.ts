// SPDX-License-Identifier: Apache-2.0
// The victim of a termination as an OpenTelemetry resource: service, process, container, unit, host. Follows semantic conventions
// 1.45.0 and docs/telemetry.md. core/identity/ derives the identities.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { Container } from '../identity/container.ts';
import type { Host } from '../identity/host.ts';
import type { VictimIdentity } from '../identity/identity.ts';
import { type Image, PROJECT_LABEL, SERVICE_LABEL } from '../identity/runtime-answers.ts';
import { isoTime } from '../time.ts';
import { VERSION } from '../version.ts';
import { type Attributes, attributesOf, type Pair } from './attributes.ts';
import type { IdentitySourceValue } from './semconv.ts';
import * as semconv from './semconv.ts';
import { serviceInstanceId } from './uid.ts';

/** The whole resource, for a record. */
export function resourceOf(victim: VictimIdentity, host: Host): Attributes {
  const { name, executableName, executable, placement, user, realUser, loginUser } = victim;
  return attributesOf([
    // What the process declares overrides the tags of the fleet, and facts from the kernel override both.
    ...Object.entries(host.tags),
    ...Object.entries(victim.declared.attributes),
    [semconv.SERVICE_NAME, victim.serviceName],
    [semconv.SERVICE_NAMESPACE, victim.serviceNamespace],
    [semconv.IDENTITY_SOURCE, victim.source],
    [semconv.IDENTITY_CLAIMED, claimedNames(victim)],
    [semconv.PROCESS_PID, victim.pid],
    [semconv.PROCESS_CREATION_TIME, isoTime(victim.startedNs)],
    [semconv.PROCESS_PARENT_PID, victim.parentPid],
    [semconv.PROCESS_VPID, victim.vpid],
    [semconv.PROCESS_NAME, name],
    [semconv.PROCESS_EXECUTABLE_NAME, executableName],
    [semconv.PROCESS_EXECUTABLE_PATH, executable],
    [semconv.PROCESS_EXECUTABLE_BUILD_ID_GNU, victim.buildId],
    [semconv.PROCESS_EXECUTABLE_BUILD_ID_GO, victim.goBuildId],
    [semconv.PROCESS_EXECUTABLE_BUILD_ID_HTLHASH, victim.htlHash],
    [semconv.PROCESS_RUNTIME_NAME, victim.goBuildId === null ? runtimeName(executableName, executable) : 'go'],
    ...argumentAttributes(victim),
    [semconv.PROCESS_OWNER, user.name],
    [semconv.PROCESS_USER_ID, user.uid],
    [semconv.PROCESS_REAL_USER_ID, realUser?.uid],
    [semconv.PROCESS_REAL_USER_NAME, realUser?.name],
    [semconv.PROCESS_LOGIN_USER_ID, loginUser?.uid],
    [semconv.PROCESS_LOGIN_USER_NAME, loginUser?.name],
    [semconv.PROCESS_LINUX_CGROUP, victim.cgroup],
    [semconv.CONTAINER_ID, placement.containerId],
    ...containerFacts(victim.container),
    ...containerClaims(victim.container),
    [semconv.K8S_POD_UID, placement.podUid],
    [semconv.SYSTEMD_UNIT, placement.unit],
    [semconv.SYSTEMD_USER_UNIT, placement.userUnit],
    ...hostPairs(host),
  ]);
}

function containerFacts(container: Container | null): Pair[] {
  return [
    [semconv.CONTAINER_NAME, container?.name],
    [semconv.CONTAINER_IMAGE_NAME, container?.image?.name],
    [semconv.CONTAINER_IMAGE_TAGS, tagsOf(container?.image)],
  ];
}

function tagsOf(image: Image | null | undefined): readonly string[] | null {
  return image?.tags.length ? image.tags : null;
}

function containerClaims(container: Container | null): Pair[] {
  return [
    [semconv.CONTAINER_HOSTNAME, container?.hostname],
    [`${semconv.CONTAINER_LABEL}.${PROJECT_LABEL}`, container?.project],
    [`${semconv.CONTAINER_LABEL}.${SERVICE_LABEL}`, container?.service],
  ];
}

/** The attributes that are only the word of the process, of root in its container, or of the image. */
function claimedNames({ declared, container, nameSource, serviceNamespace }: VictimIdentity): readonly string[] | null {
  const names = new Set(Object.keys(declared.attributes));
  if (CLAIMED_SOURCES.has(nameSource)) names.add(semconv.SERVICE_NAME);
  if (serviceNamespace !== null) names.add(semconv.SERVICE_NAMESPACE);
  for (const [name, value] of containerFacts(container)) if (value) names.delete(name);
  for (const [name, value] of containerClaims(container)) if (value) names.add(name);
  return names.size === 0 ? null : [...names];
}

const CLAIMED_SOURCES: ReadonlySet<IdentitySourceValue> = new Set([
  'process_context',
  'environment',
  'user_unit',
  'compose',
  'container_hostname',
]);

/** A title is not arguments (core/naming/program.ts). */
function argumentAttributes({ arguments: args, program }: VictimIdentity): Pair[] {
  const { command } = args;
  if (program.hasTitle) return [[semconv.PROCESS_TITLE, args.shown?.[0]]];
  if (command === null) return [];
  return [
    [semconv.PROCESS_COMMAND, command],
    [semconv.PROCESS_ARGS_COUNT, args.count],
    [semconv.PROCESS_COMMAND_ARGS, args.shown],
  ];
}

/** The part of the resource that counters and summaries need: its service level, and the executable's name. */
export function countedResource(victim: VictimIdentity, host: Host): Attributes {
  const { declared, serviceName, serviceNamespace, placement, executableName } = victim;
  const { attributes } = declared;
  return attributesOf([
    [semconv.SERVICE_NAME, serviceName],
    [semconv.SERVICE_NAMESPACE, serviceNamespace],
    [semconv.SERVICE_VERSION, attributes[semconv.SERVICE_VERSION]],
    [semconv.DEPLOYMENT_ENVIRONMENT_NAME, attributes[semconv.DEPLOYMENT_ENVIRONMENT_NAME]],
    [semconv.SYSTEMD_UNIT, serviceUnit(placement.unit ?? undefined)],
    ...hostPairs(host),
    [semconv.PROCESS_EXECUTABLE_NAME, executableName],
  ]);
}

/**
 * The attributes that identify the service and the host, for counters and summaries. Without pid, times, container and scope: they differ
 * for each instance.
 */
export function serviceLevel(resource: Readonly<Attributes>, { tags }: Pick<Host, 'tags'>): Attributes {
  const pairs = SERVICE_LEVEL.map(
    (key): Pair => [key, key === semconv.SYSTEMD_UNIT ? serviceUnit(resource[key]) : resource[key]],
  );
  return { ...tags, ...attributesOf(pairs) };
}

/** The unit if it is a service: the name of a scope contains a pid or a container id. */
function serviceUnit(unit: Attributes[string] | undefined): string | null {
  return typeof unit === 'string' && unit.endsWith('.service') ? unit : null;
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

/**
 * The resource of metrics: with the id of this service on this host. Prometheus and Mimir identify a series by `service.name` and this id;
 * without it, the counters of two hosts are one series. Versions of the kernel and of whodunit do not change it.
 */
export function metricResource(attributes: Readonly<Attributes>): Attributes {
  const identity = METRIC_IDENTITY.map((key) => attributes[key] ?? null);
  return { ...attributes, [semconv.SERVICE_INSTANCE_ID]: serviceInstanceId(JSON.stringify(identity)) };
}

/** What distinguishes two resources of metrics. A host needs all of its names: clones have the same id, clusters the same node names. */
const METRIC_IDENTITY = [
  semconv.HOST_ID,
  semconv.HOST_NAME,
  semconv.SERVICE_NAME,
  semconv.SERVICE_NAMESPACE,
  semconv.SERVICE_VERSION,
  semconv.DEPLOYMENT_ENVIRONMENT_NAME,
  semconv.SYSTEMD_UNIT,
  semconv.K8S_CLUSTER_NAME,
] as const;

/** whodunit itself, on this host. The version is added last: an update must not look like another instance, and the old one like a silent host. */
export function selfResource(host: Host): Attributes {
  return {
    ...metricResource({ [semconv.SERVICE_NAME]: 'whodunit', ...hostAttributes(host) }),
    [semconv.SERVICE_VERSION]: VERSION,
  };
}

/** The host without a service. */
export function hostAttributes(host: Host): Attributes {
  return { ...host.tags, ...attributesOf(hostPairs(host)) };
}

function hostPairs(host: Host): Pair[] {
  return [
    [semconv.HOST_ID, host.id],
    [semconv.HOST_NAME, host.name],
    [semconv.HOST_ARCH, host.arch],
    [semconv.OS_TYPE, 'linux'],
    [semconv.OS_VERSION, host.osVersion],
    [semconv.TELEMETRY_DISTRO_NAME, 'whodunit'],
    [semconv.TELEMETRY_DISTRO_VERSION, VERSION],
  ];
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

/** A resource with fixed attributes. Exporters read only its attributes and schema URL. */
export function resourceValue(attributes: Attributes): ReadableLogRecord['resource'] {
  const resource: ReadableLogRecord['resource'] = {
    attributes: attributes as ReadableLogRecord['attributes'],
    schemaUrl: semconv.SCHEMA_URL,
    merge: () => resource,
    getRawAttributes: () => Object.entries(attributes) as ReturnType<ReadableLogRecord['resource']['getRawAttributes']>,
  };
  return resource;
}
