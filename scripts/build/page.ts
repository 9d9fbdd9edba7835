// SPDX-License-Identifier: Apache-2.0
// Builds the page of `whodunit ui`: src/ui/ → dist/ui/, bundled, so that it asks its own server only.
import { copyFileSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildOptions, build, type Metafile } from 'esbuild';
import { ROOT } from '../paths.ts';

const FROM = join(ROOT, 'src/ui');
const TO = join(ROOT, 'dist/ui');

export const PAGE_BUILD = {
  absWorkingDir: ROOT,
  entryPoints: [{ in: join(FROM, 'main.tsx'), out: 'app' }],
  outdir: TO,
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'eof',
  metafile: true,
  logLevel: 'warning',
} as const satisfies BuildOptions;

/** Returns what is in it. */
export async function buildPage(): Promise<Metafile> {
  mkdirSync(TO, { recursive: true });
  const { metafile } = await build(PAGE_BUILD);
  for (const name of ['index.html', 'icon.svg']) copyFileSync(join(FROM, name), join(TO, name));
  return metafile;
}

export function pageFiles(): { readonly name: string; readonly bytes: number }[] {
  return readdirSync(TO).map((name) => ({ name, bytes: statSync(join(TO, name)).size }));
}
