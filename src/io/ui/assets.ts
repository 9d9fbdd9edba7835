// SPDX-License-Identifier: Apache-2.0
// The files of the page, as the build made them (scripts/build/page.ts), read once. In the bundle, this file is beside ui/.
import { readFileSync } from 'node:fs';

export interface Asset {
  readonly type: string;
  readonly body: Buffer;
}

const FILES = {
  '': { file: 'index.html', type: 'text/html; charset=utf-8' },
  'app.js': { file: 'app.js', type: 'text/javascript; charset=utf-8' },
  'app.css': { file: 'app.css', type: 'text/css; charset=utf-8' },
  'icon.svg': { file: 'icon.svg', type: 'image/svg+xml' },
} as const;

/** By the path below the base. */
export function readAssets(): ReadonlyMap<string, Asset> {
  const directory = new URL('ui/', import.meta.url);
  return new Map(
    Object.entries(FILES).map(([path, { file, type }]) => [
      path,
      { type, body: readFileSync(new URL(file, directory)) },
    ]),
  );
}
