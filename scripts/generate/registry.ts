// SPDX-License-Identifier: Apache-2.0
// Reads the telemetry registry (otel-config/registry/, in Weaver's format, and the extract of OpenTelemetry's conventions that it depends
// on) and resolves all references. Throws on a reference that does not resolve. telemetry.ts and the tests use the result.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const DIRECTORY = fileURLToPath(new URL('../../otel-config/registry/', import.meta.url));

export interface Member {
  readonly value: string;
  readonly brief: string;
}

export interface Attribute {
  readonly id: string;
  /** `string`, `int`, `double`, `boolean`, `string[]`. For a template: the type of the values. */
  readonly type: string;
  /** Whether it stands for every key that begins with `id` and a dot. */
  readonly template: boolean;
  /** The allowed values; null: not an enumeration. */
  readonly members: readonly Member[] | null;
  readonly brief: string;
  readonly note: string;
  readonly examples: readonly unknown[];
}

/** A name that is no longer emitted: of an attribute, or of one value of an enumeration. */
export interface Renamed {
  readonly attribute: string;
  /** null: the attribute itself was renamed. */
  readonly value: string | null;
  readonly to: string;
}

export interface Use {
  readonly attribute: Attribute;
  /** `required`, `recommended`, `opt_in`, or the condition as text. */
  readonly requirement: string;
  readonly note: string;
}

export interface Signal {
  readonly name: string;
  readonly brief: string;
  readonly note: string;
  /** Names of entities. */
  readonly resources: readonly string[];
  readonly uses: readonly Use[];
}

export interface Metric extends Signal {
  readonly instrument: string;
  readonly unit: string;
  readonly valueType: string;
}

export interface Registry {
  /** The schema URL of OpenTelemetry's conventions, which whodunit's telemetry follows. */
  readonly schemaUrl: string;
  /** Whodunit's and OpenTelemetry's, in the order of the files, without deprecated ones. */
  readonly attributes: ReadonlyMap<string, Attribute>;
  readonly renamed: readonly Renamed[];
  /** The ids of OpenTelemetry's attributes. */
  readonly upstream: ReadonlySet<string>;
  readonly events: readonly Signal[];
  readonly entities: readonly Signal[];
  readonly spans: readonly Signal[];
  readonly metrics: readonly Metric[];
}

// biome-ignore lint/suspicious/noExplicitAny: YAML of a known form; a missing field fails where it is read
type Yaml = any;

export function readRegistry(directory = DIRECTORY): Registry {
  const manifest = parse(readFileSync(join(directory, 'manifest.yaml'), 'utf8'));
  const [dependency] = manifest.dependencies as { schema_url: string; registry_path: string }[];
  if (dependency === undefined) throw new Error(`${directory}manifest.yaml has no dependency`);
  const theirs = groupsOf(join(directory, dependency.registry_path));
  const ours = groupsOf(directory);
  const attributes = new Map<string, Attribute>();
  const upstream = new Set<string>();
  const renamed: Renamed[] = [];
  for (const [groups, isTheirs] of [
    [theirs, true],
    [ours, false],
  ] as const) {
    for (const definition of groups.flatMap((group) => group.attributes ?? []).filter(({ id }: Yaml) => id)) {
      if (attributes.has(definition.id)) throw new Error(`the registry defines ${definition.id} twice`);
      renamed.push(...renamedIn(definition));
      if (definition.deprecated !== undefined) continue;
      attributes.set(definition.id, attributeOf(definition));
      if (isTheirs) upstream.add(definition.id);
    }
  }
  const of = (type: string) => ours.filter((group) => group.type === type);
  const signal = (group: Yaml): Signal => ({
    name: group.metric_name ?? group.name ?? group.id.replace(/^span\./, ''),
    brief: text(group.brief),
    note: text(group.note),
    resources: group.entity_associations ?? [],
    uses: (group.attributes ?? []).map((use: Yaml) => useOf(use, attributes, group.id)),
  });
  return {
    schemaUrl: dependency.schema_url,
    attributes,
    renamed,
    upstream,
    events: of('event').map(signal),
    entities: of('entity').map(signal),
    spans: of('span').map(signal),
    metrics: of('metric').map((group) => ({
      ...signal(group),
      instrument: group.instrument,
      unit: group.unit,
      valueType: group.annotations.code_generation.metric_value_type,
    })),
  };
}

function groupsOf(directory: string): Yaml[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.yaml') && name !== 'manifest.yaml')
    .sort()
    .flatMap((name) => parse(readFileSync(join(directory, name), 'utf8')).groups);
}

function renamedIn({ id, type, deprecated }: Yaml): Renamed[] {
  const values: Yaml[] = [{ value: null, deprecated }, ...(type.members ?? [])];
  return values
    .filter((named) => named.deprecated !== undefined)
    .map(({ value, deprecated: { reason, renamed_to: to } }) => {
      if (reason !== 'renamed' || !to) throw new Error(`${id}: a deprecated name needs reason: renamed and renamed_to`);
      return { attribute: id, value, to };
    });
}

function attributeOf({ id, type, brief, note, examples }: Yaml): Attribute {
  const current = typeof type === 'object' ? type.members.filter((m: Yaml) => !m.deprecated) : null;
  const members = current?.map((m: Yaml) => ({ value: m.value, brief: m.brief })) ?? null;
  const template = /^template\[(.+)\]$/.exec(members === null ? type : '')?.[1];
  return {
    id,
    type: members === null ? (template ?? type) : 'string',
    template: template !== undefined,
    members,
    brief: text(brief),
    note: text(note),
    examples: examples ?? [],
  };
}

function useOf(use: Yaml, attributes: ReadonlyMap<string, Attribute>, group: string): Use {
  const attribute = attributes.get(use.ref);
  if (attribute === undefined) throw new Error(`${group} refers to ${use.ref}, which is not defined`);
  const level = use.requirement_level ?? 'recommended';
  const requirement = typeof level === 'string' ? level : level.conditionally_required;
  return { attribute, requirement, note: text(use.note) };
}

function text(value: unknown): string {
  return typeof value === 'string' ? value.trim() : '';
}
