// SPDX-License-Identifier: Apache-2.0
// `npm run generate:telemetry`: writes docs/telemetry.md and src/core/telemetry/semconv.ts from the registry. `--check` only
// compares.
import { writeOrCheck } from './fresh.ts';
import { type Attribute, type Member, type Renamed, readRegistry, type Use } from './registry.ts';

const LINE_WIDTH = 120; // as in biome.json: the generated code must pass the formatter
/** Requirement level → text in the table. */
const REQUIREMENTS: Readonly<Record<string, string>> = {
  required: 'always',
  recommended: 'if known',
  opt_in: 'if enabled',
};
const registry = readRegistry();

writeOrCheck(
  { 'src/core/telemetry/semconv.ts': semconv(), 'docs/telemetry.md': telemetry() },
  'npm run generate:telemetry',
);

/** `SENDER_PID` for `whodunit.sender.pid`: the prefix is omitted. */
function constant(id: string): string {
  return id
    .replace(/^whodunit\./, '')
    .replaceAll('.', '_')
    .toUpperCase();
}

function semconv(): string {
  const lines = [
    '// SPDX-License-Identifier: Apache-2.0',
    '// Every name that whodunit emits. Generated from otel-config/registry/ by `npm run generate:telemetry`: not to be edited.',
    '// Meanings are in docs/telemetry.md.',
    '',
    `export const SCHEMA_URL = '${registry.schemaUrl}';`,
    "export const SCOPE_NAME = 'whodunit';",
    '',
    ...registry.events.map(({ name }) => `export const EVENT_${constant(name)} = '${name}';`),
    '',
    ...registry.metrics.map(({ name }) => `export const METRIC_${constant(name)} = '${name}';`),
    '',
  ];
  for (const { id, template } of registry.attributes.values()) {
    if (template) lines.push(`/** A prefix: a dot and the rest of the key follow. */`);
    lines.push(`export const ${constant(id)} = '${id}';`);
  }
  for (const { id, members } of enumerations()) lines.push('', ...union(constant(id), members));
  const names = lines.map((line) => /^export \w+ (\w+)/.exec(line)?.[1]).filter((name) => name !== undefined);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`two names of the registry map to the constant ${twice}`);
  return `${lines.join('\n')}\n`;
}

/** Whodunit's own enumerations, with their values. */
function enumerations(): { readonly id: string; readonly members: readonly Member[] }[] {
  return [...registry.attributes.values()]
    .filter(({ id }) => !registry.upstream.has(id))
    .flatMap(({ id, members }) => (members === null ? [] : [{ id, members }]));
}

/** Returns `export const CAUSE_VALUES = ['exit', …] as const;` and the type of its members, formatted as Biome does. */
function union(name: string, members: readonly Member[]): string[] {
  const type = name.toLowerCase().replace(/(?:^|_)(.)/g, (_, letter: string) => letter.toUpperCase());
  const values = members.map(({ value }) => `'${value}'`);
  const line = `export const ${name}_VALUES = [${values.join(', ')}] as const;`;
  const list =
    line.length <= LINE_WIDTH
      ? [line]
      : [`export const ${name}_VALUES = [`, ...values.map((value) => `  ${value},`), '] as const;'];
  return [...list, `export type ${type}Value = (typeof ${name}_VALUES)[number];`];
}

function telemetry(): string {
  const parts = [
    '<!-- Generated from otel-config/registry/ by `npm run generate:telemetry`: not to be edited. -->',
    '# What whodunit emits',
    `Names from OpenTelemetry's semantic conventions (${registry.schemaUrl.split('/').at(-1)}) are used where they exist. Everything new is under \`whodunit.\` and defined in one registry
(\`otel-config/registry/\`, in Weaver's format). [upstream-proposal.md](upstream-proposal.md) proposes it to OpenTelemetry.`,
    '## Log records',
    ...registry.events.flatMap((event) => [`### \`${event.name}\``, event.brief, event.note, table(event.uses)]),
    '## Resources',
    ...registry.entities.flatMap((entity) => [`### \`${entity.name}\``, entity.brief, entity.note, table(entity.uses)]),
    '## Metrics',
    [
      '| name | kind, unit | attributes | resource |',
      '| --- | --- | --- | --- |',
      ...registry.metrics.map(
        ({ name, instrument, unit, uses, resources, valueType }) =>
          `| \`${name}\` | ${instrument} of ${valueType}, \`${unit}\` | ${uses.map(({ attribute }) => `\`${attribute.id}\``).join(', ')} | ${resources.map((resource) => `\`${resource}\``).join(', ')} |`,
      ),
    ].join('\n'),
    ...registry.metrics.map(({ name, brief, note }) => `\`${name}\`: ${[brief, note].join(' ').trim()}`),
    "The SDK's own `otel.sdk.*` metrics are sent as well.",
    ...(registry.spans.length === 0 ? [] : ['## Spans']),
    ...registry.spans.flatMap((span) => [`### \`${span.name}\``, span.brief, span.note]),
    '## Enumerations',
    ...enumerations().map(({ id, members }) =>
      [
        `\`${id}\``,
        '',
        '| value | meaning |',
        '| --- | --- |',
        ...members.map(({ value, brief }) => `| \`${value}\` | ${brief} |`),
      ].join('\n'),
    ),
    '## Renamed',
    'Names of earlier releases. They are no longer emitted: replace them in queries, dashboards and alerts.',
    ['| was | is now |', '| --- | --- |', ...registry.renamed.map(renamed)].join('\n'),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

function renamed({ attribute, value, to }: Renamed): string {
  const key = registry.attributes.get(to)?.template ? '.<key>' : '';
  return value === null
    ? `| \`${attribute}${key}\` | \`${to}${key}\` |`
    : `| \`${attribute}\` = \`${value}\` | \`${attribute}\` = \`${to}\` |`;
}

function table(uses: readonly Use[]): string {
  return [
    '| attribute | type | when | what |',
    '| --- | --- | --- | --- |',
    ...uses.map(({ attribute, requirement, note }) => {
      const type = attribute.members === null ? attribute.type : 'enumeration';
      const what = [attribute.brief, attribute.note, note, example(attribute)].filter((text) => text !== '').join(' ');
      return `| \`${attribute.id}${attribute.template ? '.<key>' : ''}\` | ${type} | ${when(requirement)} | ${what} |`;
    }),
  ].join('\n');
}

function when(requirement: string): string {
  return REQUIREMENTS[requirement] ?? requirement;
}

function example({ examples }: Attribute): string {
  return examples.length === 0
    ? ''
    : `E.g. ${examples.map((value) => `\`${Array.isArray(value) ? JSON.stringify(value) : value}\``).join(', ')}.`;
}
