// SPDX-License-Identifier: Apache-2.0
// Where a core dump is: core_pattern (core(5)) and what is known of the process → a path, or the command that finds it. Pure:
// io/core-pattern.ts reads the pattern.
import type { CorePattern } from '../identity/host.ts';
import type { VictimIdentity } from '../identity/identity.ts';
import { SECOND_NS } from '../time.ts';
import type { Verdict } from '../verdict/verdict.ts';
import type { Death } from '../wire/event.ts';

/** What the kernel puts into the name of the file. null: not known. */
export interface Dumped {
  readonly pid: number;
  /** In its pid namespace. */
  readonly innerPid: number;
  /** The thread that the signal terminated. */
  readonly tid: number | null;
  readonly threadName: string | null;
  readonly executable: string | null;
  readonly signo: number;
  readonly realUid: number | null;
  /** Of its UTS namespace. */
  readonly hostname: string | null;
  /** s since 1970: when the dump began. */
  readonly second: bigint | null;
  /** Where paths are those of its own: `container`, or another `root`. null: they are those of the machine. */
  readonly inside: 'container' | 'root' | null;
}

/** Part of the name that is not known, as in a shell's pattern: `ls` finds the file. */
const ANY = '*';
/** Handlers that people ask afterwards. */
const SYSTEMD = /\bsystemd-coredump\b/;
const APPORT = /\/apport\b/;
const ABRT = /\/abrt-hook-/;

/** Where the dump of this process is. null: none was written, or the pattern is not known. */
export function coreDumpOf(
  death: Death,
  { coreDumped, endedNs, signo, thread }: Verdict,
  { executable, executableState, foreignRoot, inUserContainer, placement, pid, vpid }: VictimIdentity,
  readPattern: () => CorePattern | null,
): string | null {
  const pattern = coreDumped ? readPattern() : null;
  if (pattern === null) return null;
  const { process, fault, signal, clock_offset_ns: offsetNs } = death;
  const isMain = fault === null && (death.threads === 1 || thread?.tid === pid);
  const began = fault?.time_ns ?? signal?.time_ns ?? null;
  const isInContainer = placement.containerId !== null || inUserContainer;
  return coreLocation(pattern, {
    pid,
    innerPid: vpid,
    tid: isMain ? pid : (thread?.tid ?? null),
    // Of the sender of a signal, the record has the name of the main thread.
    threadName: isMain ? process.comm : (fault?.thread_comm ?? null),
    // The kernel writes the path as the process sees it, and behind that of a file that was removed: (deleted).
    executable: executableState === null ? executable : null,
    signo,
    realUid: process.real_uid,
    hostname: process.uts_hostname,
    second: began === null ? null : sameSecond(began + offsetNs, endedNs),
    inside: isInContainer ? 'container' : foreignRoot === null ? null : 'root',
  });
}

/** The dump began after the signal and before the end. null: in one of several seconds. */
function sameSecond(fromNs: bigint, untilNs: bigint): bigint | null {
  const second = fromNs / SECOND_NS;
  return second === untilNs / SECOND_NS ? second : null;
}

/**
 * `/var/crash/core.web.4242`, `coredumpctl info 4242`. The kernel expands the pattern when the process is dumped (format_corename() in
 * fs/coredump.c); a relative path begins at its working directory, an absolute one at its root.
 */
export function coreLocation({ pattern, usesPid }: CorePattern, dumped: Dumped): string {
  if (/^[|@]/.test(pattern)) return handlerLocation(pattern, dumped.pid);
  const name = expand(pattern, dumped);
  // %P does not count as the pid here.
  const path = usesPid && !hasPid(pattern) ? `${name}.${dumped.innerPid}` : name;
  if (!path.startsWith('/')) return `${path}, in its working directory`;
  return dumped.inside === null ? path : `${path}, in the files of its ${dumped.inside}`;
}

/** A program of the machine, or from Linux 6.16 on a socket (@). */
function handlerLocation(pattern: string, pid: number): string {
  if (SYSTEMD.test(pattern)) return `coredumpctl info ${pid}`;
  if (APPORT.test(pattern)) return '/var/crash, if apport reports its package';
  if (ABRT.test(pattern)) return 'abrt list';
  const [handler = ''] = pattern.replace(/^(?:\||@@?)\s*/, '').split(' ', 1);
  return `given to ${handler} (core_pattern)`;
}

const SPECIFIER = /%(.?)/gs;

function hasPid(pattern: string): boolean {
  return [...pattern.matchAll(SPECIFIER)].some(([, letter]) => letter === 'p');
}

function expand(pattern: string, dumped: Dumped): string {
  return pattern.replace(SPECIFIER, (_, letter: string) => expansionOf(letter, dumped));
}

function expansionOf(letter: string, dumped: Dumped): string {
  const { pid, innerPid, tid, threadName, executable, signo, realUid, hostname, second } = dumped;
  switch (letter) {
    case '%':
      return '%';
    case 'p':
      return String(innerPid);
    case 'P':
      return String(pid);
    case 'i':
      return innerTid(dumped);
    case 'I':
      return tid === null ? ANY : String(tid);
    case 's':
      return String(signo);
    case 'e':
      return threadName === null ? ANY : component(threadName);
    case 'f':
      return executable === null ? ANY : component(executable.slice(executable.lastIndexOf('/') + 1));
    case 'E':
      return executable === null ? ANY : component(executable);
    case 'u':
      return realUid === null ? ANY : String(realUid);
    case 'h':
      return hostname === null ? ANY : component(hostname);
    case 't':
      return second === null ? ANY : String(second);
    case 'g':
    case 'c':
    case 'd':
    case 'C':
      return ANY;
    default:
      // The kernel drops what it does not know, and a % at the end. A newer one may know it.
      return letter === '' ? '' : ANY;
  }
}

/** In its pid namespace. Known for the main thread, and where that is the machine's. */
function innerTid({ pid, innerPid, tid }: Dumped): string {
  if (tid === pid) return String(innerPid);
  return pid === innerPid && tid !== null ? String(tid) : ANY;
}

/** A name may add no directory (cn_esc_printf() in fs/coredump.c). */
function component(name: string): string {
  if (name === '') return '!';
  if (name === '.') return '!';
  return (name === '..' ? '!.' : name).replaceAll('/', '!');
}
