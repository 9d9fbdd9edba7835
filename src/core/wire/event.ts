// SPDX-License-Identifier: Apache-2.0
// The messages of the loader, as schemas from which the types are derived. docs/wire.md defines names and meanings; fields have the same
// names here. wire.ts handles lines, versions and bytes; core/verdict/ interprets the facts.
import * as z from 'zod/mini';
import { ancestor } from './ancestor.ts';
import { crashSchema } from './crash.ts';
import { type Gap, gapBefore } from './gap.ts';
import type { Equal, Repeat, RepeatIds } from './repeat.ts';
import { flag, hex, i64, int, object, text, u64 } from './values.ts';

/** Absent in lines of older loaders, like the next one. null: not known. */
const uid = z._default(z.nullable(int), null);
/** The login's, as the kernel's audit subsystem numbers them. Absent in lines of older loaders. */
const session = z._default(z.nullable(int), null);
const exeFlags = z._default(z.nullable(z.array(text)), null);
/** Absent in lines of older loaders, too. */
const standing = {
  cgroup_claimed: z._default(int, 0),
  user_namespace: z._default(flag, false),
  /** Of its UTS namespace. null: the machine's. */
  uts_hostname: z._default(z.nullable(text), null),
};

/**
 * To whom a process counts where something is bounded and shared: the id of the outermost unit, container, pod or user slice (0n: the
 * root), and the user in it. Absent in lines of older loaders: there, all share one.
 */
const originSchema = object({ cgroup: u64, uid: int });
export type Origin = z.output<typeof originSchema>;
const UNKNOWN_ORIGIN: Origin = { cgroup: 0n, uid: 0xffff_ffff };
const origin = z._default(originSchema, UNKNOWN_ORIGIN);

/** By inode; null: it is no pipe. */
const pipes = object({ input: z.nullable(int), output: z.nullable(int), output_readers: int });

const victim = object({
  pid: int,
  vpid: int,
  start_boottime_ns: u64,
  parent_pid: int,
  tid: int,
  thread_comm: text,
  comm: text,
  uid: int,
  gid: int,
  real_uid: uid,
  login_uid: uid,
  session,
  exe: z.nullable(text),
  exe_flags: exeFlags,
  build_id: z.nullable(text),
  /** Of Go's linker. Absent in lines of older loaders. */
  go_build_id: z._default(z.nullable(text), null),
  otel_context: z.nullable(text),
  args: z.nullable(z.array(text)),
  args_truncated: flag,
  env: z.nullable(z.record(text, text)),
  cgroup: z.nullable(text),
  /** Standard input and output. null: neither is a pipe, or a line of an older loader. */
  pipes: z._default(z.nullable(pipes), null),
  ...standing,
  ancestors: z.array(ancestor),
});
/** The terminated process; in a restart, the new one. */
export type Victim = z.output<typeof victim>;

const actor = object({
  pid: int,
  tid: int,
  start_boottime_ns: u64,
  comm: text,
  uid: int,
  real_uid: uid,
  login_uid: uid,
  session,
  exiting: flag,
  kthread: flag,
  /** Of an exiting thread: other threads of its process go on. Absent in lines of older loaders. */
  process_lives: z._default(flag, false),
  exe: z.nullable(text),
  exe_flags: exeFlags,
  args: z.nullable(z.array(text)),
  args_truncated: flag,
  /** SUDO_USER and SSH_CONNECTION, as the process was given them: a claim. Absent in lines of older loaders. */
  env: z._default(z.nullable(z.record(text, text)), null),
  cgroup: z.nullable(text),
  ...standing,
  ancestors: z.array(ancestor),
});
/** The task that was `current` when a signal was generated. core/verdict/origin.ts decides whether it is the sender. */
export type Actor = z.output<typeof actor>;

const signal = object({
  signo: int,
  code: int,
  info: z.enum(['noinfo', 'kernel', 'siginfo']),
  siginfo_pid: z.nullable(int),
  siginfo_uid: z.nullable(int),
  result: int,
  action: z.enum(['default', 'ignored', 'handled']),
  committed: flag,
  group: flag,
  /** The victim was stopped, or began to stop (SIGSTOP): the signal waited. null: not known. Absent in lines of older loaders. */
  victim_stopped: z._default(z.nullable(flag), null),
  target_tid: int,
  time_ns: u64,
  syscall: z.nullable(int),
  /** AUDIT_ARCH_*: the table of `syscall`. Absent in lines of older loaders. */
  syscall_arch: z._default(z.nullable(int), null),
  sender: actor,
  kernel_stack: z.array(text),
});
export type Signal = z.output<typeof signal>;

const stop = object({
  /** null: the delivery of the signal was not seen. */
  since_ns: z.nullable(u64),
  /** null: it was still stopped at its end. */
  continued_ns: z.nullable(u64),
  signal,
});
/** The last stop of the process by SIGSTOP, SIGTSTP, SIGTTIN or SIGTTOU. */
export type Stop = z.output<typeof stop>;

const fault = object({
  signo: int,
  code: int,
  address: z.nullable(hex),
  instruction_pointer: z.nullable(hex),
  stack_pointer: z.nullable(hex),
  tid: int,
  thread_comm: text,
  trap_nr: z.nullable(int),
  error_code: z.nullable(int),
  syscall: z.nullable(int),
  syscall_arch: z.nullable(int),
  time_ns: u64,
});
export type Fault = z.output<typeof fault>;

const oom = object({
  total_vm: z.nullable(u64),
  anon_rss: z.nullable(u64),
  file_rss: z.nullable(u64),
  shmem_rss: z.nullable(u64),
  score_adj: z.nullable(int),
  cgroup: z.nullable(text),
  limit: z.nullable(u64),
  time_ns: u64,
});
export type Oom = z.output<typeof oom>;

const threadContext = object({
  trace_id: z.string().check(z.regex(/^[0-9a-f]{32}$/)),
  span_id: z.string().check(z.regex(/^[0-9a-f]{16}$/)),
  trace_flags: int,
  /** Base64. Absent in lines of older loaders. */
  attributes: z._default(z.nullable(text), null),
});

const repeatKey = object({ key: text, file: flag, claims: flag });

export const deathSchema = object({
  type: z.literal('death'),
  seq: u64,
  time_ns: u64,
  clock_offset_ns: i64,
  status_raw: int,
  origin,
  process: victim,
  signal: z.nullable(signal),
  request: z.nullable(signal),
  /** Absent in lines of older loaders. */
  stop: z._default(z.nullable(stop), null),
  fault: z.nullable(fault),
  handled_fault: z.nullable(fault),
  oom: z.nullable(oom),
  oom_victim: flag,
  seccomp_mode: int,
  pdeath_signal: int,
  ptraced: flag,
  threads: int,
  shrunk: flag,
  /** No facts about signals were kept of it, and some of its origin were refused since it started. Absent in lines of older loaders. */
  facts_refused: z._default(flag, false),
  /** Absent in lines of older loaders. */
  thread_context: z._default(z.nullable(threadContext), null),
  repeat: z._default(z.nullable(repeatKey), null),
  crash: z._default(z.nullable(crashSchema), null),
});
export type Death = z.output<typeof deathSchema>;

export const restartSchema = object({
  type: z.literal('restart'),
  seq: u64,
  time_ns: u64,
  clock_offset_ns: i64,
  origin,
  process: victim,
  dead: object({ pid: int, start_boottime_ns: u64, time_ns: u64 }),
});
/** A process executed the program of a process that had terminated in the same cgroup. */
export type Restart = z.output<typeof restartSchema>;

const initSignal = object({ signo: int, pid: int, start_boottime_ns: u64 });
/** A signal by which an init is asked to turn its machine or container off; pid and start are those of the init. */
export type InitSignal = z.output<typeof initSignal>;

export const requestSchema = object({
  type: z.literal('request'),
  seq: u64,
  time_ns: u64,
  clock_offset_ns: i64,
  origin,
  /** The name in the list of tools: of the executed file, whatever `args` says. Empty: it sent `init_signal`. */
  tool: text,
  /** The path that execve(2) was given, if the tool is a script. null: `process.exe` is the tool. */
  script: z.nullable(text),
  /** Who owns `process.exe`. null: not known, or set-user-ID would not count there either, as in what users mount. */
  file_owner: z.nullable(int),
  /** null: a tool was executed. Absent in their lines. */
  init_signal: z._default(z.nullable(initSignal), null),
  process: actor,
});
/** A process executed a tool by which people ask others to act: systemctl, docker …; or it sent an init a signal. */
export type Request = z.output<typeof requestSchema>;

export const requestEndSchema = object({
  type: z.literal('request_end'),
  seq: u64,
  time_ns: u64,
  clock_offset_ns: i64,
  origin,
  pid: int,
  start_boottime_ns: u64,
  status_raw: int,
});
/** The process of a request ended. */
export type RequestEnd = z.output<typeof requestEndSchema>;

const probe = object({ name: text, attached: flag, note: z.nullable(text) });

export const helloSchema = object({
  type: z.literal('hello'),
  role: z.enum(['watcher', 'consumer']),
  consumer_connected: flag,
  loader_version: text,
  boot_id: text,
  kernel_release: text,
  clock_offset_ns: i64,
  ring_bytes: int,
  /** Keys of one origin that can be armed. Absent in lines of older loaders, which arm none. */
  origin_keys_max: z._default(int, 0),
  probes: z.array(probe),
  /** Whether stacks of crashes are copied, and what they lack. null: not known. Absent in lines of older loaders. */
  stacks: z._default(z.nullable(object({ copied: text, missing: z.array(text) })), null),
  gap: gapBefore,
});
export type Hello = z.output<typeof helloSchema>;

export const statusSchema = object({
  type: z.literal('status'),
  exits_normal: u64,
  deaths: u64,
  /** Absent in lines of older loaders. */
  counted: z._default(u64, 0n),
  lost: object({ ring_full: u64, memory_full: u64, missed: u64, undecodable: u64 }),
  /** Whose terminations `ring_full` counts: the origins that lost most. Absent in lines of older loaders. */
  lost_by_origin: z._default(z.array(object({ origin: originSchema, unit: text, deaths: u64 })), []),
  /** Not reported; and programs unknown as ancestors, for lack of room. Absent in lines of older loaders. */
  requests_refused: z._default(u64, 0n),
  programs_unknown: z._default(u64, 0n),
  clock_offset_ns: i64,
  ring_bytes: int,
  ring_used_bytes: int,
  read_seq: u64,
  acked_seq: u64,
  /** Crashes whose stack was copied, and those that found no free slot. null: no stacks are taken. Absent in lines of older loaders. */
  crashes: z._default(z.nullable(object({ captured: u64, no_slot: u64 })), null),
});
export type LoaderStatus = z.output<typeof statusSchema>;

export const errorSchema = object({ type: z.literal('error'), code: text, message: text });
export type LoaderError = z.output<typeof errorSchema>;

export type Message =
  | Hello
  | Death
  | Restart
  | Request
  | RequestEnd
  | Gap
  | Equal
  | Repeat
  | RepeatIds
  | LoaderStatus
  | LoaderError;
