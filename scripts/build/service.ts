// SPDX-License-Identifier: Apache-2.0
// Builds the service: src/ and its dependencies → dist/, a few ES modules that need no node_modules (docs/decisions/0115), and its page.
// Also run alone, where only the service is built (images/service.Dockerfile).
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { type BuildOptions, build, type Metafile, type Plugin } from 'esbuild';
import { ROOT } from '../paths.ts';
import { buildPage } from './page.ts';

const TO = join(ROOT, 'dist');

/**
 * `import 'node:http'` reads each export once. Among them are getters that load Node.js's client for fetch() and WebSocket, which takes
 * 13 MB: they are left out. The other built-in modules have no such getters.
 */
const HTTP_WITHOUT_FETCH: Plugin = {
  name: 'http-without-fetch',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(?:node:)?http$/ }, () => ({ path: 'node:http', namespace: 'built-in', sideEffects: false }));
    onLoad({ filter: /^/, namespace: 'built-in' }, () => ({ contents: httpModule() }));
  },
};

const FETCH: ReadonlySet<string> = new Set(['WebSocket', 'CloseEvent', 'MessageEvent']);

function httpModule(): string {
  const names = Object.keys(http).filter((name) => !FETCH.has(name));
  return `const http = process.getBuiltinModule('node:http');\nexport default http;\nexport const { ${names.join(', ')} } = http;`;
}

/** The ES form of the exporters' base would ask Node.js for gRPC when it runs, and thus need node_modules. */
const GRPC_IN_THE_BUNDLE: Plugin = {
  name: 'grpc-in-the-bundle',
  setup({ onLoad }) {
    onLoad({ filter: /\/otlp-grpc-exporter-base\/dist\/[^/]+\.mjs$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replaceAll('__require("@grpc/grpc-js")', 'require("@grpc/grpc-js")'),
    }));
  },
};

export const SERVICE_BUILD = {
  absWorkingDir: ROOT,
  entryPoints: ['src/main.ts', 'src/loader.ts'],
  outdir: TO,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node22.15',
  mainFields: ['module', 'main'],
  plugins: [HTTP_WITHOUT_FETCH, GRPC_IN_THE_BUNDLE],
  // The dependencies that are CommonJS require built-in modules only: all else is bundled.
  banner: { js: 'const require = process.getBuiltinModule;' },
  // Names stay, so that a stack trace is readable without the source maps, which have no sources.
  minifyWhitespace: true,
  minifySyntax: true,
  sourcemap: 'linked',
  sourcesContent: false,
  legalComments: 'eof',
  metafile: true,
  logLevel: 'warning',
} as const satisfies BuildOptions;

/** Returns what is in it, by file of dist/. */
export async function bundleService(): Promise<Metafile> {
  const { metafile } = await build(SERVICE_BUILD);
  // Not before: what runs at the moment may still load its parts.
  const built = new Set(Object.keys(metafile.outputs).map((path) => join(ROOT, path)));
  for (const entry of existsSync(TO) ? readdirSync(TO, { withFileTypes: true }) : [])
    if (entry.name !== 'ui' && !built.has(join(TO, entry.name))) rmSync(join(TO, entry.name), { recursive: true });
  return metafile;
}

if (import.meta.main) {
  await bundleService();
  await buildPage();
}
