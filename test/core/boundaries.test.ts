// SPDX-License-Identifier: Apache-2.0
// Imports point inward: main → io → core. Held here, since nothing else would notice.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { VERSION } from '../../src/core/version.ts';

const source = new URL('../../src/', import.meta.url);
const files = (directory: string): string[] =>
  readdirSync(new URL(directory, source))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${directory}${name}`);
const read = (file: string): string => readFileSync(new URL(file, source), 'utf8');
const imports = (file: string): string[] =>
  [...read(file).matchAll(/(?:from|import\()\s*'([^']+)'/g)].map(([, name]) => name ?? '');
const typeOnly = (file: string): string[] =>
  [...read(file).matchAll(/^import type [^;]* from '([^']+)'/gm)].map(([, name]) => name ?? '');

/** Of others, core may use what is pure: a hash, a schema, a reader of bytes. */
const PURE = new Set(['node:crypto', 'zod/mini', 'protobufjs/minimal.js']);

describe('imports', () => {
  it.each(files('core/'))('%s imports only from core, and nothing that does I/O', (file) => {
    const types = new Set(typeOnly(file));
    for (const name of imports(file))
      expect([name, name.startsWith('./') || PURE.has(name) || types.has(name)]).toEqual([name, true]);
  });

  it.each(files('io/'))('%s imports from io, core and packages, never from above', (file) => {
    for (const name of imports(file)) if (name.startsWith('..')) expect(name).toMatch(/^\.\.\/core\//);
  });
});

describe('core', () => {
  it.each(files('core/'))('%s has no clock, no chance, no environment', (file) => {
    expect(read(file).replace(/'[^'\n]*'|`[^`]*`|\/\/.*|^ ?\*.*/gm, '')).not.toMatch(
      /Date\.now|performance\.|Math\.random|(?<![.\w])process\.(?:env|stdout|stderr|exit|hrtime)|setTimeout|new Date\(\)/,
    );
  });
});

describe('every file', () => {
  const all = [...files(''), ...files('core/'), ...files('io/')];

  it.each(all)('%s says whose it is and what it is for', (file) => {
    expect(read(file)).toMatch(/^(?:#!.*\n)?\/\/ SPDX-License-Identifier: Apache-2\.0\n\/\/ \S.{20,}/);
  });

  it('ends the program in main.ts only', () => {
    expect(all.filter((file) => /process\.exit\(/.test(read(file)))).toEqual(['main.ts']);
  });
});

it('the version is that of the package', () => {
  expect(JSON.parse(readFileSync(new URL('../package.json', source), 'utf8')).version).toBe(VERSION);
});
