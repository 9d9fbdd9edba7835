// SPDX-License-Identifier: Apache-2.0
// `npm run generate`: compiles bpf/ with bpf2go into OUTPUTS. The output is committed, so that a build needs only Go. `--check` (in
// `npm run check`) compares it byte by byte, which requires the pinned clang.
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { command, Failure } from '../base/command.ts';
import { run } from '../base/run.ts';
import { BPF_FLAGS, CLANG, OLD_BPF_FLAGS, requireCompiler, STRIP } from '../build/clang.ts';
import { ROOT } from '../paths.ts';

const OUTPUTS = [
  'loader/internal/probes/bpf_bpfel.go',
  'loader/internal/probes/bpf_bpfel.o',
  'loader/internal/abi/abi_bpfel.go',
  'loader/internal/calibrate/peek_bpfel.go',
  'loader/internal/calibrate/peek_bpfel.o',
  'loader/internal/oldprobes/old_bpfel.go',
  'loader/internal/oldprobes/old_bpfel.o',
  'loader/internal/oldprobes/classic_bpfel.go',
  'loader/internal/oldprobes/classic_bpfel.o',
];
const TYPES = [
  'event_abi',
  'event_flag',
  'event',
  'origin',
  'part_kind',
  'part_flag',
  'part',
  'process_key',
  'feature',
  'status_mask',
  'uid_value',
  'siginfo_kind',
  'siginfo_code',
  'signal_number',
  'signal_action',
  'signal_set',
  'task_flag',
  'signal_fact',
  'stop',
  'pipes',
  'fault',
  'oom',
  'description',
  'ancestor',
  'thread_context',
  'credentials',
  'predecessor',
  'executed_tool',
  'init_signal',
  'tool_kind',
  'tool_name',
  'program',
  'program_flag',
  'listed_program',
  'program_counters',
  'counters',
  'processor_exits',
  'shared',
  'origin_share',
  'share',
  'sender_part_key',
  'clock',
  'holding',
  'pending_counts_slot',
  'cgroup_hierarchy',
  'cgroup_limit',
  'repeat_flag',
  'repeat_outcome',
  'claims_value',
  'repeat_key',
  'repeat_place',
  'repeat_total',
  'repeat_reserve',
  'crash_slot',
  'crash_pages',
  'page_place',
  'calibration',
  'crash_mapping',
  'crash_directory',
  'crash_claim',
  'crash_slot_state',
  'crash_capture',
  'mapping_place',
  'crash_reference',
  'thread_registers',
  'stack_region',
];

/** Of bpf/old.bpf.c. */
const OLD_TYPES = ['old_key', 'old_kind', 'old_text', 'old_fact', 'old_ancestors', 'old_program', 'old_slot'];
const OLD_MAP_TYPES = ['old_clock', 'old_counters', 'old_tail', 'old_state', 'old_gap'];

async function generate(directory: string): Promise<void> {
  await bpf2go(directory, { source: 'whodunit.bpf.c', name: 'bpf', goPackage: 'probes' }, TYPES, BPF_FLAGS);
  await bpf2go(directory, { source: 'peek.bpf.c', name: 'peek', goPackage: 'calibrate' }, ['peek'], OLD_BPF_FLAGS);
  splitTypes(join(directory, 'bpf_bpfel.go'), join(directory, 'abi_bpfel.go'));
  const old = { source: 'old.bpf.c', name: 'old', goPackage: 'oldprobes' };
  await bpf2go(directory, old, [...OLD_TYPES, ...OLD_MAP_TYPES], OLD_BPF_FLAGS);
  const classic = { source: 'classic.bpf.c', name: 'classic', goPackage: 'oldprobes' };
  await bpf2go(directory, classic, [], OLD_BPF_FLAGS);
  const oldFile = join(directory, 'old_bpfel.go');
  writeFileSync(oldFile, readFileSync(oldFile, 'utf8').replaceAll(/\bold(Map|Prog)?Old(?=[A-Z])/g, 'old$1'));
}

interface BpfObject {
  readonly source: string;
  readonly name: string;
  readonly goPackage: string;
}

async function bpf2go(
  directory: string,
  { source, name, goPackage }: BpfObject,
  types: readonly string[],
  flags: readonly string[],
): Promise<void> {
  const args = ['tool', 'bpf2go', '-cc', CLANG, '-strip', STRIP, '-target', 'bpfel', '-go-package', goPackage];
  args.push('-no-global-types', '-output-dir', directory, ...types.flatMap((type) => ['-type', type]));
  args.push(name, join(ROOT, 'bpf', source), '--', ...flags);
  await run('go', args, { env: { GOPACKAGE: goPackage } });
}

/** Moves the C types to a package that does not import cilium/ebpf, and exports them (docs/decisions/0041). */
function splitTypes(objectFile: string, typesFile: string): void {
  const source = readFileSync(objectFile, 'utf8');
  const [header] = source.split('\npackage ');
  const from = source.search(/^type /m);
  const to = source.indexOf('// Names of all BPF objects');
  const types = source.slice(from, to).replaceAll(/\bbpf(?=[A-Z])/g, '');
  writeFileSync(typesFile, `${header}\npackage abi\n\nimport "structs"\n\n${types.trimEnd()}\n`);
  writeFileSync(objectFile, (source.slice(0, from) + source.slice(to)).replace('\t"structs"\n', ''));
}

await command(async () => {
  await requireCompiler();
  const directory = mkdtempSync(join(tmpdir(), 'whodunit-generate-'));
  try {
    await generate(directory);
    if (process.argv.includes('--check')) check(directory);
    else {
      for (const path of OUTPUTS) copyFileSync(join(directory, basename(path)), join(ROOT, path));
      console.log(`wrote ${OUTPUTS.join(', ')}`);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return 0;
});

/** Fails if a committed file differs from the generated one. */
function check(directory: string): void {
  const stale = OUTPUTS.filter(
    (path) => !readFileSync(join(directory, basename(path))).equals(readFileSync(join(ROOT, path))),
  );
  if (stale.length === 0) return;
  throw new Failure(`stale: ${stale.join(', ')}. Run \`npm run generate\` and commit the result.`);
}
