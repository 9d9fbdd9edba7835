// SPDX-License-Identifier: Apache-2.0
// `npm run generate`: compiles bpf/ into loader/bpf_bpfel.{go,o} with bpf2go. The result is committed, so that a build needs Go alone.
// It must come from the pinned clang, or `--check` (in `npm run check`) could not compare bytes.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { command, Failure } from '../base/command.ts';
import { requirePackages } from '../base/debian.ts';
import { run } from '../base/run.ts';
import { ROOT } from '../paths.ts';

const CLANG = 'clang-19';
const STRIP = 'llvm-strip-19';
const PACKAGES = ['clang-19', 'llvm-19', 'clang-format-19', 'libbpf-dev'];
const LOADER = join(ROOT, 'loader');
const OUTPUTS = ['bpf_bpfel.go', 'bpf_bpfel.o'];
const TYPES = [
  'event',
  'part',
  'part_kind',
  'dead',
  'signal_fact',
  'siginfo_kind',
  'signal_action',
  'fault',
  'oom',
  'description',
  'ancestor',
  'thread_context',
  'counters',
  'shared',
  'cgroup_hierarchy',
];

/** The compiler and libbpf's headers. A machine that has them from elsewhere than Debian's packages is fine. */
async function requireCompiler(): Promise<void> {
  const compiles = [CLANG, STRIP].every((program) => spawnSync(program, ['--version']).status === 0);
  if (compiles && existsSync('/usr/include/bpf/bpf_helpers.h')) return;
  await requirePackages(PACKAGES, 'Compiling bpf/');
}

async function generate(directory: string): Promise<void> {
  const include = `-I/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
  const args = ['tool', 'bpf2go', '-cc', CLANG, '-strip', STRIP, '-target', 'bpfel', '-go-package', 'main'];
  args.push('-output-dir', directory, ...TYPES.flatMap((type) => ['-type', type]));
  args.push('bpf', join(ROOT, 'bpf', 'whodunit.bpf.c'), '--', '-O2', '-mcpu=v3', '-Wall', '-Werror', include);
  await run('go', args, { env: { GOPACKAGE: 'main' } });
}

await command(async () => {
  await requireCompiler();
  const directory = mkdtempSync(join(tmpdir(), 'whodunit-generate-'));
  try {
    await generate(directory);
    if (process.argv.includes('--check')) check(directory);
    else {
      for (const name of OUTPUTS) copyFileSync(join(directory, name), join(LOADER, name));
      console.log(`wrote ${OUTPUTS.map((name) => `loader/${name}`).join(', ')}`);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return 0;
});

/** Fails if a committed file is not what bpf/ gives. */
function check(directory: string): void {
  const stale = OUTPUTS.filter((name) => !readFileSync(join(directory, name)).equals(readFileSync(join(LOADER, name))));
  if (stale.length === 0) return;
  const names = stale.map((name) => `loader/${name}`).join(', ');
  throw new Failure(`stale: ${names}. Run \`npm run generate\` and commit the result.`);
}
