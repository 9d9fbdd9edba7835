// SPDX-License-Identifier: Apache-2.0
// What records lack on a kernel without BTF, whose types the loader finds by observation (docs/decisions/0121). A limit explains a missing value,
// never a wrong one. Shared with the kernel matrix (test/kernels).

export interface ObservedLimit {
  readonly reason: string;
  /** Only in these cases; undefined: in all cases. */
  readonly cases?: readonly string[];
  /** Whether the limit explains a difference (the text of compare.ts). */
  readonly allows: (difference: string) => boolean;
}

const saysNothing =
  (attribute: RegExp) =>
  (difference: string): boolean => {
    const [name = '', found = ''] = difference.split(': ', 2);
    return attribute.test(name) && found.startsWith('the record says nothing,');
  };

export const OBSERVED_LIMITS: readonly ObservedLimit[] = [
  {
    reason: 'paths of executables are not found',
    allows: saysNothing(/^(process|whodunit\.sender|whodunit\.stop\.sender)\.executable\.path$/),
  },
  {
    reason: 'without a path, the executable of a process is named by its first argument or its comm of 15 characters',
    cases: ['script', 'sigkill-by-setuid'],
    allows: (difference) => /^(process|whodunit\.sender)\.executable\.name: the record says "/.test(difference),
  },
  {
    reason: 'without a path, the sentence says of a sender that its executable is not known',
    allows: (difference) => /^body: the record says ".*, executable not known\)/.test(difference),
  },
  {
    reason: 'the registers of a task are not read: the faulting instruction is missing',
    allows: saysNothing(/^whodunit\.fault\.instruction_pointer$/),
  },
  {
    reason:
      'the memory of a victim of the OOM killer, its score before Linux 6.16, and the limit that it hit, are not found',
    allows: saysNothing(/^whodunit\.oom\.(total_vm|anon_rss|file_rss|shmem_rss|score_adj|limit|cgroup)$/),
  },
];

/** The differences that no limit explains. */
export function unexplained(id: string, differences: readonly string[]): string[] {
  return differences.filter(
    (difference) => !OBSERVED_LIMITS.some(({ cases, allows }) => (cases?.includes(id) ?? true) && allows(difference)),
  );
}
