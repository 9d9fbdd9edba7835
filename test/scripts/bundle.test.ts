// SPDX-License-Identifier: Apache-2.0
// The bundle of the service (scripts/build/service.ts), which must run without node_modules.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { NODE, ROOT, SERVICE } from '../../scripts/paths.ts';

const DIST = join(ROOT, 'dist');
const files = readdirSync(DIST).filter((name) => name.endsWith('.js'));
const text = (name: string) => readFileSync(join(DIST, name), 'utf8');

describe('the bundle', () => {
  it.each(files)('%s needs only built-in modules and other files of the bundle', (name) => {
    const specifiers = [...text(name).matchAll(/(?:\bfrom|\bimport|\bimport\(|\brequire\d*\()"([@\w./:-]+)"/g)].map(
      ([, specifier = '']) => specifier,
    );
    const missing = specifiers.filter(
      (one) => !isBuiltin(one) && !(one.startsWith('./') && files.includes(one.slice(2))),
    );
    expect(missing).toEqual([]);
  });

  it('asks for no module when it runs, but for built-in ones', () => {
    expect(files.filter((name) => /createRequire\)?\(/.test(text(name)))).toEqual([]);
  });

  it('reads a rules file', () => {
    const args = [SERVICE, 'filters', '--rules', join(ROOT, 'otel-config/rules.yaml')];
    expect(spawnSync(NODE, args, { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
  });
});
