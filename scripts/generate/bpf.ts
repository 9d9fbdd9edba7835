// SPDX-License-Identifier: Apache-2.0
// `npm run generate`: compiles bpf/ into loader/bpf_bpfel.{go,o} with bpf2go. The result is committed, so that a build needs Go alone.
// It must come from the pinned clang, or `--check` (in `npm run check`) could not compare bytes.
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { command, Failure } from '../base/command.ts';
import { run } from '../base/run.ts';
import { BPF_FLAGS, CLANG, requireCompiler, STRIP } from '../build/clang.ts';
import { ROOT } from '../paths.ts';

const LOADER = join(ROOT, 'loader');
const OUTPUTS = ['bpf_bpfel.go', 'bpf_bpfel.o'];
const TYPES = [
  'event_abi',
  'event_flag',
  'event',
  'part_kind',
  'part_flag',
  'part',
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

async function generate(directory: string): Promise<void> {
  const args = ['tool', 'bpf2go', '-cc', CLANG, '-strip', STRIP, '-target', 'bpfel', '-go-package', 'main'];
  args.push('-output-dir', directory, ...TYPES.flatMap((type) => ['-type', type]));
  args.push('bpf', join(ROOT, 'bpf', 'whodunit.bpf.c'), '--', ...BPF_FLAGS);
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
