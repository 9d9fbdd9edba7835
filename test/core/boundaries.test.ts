// SPDX-License-Identifier: Apache-2.0
// Imports point inward: main → pipeline → io → core; config is beside io. Checked for every file in src/, cycles included.
import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { VERSION } from '../../src/core/version.ts';

const source = new URL('../../src/', import.meta.url);
const all = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
const filesIn = (directory: string): string[] => all.filter((name) => name.startsWith(directory));
const read = (file: string): string => readFileSync(new URL(file, source), 'utf8');
const imports = (file: string): string[] =>
  [...read(file).matchAll(/(?:from|import\(|import)\s*'([^']+)'/g)].map(([, name]) => name ?? '');
const typeOnly = (file: string): string[] =>
  [...read(file).matchAll(/^import type [^;]* from '([^']+)'/gm)].map(([, name]) => name ?? '');
/** The files of src/ that a file imports, types included, as paths from src/. */
const edges = (file: string): string[] =>
  imports(file)
    .filter((name) => name.startsWith('.'))
    .map((name) => posix.join(posix.dirname(file), name));

/** The pure packages that core may import: hashes, schemas, a protobuf reader. */
const PURE = new Set(['node:crypto', 'zod/mini', 'zod/v4/core', 'protobufjs/minimal.js']);

/** The stages of one termination, in order; core/conclude.ts connects them. */
const STAGES = ['wire', 'verdict', 'identity', 'words', 'crash', 'filter', 'telemetry'];
/** Files that every stage may import. */
const VOCABULARY = new Set(['core/telemetry/semconv.ts', 'core/telemetry/attributes.ts']);
const stageOf = (file: string): string => file.split('/')[1] ?? '';

describe('imports', () => {
  it.each(filesIn('core/'))('%s imports only from core, and nothing that does I/O', (file) => {
    for (const target of edges(file)) expect(target).toMatch(/^core\//);
    const types = new Set(typeOnly(file));
    for (const name of imports(file).filter((name) => !name.startsWith('.')))
      expect([name, PURE.has(name) || types.has(name)]).toEqual([name, true]);
  });

  it.each(STAGES.flatMap((stage) => filesIn(`core/${stage}/`)))(
    '%s imports only from its stage and earlier ones',
    (file) => {
      const before = STAGES.slice(0, STAGES.indexOf(stageOf(file)) + 1);
      const later = edges(file).filter(
        (target) => STAGES.includes(stageOf(target)) && !before.includes(stageOf(target)),
      );
      expect(later.filter((target) => !VOCABULARY.has(target))).toEqual([]);
    },
  );

  it.each(filesIn('config/'))('%s imports only from config and core', (file) => {
    for (const target of edges(file)) expect(target).toMatch(/^(?:config|core)\//);
  });

  it.each(filesIn('io/'))('%s imports only from io, config and core', (file) => {
    for (const target of edges(file)) expect(target).toMatch(/^(?:io|config|core)\//);
  });

  it('have no cycle, type imports included', () => {
    expect(cycles(new Map(all.map((file) => [file, edges(file)])))).toEqual([]);
  });

  it('would be reported if they had a cycle', () => {
    const graph = new Map([
      ['a', ['b']],
      ['b', ['c', 'd']],
      ['c', ['b']],
      ['d', []],
    ]);
    expect(cycles(graph)).toEqual(['b → c → b']);
  });
});

/** The cycles of a graph: paths that return to a node which the depth-first search has not left. */
function cycles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = [];
  const finished = new Set<string>();
  const visit = (node: string, path: readonly string[]): void => {
    const at = path.indexOf(node);
    if (at >= 0) found.push([...path.slice(at), node].join(' → '));
    if (at >= 0 || finished.has(node)) return;
    for (const next of graph.get(node) ?? []) visit(next, [...path, node]);
    finished.add(node);
  };
  for (const node of graph.keys()) visit(node, []);
  return found;
}

describe('core', () => {
  it.each(filesIn('core/'))('%s uses no clock, no random numbers, no environment', (file) => {
    expect(read(file).replace(/'[^'\n]*'|`[^`]*`|\/\/.*|^ ?\*.*/gm, '')).not.toMatch(
      /Date\.now|performance\.|Math\.random|(?<![.\w])process\.(?:env|stdout|stderr|exit|hrtime)|setTimeout|new Date\(\)/,
    );
  });
});

describe('every file', () => {
  it.each(all)('%s opens with its licence and its purpose', (file) => {
    expect(read(file)).toMatch(/^(?:#!.*\n)?\/\/ SPDX-License-Identifier: Apache-2\.0\n\/\/ \S.{20,}/);
  });

  it('leaves process.exit() to main.ts', () => {
    expect(all.filter((file) => /process\.exit\(/.test(read(file)))).toEqual(['main.ts']);
  });
});

it('the version is that of package.json', () => {
  expect(JSON.parse(readFileSync(new URL('../package.json', source), 'utf8')).version).toBe(VERSION);
});
