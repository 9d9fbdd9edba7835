// The steps that every command of the front door takes first: check the machine, install, build.
// Plain Node with no dependency, because it runs before anything is installed. One line a step, with its time.
//
// SPDX-License-Identifier: Apache-2.0

import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
/** The Node.js that runs the service: a dependency of the project, so that the system's may be older. */
export const NODE = join(ROOT, 'node_modules/.bin/node');
/**
 * How it runs it, MiB. Its heap needs some 40. What V8 lets gather before it looks for garbage depends on what it may use, by default a
 * part of the machine's memory: 350 MiB after the first storm, for good.
 */
export const SERVICE_FLAGS = ['--max-semi-space-size=16', '--max-old-space-size=256'];
export const LOADER = join(ROOT, 'build/whodunit-loader');
export const SERVICE = join(ROOT, 'dist/main.js');
export const MORTAL = join(ROOT, 'build/mortal');
export const UNDERTAKER = join(ROOT, 'build/undertaker');
export const REAPER = join(ROOT, 'build/reaper');

const SYSTEM_NODE_MAJOR_MIN = 18;

/** A failure that the person in front of the terminal can do something about. */
export class Failure extends Error {
  constructor(message, output = '') {
    super(message);
    this.output = output;
  }
}

/** Runs `main` and ends the process: 0, or 1 with the failure in a sentence. */
export async function command(main) {
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (error.output !== '') console.error(error.output.trimEnd());
    console.error(`\n${error.message}`);
    process.exitCode = 1;
  }
}

/** The command line as parseArgs of node:util takes it apart. A wrong one is a failure that points to --help. */
export function readFlags(options) {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    throw new Failure(`${error.message} See --help.`);
  }
}

/** One line on standard error, so that what the service prints on the other output stays clean. */
export async function step(label, work) {
  process.stderr.write(`${label} … `);
  const start = performance.now();
  try {
    const result = await work();
    console.error(`${((performance.now() - start) / 1000).toFixed(1)} s`);
    return result;
  } catch (error) {
    console.error('failed');
    throw error;
  }
}

/** Runs a program to its end and gives what it printed. `remedy` is what to do if it fails. */
export function run(program, args, { remedy = '', env = {}, cwd = ROOT } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    child.on('error', (error) =>
      reject(
        new Failure(
          error.code === 'ENOENT'
            ? `${program} is not installed. ${remedy}`
            : `${program}: ${error.message}. ${remedy}`,
        ),
      ),
    );
    child.on('close', (code, signal) => {
      if (code === 0) resolve(stdout);
      else
        reject(
          new Failure(`${[program, ...args].join(' ')}: ended with ${signal ?? `code ${code}`}. ${remedy}`, output),
        );
    });
  });
}

/** Compares dotted versions by their numbers: negative, zero or positive. */
export function compareVersions(a, b) {
  const left = a.split('.').map(Number);
  const right = b.split('.').map(Number);
  for (let i = 0; i < Math.max(left.length, right.length); i += 1) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function checkNode() {
  const [major] = process.versions.node.split('.').map(Number);
  if (major < SYSTEM_NODE_MAJOR_MIN) {
    throw new Failure(
      `Node.js ${SYSTEM_NODE_MAJOR_MIN} or newer is needed, this is ${process.versions.node}. Install a newer one from https://nodejs.org.`,
    );
  }
}

async function checkGo() {
  const wanted = /^go (\d+(?:\.\d+)*)$/m.exec(readFileSync(join(ROOT, 'go.mod'), 'utf8'))?.[1];
  if (wanted === undefined) throw new Failure('go.mod names no Go version.');
  const remedy = `Go ${wanted} or newer is needed: https://go.dev/dl`;
  // In this directory, so that a go command that can fetch the right toolchain itself has done so.
  const version = await run('go', ['env', 'GOVERSION'], { remedy });
  const found = /^go(\d+(?:\.\d+)*)/.exec(version.trim())?.[1];
  if (found === undefined || compareVersions(found, wanted) < 0) {
    throw new Failure(`Go ${wanted} or newer is needed, this is ${version.trim()}. Install it from https://go.dev/dl`);
  }
}

/** What npm installed last is written in node_modules/.package-lock.json: is that what package-lock.json wants? */
function isInstalled() {
  const installedFile = join(ROOT, 'node_modules/.package-lock.json');
  if (!existsSync(installedFile) || !existsSync(NODE)) return false;
  const { packages: wanted } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
  const { packages: installed } = JSON.parse(readFileSync(installedFile, 'utf8'));
  return Object.entries(wanted).every(
    ([path, { version, optional }]) => path === '' || optional === true || installed[path]?.version === version,
  );
}

export async function install() {
  checkNode();
  await checkGo();
  if (isInstalled()) return;
  await step('installing the packages of package-lock.json', () =>
    run('npm', ['ci', '--no-audit', '--no-fund'], {
      remedy: 'npm comes with Node.js; if it is there, the output above says what it lacks (often the network).',
    }),
  );
}

export async function buildGo(what, output, directory, flags = [], env = {}) {
  await step(`building ${what}`, () =>
    run('go', ['build', '-trimpath', ...flags, '-o', output, directory], {
      env: { CGO_ENABLED: '0', ...env },
      remedy: 'If the output above speaks of a download, the Go module proxy could not be reached.',
    }),
  );
}

const LOADER_FLAGS = ['-ldflags=-s -w'];
export const buildLoader = () => buildGo('the loader (Go)', LOADER, './loader', LOADER_FLAGS);
/** For another processor than this one's, as Go names it, too. */
export const buildLoaderFor = (arch, output) =>
  buildGo(`the loader for ${arch}`, output, './loader', LOADER_FLAGS, { GOOS: 'linux', GOARCH: arch });
export const buildMortal = () => buildGo('the programs that die (Go)', MORTAL, './examples/mortal');
export const buildReaper = () => buildGo('the reaper (Go)', REAPER, './test/chaos/reaper');
export const buildUndertaker = () => buildGo('the undertaker (Go)', UNDERTAKER, './test/deaths/undertaker');

export async function buildService() {
  await step('building the service (TypeScript)', () =>
    run(join(ROOT, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.json'], {
      remedy: 'If a package is missing, remove node_modules and try again.',
    }),
  );
}

export async function installAndBuild() {
  await install();
  await buildLoader();
  await buildService();
}
