// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { notices } from '../../scripts/build/notices.ts';
import { temporaryDirectory } from '../../scripts/stack/program.ts';

const place = temporaryDirectory();
afterAll(() => place.remove());

/** A part with these files. */
function part(name: string, files: Readonly<Record<string, string>>) {
  const directory = join(place.path, name);
  mkdirSync(directory);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(directory, file), text);
  return { name, version: '1.0', directory };
}

describe('the notices', () => {
  it('have each text once, with all parts that it is for', () => {
    const parts = [
      part('a', { 'LICENSE.md': 'may be used\n' }),
      part('b', { COPYING: 'must be shared' }),
      part('c', { license: 'may be used', 'index.js': 'code' }),
    ];
    const text = notices([...parts, ...parts]);
    expect(text.match(/may be used/g)).toHaveLength(1);
    expect(text).toMatch(/\na 1\.0\nc 1\.0\n-+\n\nmay be used\n/);
    expect(text).toContain('\nb 1.0\n');
    expect(text).not.toContain('code');
  });

  it('have NOTICE beside the licence', () => {
    expect(notices([part('d', { LICENSE: 'may be used', 'NOTICE.txt': 'by D' })])).toContain('may be used\n\nby D');
  });

  it('cannot be made without the licence of each part: the message names those that have none', () => {
    const parts = [part('e', { LICENSE: 'may be used' }), part('f', { NOTICE: 'by F' }), part('@g', {})];
    expect(() => notices(parts)).toThrow('these have no LICENSE or COPYING: f, @g.');
  });
});
