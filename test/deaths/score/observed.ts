// SPDX-License-Identifier: Apache-2.0
// What a tool reports of a termination, in one shape for all tools: the end of a process, and who sent a signal. Pure.
import type { LogRecord } from '../../../scripts/stack/otlp-file.ts';

/** As wait(2) would say it. */
export type Ending = { readonly code: number } | { readonly signal: number };

export interface Sender {
  readonly pid: number;
  readonly comm: string;
}

export type Observation =
  | { readonly kind: 'end'; readonly pid: number; readonly ending: Ending }
  /** This pid is one of a thread: its end is no process's. */
  | { readonly kind: 'thread'; readonly pid: number }
  /** `pid` is the target. `sender` null: the tool says that it was no process. */
  | { readonly kind: 'signal'; readonly pid: number; readonly signal: number; readonly sender: Sender | null };

/** What a tool can tell at all. */
export type Subject = 'status' | 'sender';

const CORE_DUMPED = 0x80;

/** From the kernel's `exit_code`, in which `code << 8` or the signal is. */
export function endingOf(exitCodeRaw: number): Ending {
  const signal = exitCodeRaw & 0xff & ~CORE_DUMPED;
  return signal === 0 ? { code: (exitCodeRaw >> 8) & 0xff } : { signal };
}

/** What a record of whodunit says. */
export function observationsOf({ resource, attributes }: LogRecord): Observation[] {
  const pid = Number(resource['process.pid']);
  const signal = Number(attributes['whodunit.signal.number']);
  const code = attributes['process.exit.code'];
  const observed: Observation[] = [
    { kind: 'end', pid, ending: code === undefined ? { signal } : { code: Number(code) } },
  ];
  const kind = attributes['whodunit.sender.kind'];
  if (kind === 'process' || kind === 'self') {
    const [sender, comm] =
      kind === 'self'
        ? [pid, resource['process.executable.name']]
        : [Number(attributes['whodunit.sender.pid']), attributes['whodunit.sender.executable.name']];
    observed.push({ kind: 'signal', pid, signal, sender: { pid: sender, comm: String(comm) } });
  }
  return observed;
}
