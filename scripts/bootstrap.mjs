// SPDX-License-Identifier: Apache-2.0
// Runs before every command of package.json: checks that this machine can build whodunit, and installs the packages of
// package-lock.json if they are missing. Plain JavaScript without dependencies, for the system's Node.js (18 or newer). The
// commands are TypeScript: package.json runs them with the Node.js that npm installed, and replaces the shell with it (exec).
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const SYSTEM_NODE_MAJOR_MIN = 18;
const GO_DOWNLOADS = 'https://go.dev/dl';
const NODE_DOWNLOADS = 'https://nodejs.org';

const problem = nodeProblem() ?? goProblem() ?? installationProblem();
if (problem !== undefined) {
  console.error(`\n${problem}`);
  process.exitCode = 1;
}

function nodeProblem() {
  const version = process.versions.node;
  if (Number(version.split('.')[0]) >= SYSTEM_NODE_MAJOR_MIN) return undefined;
  return `Node.js ${SYSTEM_NODE_MAJOR_MIN} or newer is needed, this is ${version}. Install a newer one from ${NODE_DOWNLOADS}.`;
}

function goProblem() {
  const wanted = /^go (\d+(?:\.\d+)*)$/m.exec(readFileSync(join(ROOT, 'go.mod'), 'utf8'))?.[1];
  if (wanted === undefined) return 'go.mod names no Go version.';
  // Run in this directory, so that a go command that switches toolchains reports the version go.mod selects.
  const { error, stdout, stderr } = spawnSync('go', ['env', 'GOVERSION'], { cwd: ROOT, encoding: 'utf8' });
  if (error !== undefined) return `go cannot be run (${error.code}). Go ${wanted} or newer is needed: ${GO_DOWNLOADS}`;
  const found = /^go(\d+(?:\.\d+)*)/.exec(stdout)?.[1];
  if (found !== undefined && compareVersions(found, wanted) >= 0) return undefined;
  const what = stdout.trim() || stderr.trim();
  return `Go ${wanted} or newer is needed, this is ${what}. Install it from ${GO_DOWNLOADS}`;
}

/** Compares dotted versions by their numbers: negative, zero or positive. */
function compareVersions(a, b) {
  const left = a.split('.').map(Number);
  const right = b.split('.').map(Number);
  for (let i = 0; i < Math.max(left.length, right.length); i += 1) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function installationProblem() {
  if (isInstalled()) return undefined;
  console.error('installing the packages of package-lock.json …');
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: ROOT, stdio: ['ignore', 2, 2] });
  if (status === 0) return undefined;
  return '`npm ci` failed: see the output above (often the network is the cause).';
}

/** Compares package-lock.json with node_modules/.package-lock.json, where npm writes what it installed last. */
function isInstalled() {
  const installedFile = join(ROOT, 'node_modules/.package-lock.json');
  if (!existsSync(installedFile) || !existsSync(join(ROOT, 'node_modules/.bin/node'))) return false;
  const { packages: wanted } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
  const { packages: installed } = JSON.parse(readFileSync(installedFile, 'utf8'));
  return Object.entries(wanted).every(
    ([path, { version, optional }]) => path === '' || optional === true || installed[path]?.version === version,
  );
}
