// SPDX-License-Identifier: Apache-2.0
// What the undertaker reports about a termination: the twin of undertaker/truth.go. runUndertaker runs a case.
import { MORTAL, startProgram, UNDERTAKER, WORLD } from '../../scripts/stack/program.ts';

/** A running process. `exe` empty, `args` null: not to be read. */
export interface Program {
  readonly pid: number;
  readonly comm: string;
  readonly exe: string;
  readonly args: readonly string[] | null;
}

export interface Actor {
  readonly pid: number;
  readonly comm: string;
  readonly exe: string;
  readonly args: readonly string[];
  /** Effective. */
  readonly uid: number;
  readonly real_uid: number;
  readonly ancestors: readonly Program[];
  /** Empty: not in a container that the undertaker started. */
  readonly container_id: string;
}

export interface Death {
  readonly pid: number;
  readonly vpid: number;
  /** 0: it changed during the termination. */
  readonly parent_pid: number;
  readonly comm: string;
  readonly exe: string;
  readonly args: readonly string[];
  /** Effective. */
  readonly uid: number;
  readonly real_uid: number;
  /** The cgroups of the process, one for each hierarchy. */
  readonly cgroups: readonly string[];
  /** Empty: not in a container that the undertaker started. */
  readonly container_id: string;
  /** From /proc/PID/stat, with the resolution of a clock tick (`tick_ns`). */
  readonly start_unix_ns: string;
  readonly tick_ns: number;
  /** The process terminated between these two times. */
  readonly before_unix_ns: string;
  readonly after_unix_ns: string;
  readonly status_raw: number;
  readonly exit_code: number | null;
  readonly signal: number | null;
  readonly core_dumped: boolean;
  readonly killer: Actor | null;
  /** What the kernel logged about the OOM kill, in bytes. */
  readonly oom: OomSizes | null;
}

export interface OomSizes {
  readonly total_vm: number;
  readonly anon_rss: number;
  readonly file_rss: number;
  readonly shmem_rss: number;
  readonly score_adj: number;
}

export interface Truth {
  readonly deaths: readonly Death[];
  /** Terminations of failed attempts at the case. They are real, but not checked. */
  readonly discarded: readonly Death[];
}

/** Runs a case and returns the truth about it. */
export async function runUndertaker(name: string): Promise<Truth> {
  const env = { ...process.env, UNDERTAKER_MORTAL: MORTAL, UNDERTAKER_WORLD: WORLD };
  const undertaker = startProgram(UNDERTAKER, [name], { env });
  const { code } = await undertaker.ended;
  if (code !== 0) throw new Error(`undertaker ${name} ended with ${code}:\n${undertaker.output()}`);
  return JSON.parse(undertaker.stdout());
}
