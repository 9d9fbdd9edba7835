// SPDX-License-Identifier: Apache-2.0
// Compiles bpf/ with bpf2go into OUTPUTS. The result is committed, so that a build needs Go alone; it must come from the pinned
// clang, or `--check` (in `npm run check`) could not compare bytes.
//   node scripts/generate.mjs          writes the files
//   node scripts/generate.mjs --check  fails if the committed files are not what bpf/ gives
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const CLANG = 'clang-19';
const PACKAGES = ['clang-19', 'llvm-19', 'clang-format-19', 'libbpf-dev'];
const OUTPUTS = [
  'loader/internal/probes/bpf_bpfel.go',
  'loader/internal/probes/bpf_bpfel.o',
  'loader/internal/abi/abi_bpfel.go',
];
const TYPES = [
  'event_abi',
  'event_flag',
  'event',
  'part_kind',
  'part_flag',
  'part',
  'process_key',
  'feature',
  'status_mask',
  'siginfo_kind',
  'signal_action',
  'signal_set',
  'task_flag',
  'signal_fact',
  'fault',
  'oom',
  'description',
  'ancestor',
  'thread_context',
  'predecessor',
  'counters',
  'shared',
  'pending_counts_flag',
  'cgroup_hierarchy',
];

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', ...options });
  return {
    ok: result.status === 0,
    output: `${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`,
  };
}

/** The compiler and libbpf's headers; installs Debian's packages where that is allowed (CI, as root), else says how. */
function requireCompiler() {
  if (run(CLANG, ['--version']).ok && existsSync('/usr/include/bpf/bpf_helpers.h')) return;
  if (process.env.CI === 'true' && process.getuid?.() === 0) {
    console.log(`installing ${PACKAGES.join(' ')} …`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    run('apt-get', ['update', '-qq'], { env });
    const installed = run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...PACKAGES], { env });
    if (installed.ok && run(CLANG, ['--version']).ok) return;
    console.error(installed.output);
  }
  console.error(
    `${CLANG} and libbpf's headers are needed to compile bpf/. On Debian: apt-get install ${PACKAGES.join(' ')}`,
  );
  process.exit(1);
}

function generate(directory) {
  const include = `-I/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
  const args = ['tool', 'bpf2go', '-cc', CLANG, '-strip', 'llvm-strip-19', '-target', 'bpfel', '-go-package', 'probes'];
  args.push('-no-global-types', '-output-dir', directory, ...TYPES.flatMap((type) => ['-type', type]));
  args.push('bpf', join(root, 'bpf', 'whodunit.bpf.c'), '--', '-O2', '-mcpu=v3', '-Wall', '-Wextra', '-Werror', include);
  const result = run('go', args, { env: { ...process.env, GOPACKAGE: 'probes' } });
  if (!result.ok) {
    console.error(result.output);
    process.exit(1);
  }
  splitTypes(join(directory, 'bpf_bpfel.go'), join(directory, 'abi_bpfel.go'));
}

/** Moves the C types to a package without cilium/ebpf, and exports them: docs/decisions/0041. */
function splitTypes(objectFile, typesFile) {
  const source = readFileSync(objectFile, 'utf8');
  const [header] = source.split('\npackage ');
  const from = source.search(/^type /m);
  const to = source.indexOf('// Names of all BPF objects');
  const types = source.slice(from, to).replaceAll(/\bbpf(?=[A-Z])/g, '');
  writeFileSync(typesFile, `${header}\npackage abi\n\nimport "structs"\n\n${types.trimEnd()}\n`);
  writeFileSync(objectFile, (source.slice(0, from) + source.slice(to)).replace('\t"structs"\n', ''));
}

requireCompiler();
if (process.argv.includes('--check')) {
  const directory = mkdtempSync(join(tmpdir(), 'whodunit-generate-'));
  try {
    generate(directory);
    const stale = OUTPUTS.filter(
      (path) => !readFileSync(join(directory, basename(path))).equals(readFileSync(join(root, path))),
    );
    if (stale.length > 0) {
      console.error(`stale: ${stale.join(', ')}. Run \`npm run generate\` and commit the result.`);
      process.exitCode = 1;
    } else console.log('generated files are fresh');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
} else {
  const directory = mkdtempSync(join(tmpdir(), 'whodunit-generate-'));
  generate(directory);
  for (const path of OUTPUTS) copyFileSync(join(directory, basename(path)), join(root, path));
  rmSync(directory, { recursive: true, force: true });
  console.log(`wrote ${OUTPUTS.join(', ')}`);
}
