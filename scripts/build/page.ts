// SPDX-License-Identifier: Apache-2.0
// Builds the page of `whodunit ui`: src/ui/ → dist/ui/, bundled, so that it asks its own server only.
import { copyFileSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { ROOT } from '../paths.ts';

const FROM = join(ROOT, 'src/ui');
const TO = join(ROOT, 'dist/ui');

export async function buildPage(): Promise<void> {
  mkdirSync(TO, { recursive: true });
  await build({
    entryPoints: [{ in: join(FROM, 'main.tsx'), out: 'app' }],
    outdir: TO,
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'eof',
    logLevel: 'warning',
  });
  for (const name of ['index.html', 'icon.svg']) copyFileSync(join(FROM, name), join(TO, name));
}

export function pageFiles(): { readonly name: string; readonly bytes: number }[] {
  return readdirSync(TO).map((name) => ({ name, bytes: statSync(join(TO, name)).size }));
}
