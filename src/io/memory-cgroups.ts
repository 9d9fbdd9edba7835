// SPDX-License-Identifier: Apache-2.0
// Reads a memory cgroup after an out-of-memory kill in it: its sizes, counters and pressure, and its largest processes. Nothing here throws or
// blocks: what is not read in time is missing, and while a read hangs, no other one begins. core/cgroup/ decodes the files; ../out-of-memory.ts
// decides what is read.
import { close, open, read as readBytes, readFileSync, readlinkSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { promisify } from 'node:util';
import * as files from '../core/cgroup/files.ts';
import type { CgroupUse, MemoryReading, UsingProcess } from '../core/cgroup/use.ts';

const PROCESSES_MAX = 256;
const CGROUPS_MAX = 64;
/** Directly below a cgroup; of one with more, only its own processes are read. */
const CHILDREN_MAX = 512;
const FILE_BYTES_MAX = 65_536;
/** A file of the kernel returns a page at a time; a shorter read is its last. */
const PAGE_BYTES = 4_096;
const WHOLE_READ_BYTES = PAGE_BYTES / 2;
/** Cgroups that are read at once. */
const PARALLEL = 8;

// Each call is a turn of the thread pool: FileHandle has more of them.
const openFile = promisify(open);
const readFile = promisify(readBytes);

/** include/uapi/linux/nsfs.h: the namespaces in which paths and pids are those of the machine. */
const FIRST_CGROUP_NAMESPACE = 'cgroup:[4026531835]';
const FIRST_PID_NAMESPACE = 'pid:[4026531836]';

export interface CgroupQuestion {
  /** Path of the cgroup whose limit was reached. `/`: the machine ran out of memory. */
  readonly cgroup: string;
  /** The victim's own. null: not known. */
  readonly own: string | null;
}

type Mount = NonNullable<ReturnType<typeof files.parseMount>>;

export class MemoryCgroups {
  readonly #proc: string;
  readonly #mount: Mount | null;
  readonly #seesPids: boolean;
  /** A read that was not done in time goes on. */
  #isReading = false;

  /** `proc`: where the file system of processes is. */
  constructor(proc = '/proc') {
    this.#proc = proc;
    this.#mount = namespaceOf(proc, 'cgroup') === FIRST_CGROUP_NAMESPACE ? mountIn(proc) : null;
    this.#seesPids = namespaceOf(proc, 'pid') === FIRST_PID_NAMESPACE;
  }

  /** Whether the cgroups of the machine are visible. */
  get isVisible(): boolean {
    return this.#mount !== null;
  }

  /** Resolves after `timeoutMs` at the latest, with what was read until then. null: the cgroups of the machine are not visible. */
  async read({ cgroup, own }: CgroupQuestion, timeoutMs: number): Promise<MemoryReading | null> {
    const mount = this.#mount;
    if (mount === null) return null;
    if (this.#isReading || timeoutMs <= 0) return { kind: 'unknown', why: 'late' };
    if (!isPath(cgroup)) return { kind: 'unknown', why: 'unreadable' };
    const walk = new Walk(mount, this.#proc, cgroup, this.#seesPids);
    this.#isReading = true;
    const done = walk.run(own !== null && isPath(own) && own !== cgroup ? own : null).finally(() => {
      this.#isReading = false;
    });
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs);
    });
    await Promise.race([done, timeout]);
    clearTimeout(timer);
    return walk.end();
  }
}

/** A cut path begins or ends otherwise, and is no directory. */
function isPath(cgroup: string): boolean {
  return cgroup.startsWith('/') && posix.normalize(cgroup) === cgroup;
}

function namespaceOf(proc: string, name: string): string | null {
  try {
    return readlinkSync(join(proc, 'self/ns', name));
  } catch {
    return null;
  }
}

function mountIn(proc: string): Mount | null {
  try {
    return files.parseMount(readFileSync(join(proc, 'self/mountinfo'), 'utf8'));
  } catch {
    return null;
  }
}

/** A cgroup with those below it or, once `pids` are known, its own processes. */
interface Branch {
  readonly directory: string;
  readonly bytes: number;
  readonly pids: readonly number[] | null;
}

type Sizes = Omit<CgroupUse, 'cgroup' | 'processes' | 'isComplete'>;

const NO_SIZES: Sizes = {
  usage: null,
  peak: null,
  parts: { anon: null, file: null, shmem: null, kernel: null },
  events: { high: null, max: null, oom: null, oomKill: null },
  pressure: null,
  group: null,
  ownLimit: null,
};

/** One reading. What it found stands in it, whenever it is ended. */
class Walk {
  readonly #mount: Mount;
  readonly #proc: string;
  readonly #cgroup: string;
  readonly #seesPids: boolean;
  readonly #processes: UsingProcess[] = [];
  #sizes: Sizes | null = null;
  #failure: 'removed' | 'unreadable' | null = null;
  /** Pids that were read, and cgroups. */
  #pids = 0;
  #cgroups = 0;
  /** Something was left out. */
  #isCut = false;
  /** A process was to be seen: with ProtectProc=invisible, none of others is. */
  #hasSeen = false;
  #hasEnded = false;

  constructor(mount: Mount, proc: string, cgroup: string, seesPids: boolean) {
    this.#mount = mount;
    this.#proc = proc;
    this.#cgroup = cgroup;
    this.#seesPids = seesPids;
  }

  /** Never rejects. */
  async run(own: string | null): Promise<void> {
    const directory = join(this.#mount.directory, this.#cgroup);
    await Promise.all([this.#readSizes(directory, own), this.#readProcesses(directory)]);
    this.#hasEnded = true;
  }

  end(): MemoryReading {
    const isComplete = this.#hasEnded && !this.#isCut && (this.#hasSeen || this.#pids === 0);
    this.#hasEnded = true;
    if (this.#failure !== null) return { kind: 'unknown', why: this.#failure };
    if (this.#sizes === null && this.#processes.length === 0) return { kind: 'unknown', why: 'late' };
    const processes = this.#processes.toSorted((a, b) => b.rss - a.rss);
    return {
      kind: 'read',
      use: { cgroup: this.#cgroup, ...(this.#sizes ?? NO_SIZES), processes, isComplete: isComplete && this.#seesPids },
    };
  }

  async #readSizes(directory: string, own: string | null): Promise<void> {
    const names = files.FILES[this.#mount.version];
    const inside = (name: string | null) => (name === null ? null : read(join(directory, name)));
    const pressure = this.#cgroup === '/' ? read(join(this.#proc, 'pressure/memory')) : inside(names.pressure);
    const [
      usage = null,
      peak = null,
      stats = null,
      kernel = null,
      events = null,
      failures = null,
      waits = null,
      group = null,
      limit = null,
    ] = await Promise.all([
      ...[names.usage, names.peak, names.stat, names.kernel, names.events, names.failures].map(inside),
      pressure,
      inside(names.group),
      own === null ? null : read(join(this.#mount.directory, own, names.limit)),
    ]);
    this.#sizes = {
      usage: files.parseBytes(usage),
      peak: files.parseBytes(peak),
      parts: files.parseParts(stats, kernel),
      events: files.parseEvents(events, failures),
      pressure: files.parsePressure(waits),
      group: files.parseGroup(group),
      ownLimit: files.parseBytes(limit),
    };
  }

  /** Where most memory is comes first. */
  async #readProcesses(directory: string): Promise<void> {
    let branches: readonly Branch[] = [{ directory, bytes: Number.POSITIVE_INFINITY, pids: null }];
    while (branches.length > 0 && !this.#hasEnded) {
      const sorted = branches.toSorted((a, b) => b.bytes - a.bytes);
      const next = await Promise.all(sorted.slice(0, PARALLEL).map((branch) => this.#readBranch(branch)));
      branches = [...next.flat(), ...sorted.slice(PARALLEL)];
    }
  }

  /** Returns what it is made of: cgroups, and its own processes. */
  async #readBranch({ directory, bytes, pids }: Branch): Promise<Branch[]> {
    if (pids !== null) {
      await this.#readThese(pids);
      return [];
    }
    if (this.#cgroups >= CGROUPS_MAX) {
      this.#isCut = true;
      return [];
    }
    this.#cgroups += 1;
    const [below, own] = await Promise.all([this.#below(directory), this.#pidsOf(directory)]);
    const rest = below.reduce((left, branch) => left - branch.bytes, bytes);
    // Of the first one, it is not known how much is its own.
    const isKnown = Number.isFinite(rest) || below.length === 0;
    return [...below, { directory, bytes: isKnown ? rest : 0, pids: own }];
  }

  async #below(directory: string): Promise<Branch[]> {
    const { usage } = files.FILES[this.#mount.version];
    const names = await this.#namesBelow(directory);
    return Promise.all(
      names.map(async (name) => {
        const below = join(directory, name);
        const bytes = files.parseBytes(await read(join(below, usage)));
        return { directory: below, bytes: bytes ?? 0, pids: null };
      }),
    );
  }

  /** A directory has a link for each one below it, and two more. */
  async #namesBelow(directory: string): Promise<string[]> {
    try {
      const { nlink } = await stat(directory);
      if (nlink === 2) return [];
      if (nlink - 2 <= CHILDREN_MAX) {
        const entries = await readdir(directory, { withFileTypes: true });
        return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
      }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (directory === join(this.#mount.directory, this.#cgroup))
        this.#failure = code === 'ENOENT' ? 'removed' : 'unreadable';
    }
    this.#isCut = true;
    return [];
  }

  async #pidsOf(directory: string): Promise<readonly number[]> {
    const text = this.#seesPids ? await read(join(directory, 'cgroup.procs')) : null;
    if (text === null || text.length >= FILE_BYTES_MAX) this.#isCut = true;
    return files.parsePids(text ?? '');
  }

  async #readThese(all: readonly number[]): Promise<void> {
    const pids = all.slice(0, Math.max(0, PROCESSES_MAX - this.#pids));
    if (pids.length < all.length) this.#isCut = true;
    this.#pids += pids.length;
    await Promise.all(pids.map((pid) => this.#readProcess(pid)));
  }

  async #readProcess(pid: number): Promise<void> {
    const status = await read(join(this.#proc, String(pid), 'status'));
    if (status === null) return;
    this.#hasSeen = true;
    const found = files.parseStatus(status);
    if (found !== null) this.#processes.push(found);
  }
}

/** null: it cannot be read. */
async function read(path: string): Promise<string | null> {
  const chunks: Buffer[] = [];
  try {
    const fd = await openFile(path, 'r');
    try {
      for (let length = 0; length < FILE_BYTES_MAX; ) {
        const { buffer, bytesRead } = await readFile(fd, Buffer.allocUnsafe(PAGE_BYTES), 0, PAGE_BYTES, null);
        chunks.push(buffer.subarray(0, bytesRead));
        length += bytesRead;
        if (bytesRead < WHOLE_READ_BYTES) break;
      }
    } finally {
      close(fd, () => {});
    }
  } catch {
    return null;
  }
  return Buffer.concat(chunks).toString();
}
