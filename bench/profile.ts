// SPDX-License-Identifier: Apache-2.0
// Pure: converts profiles to shares of their time: V8's samples (`node --cpu-prof`) and the output of `perf report` and `perf script`.

export interface Share {
  readonly name: string;
  readonly percent: number;
}

/** Line and column count from 0. */
export interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
  readonly columnNumber: number;
}

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: CallFrame;
  }[];
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

/**
 * Returns shares of the non-idle time by source file of whodunit, by package, and by part of the runtime. Largest first. `sourceOf`: the path of the
 * source from which a place of the bundle was built, by its source maps.
 */
export function sharesOfCpuProfile(
  { nodes, samples, timeDeltas }: CpuProfile,
  sourceOf: (frame: CallFrame) => string | null,
): Share[] {
  const names = new Map(
    nodes.map(({ id, callFrame }) => [id, placeOf(sourceOf(callFrame) ?? callFrame.url, callFrame.functionName)]),
  );
  const spent = new Map<string, number>();
  for (const [index, id] of samples.entries()) {
    const name = names.get(id) ?? 'unknown';
    if (name !== '(idle)') spent.set(name, (spent.get(name) ?? 0) + (timeDeltas[index] ?? 0));
  }
  const whole = [...spent.values()].reduce((sum, one) => sum + one, 0);
  return [...spent].map(([name, us]) => ({ name, percent: (us / whole) * 100 })).sort((a, b) => b.percent - a.percent);
}

function placeOf(url: string, functionName: string): string {
  // The greedy prefix finds the last match: packages can contain packages.
  const inPackage = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1];
  if (inPackage !== undefined) return inPackage;
  const ours = /(?:^|\/)(src\/.+\.ts)$/.exec(url)?.[1];
  if (ours !== undefined) return ours;
  if (url.startsWith('node:')) return url.replace(/^(node:(?:internal\/)?[^/]+).*$/, '$1');
  return functionName.startsWith('(') ? functionName : 'builtins of V8';
}

/**
 * Parses `perf report --stdio --no-children --sort symbol`: lines like `    12.34%  [k] name    -      -` (k: kernel, .: user). The loader's
 * binary is stripped, so its user-space symbols are addresses: their shares are summed. Largest first.
 */
export function sharesOfPerfReport(text: string): Share[] {
  const lines = text.matchAll(/^\s+(\d+\.\d+)%\s+\[([k.])\]\s+(\S.*?)[\s-]*$/gm);
  const shares = new Map<string, number>();
  for (const [, percent, space, symbol = ''] of lines) {
    const name =
      space === 'k' ? `${symbol} (kernel)` : symbol.startsWith('0x') ? 'its own code and the runtime of Go' : symbol;
    shares.set(name, (shares.get(name) ?? 0) + Number(percent));
  }
  return [...shares].map(([name, percent]) => ({ name, percent })).sort((a, b) => b.percent - a.percent);
}

/**
 * Parses `perf script -F ip,sym`: one line for each frame of a sample, innermost first, then an empty line. Returns shares of the samples in
 * that BPF program by the function it called: one of its steps, or a helper of the kernel. Largest first.
 */
export function sharesOfPerfScript(text: string, program: string): Share[] {
  const taken = new Map<string, number>();
  let samples = 0;
  for (const sample of text.split('\n\n')) {
    const lines = sample.split('\n').filter((line) => line.trim() !== '');
    const frames = lines.map((line) => line.trim().replace(/^[0-9a-f]+\s+(?:bpf_prog_[0-9a-f]{16}_)?/, ''));
    const at = frames.indexOf(program);
    if (at === -1) continue;
    samples += 1;
    const step = at === 0 ? `${program} itself` : (frames[at - 1] ?? '');
    taken.set(step, (taken.get(step) ?? 0) + 1);
  }
  return [...taken]
    .map(([name, count]) => ({ name, percent: (count / samples) * 100 }))
    .sort((a, b) => b.percent - a.percent);
}
