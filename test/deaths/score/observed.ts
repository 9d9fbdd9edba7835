// SPDX-License-Identifier: Apache-2.0
// What a tool reports about a termination, in one shape for all tools: the status of a process, and the sender of a signal. Pure.
import type { LogRecord } from '../../../scripts/stack/otlp-file.ts';

/** The status, as wait(2) reports it. */
export type Ending = { readonly code: number } | { readonly signal: number };

export interface Sender {
  readonly pid: number;
  readonly comm: string;
}

export type Observation =
  | { readonly kind: 'end'; readonly pid: number; readonly ending: Ending }
  /** This pid belongs to a thread: its exit is not a termination of a process. */
  | { readonly kind: 'thread'; readonly pid: number }
  /** `pid` is the target. `sender` null: the tool shows that no process sent the signal. */
  | { readonly kind: 'signal'; readonly pid: number; readonly signal: number; readonly sender: Sender | null };

/** What a tool can report. */
export type Subject = 'status' | 'sender';

const CORE_DUMPED = 0x80;

/** Decodes the kernel's `exit_code`: `code << 8`, or the signal. */
export function endingOf(exitCodeRaw: number): Ending {
  const signal = exitCodeRaw & 0xff & ~CORE_DUMPED;
  return signal === 0 ? { code: (exitCodeRaw >> 8) & 0xff } : { signal };
}

/** What a record of whodunit reports. */
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
