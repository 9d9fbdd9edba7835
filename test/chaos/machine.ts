// SPDX-License-Identifier: Apache-2.0
// Boots the virtual machine of vm/main.go in a mode, reads its output, and cuts its power. The disk remains.
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppendedLines, type LogRecord, logRecords } from '../../scripts/stack/otlp-file.ts';
import { type Program, startProgram, temporaryDirectory, until } from '../../scripts/stack/program.ts';
import { readLedger, type TrueDeath } from './ledger.ts';

/** Emulation is slow, and slower on a busy machine. */
const AWAKE_WITHIN_MS = 700_000;
const BOOT_ATTEMPTS_MAX = 4;

/** The output of scripts/build/chaos-machine.ts. */
interface Packed {
  readonly program: string;
  readonly args: readonly string[];
  readonly line: string;
  readonly disk: string;
}

function packed(): Packed {
  const json = process.env.WHODUNIT_CHAOS_MACHINE;
  if (json === undefined) throw new Error('WHODUNIT_CHAOS_MACHINE is not set: `npm run test:chaos` packs it');
  return JSON.parse(json) as Packed;
}

/** Returns a disk with an empty file system. Each scenario needs its own, or it would send the queue of another one. */
export function emptyDisk(): { path: string; remove: () => void } {
  const { path, remove } = temporaryDirectory();
  const disk = join(path, 'disk');
  copyFileSync(packed().disk, disk);
  return { path: disk, remove };
}

export type Mode = 'jump' | 'fill' | 'drain' | 'memory';

/**
 * Boots and waits until our init runs. It retries, because an emulated kernel sometimes crashes while it patches its own code, before any of
 * our programs runs (scripts/suites/kernels.ts). `disk`: from emptyDisk(). `clock`: the initial time, as for -rtc of QEMU.
 */
export async function boot(mode: Mode, disk: string, clock = 'utc'): Promise<Machine> {
  for (let attempt = 1; ; attempt += 1) {
    const machine = new Machine(mode, disk, clock);
    const bootedOrOff = () => {
      const alive = machine.alive();
      machine.read();
      return machine.awake || !alive || undefined;
    };
    try {
      await until('the init of the machine', AWAKE_WITHIN_MS, bootedOrOff, machine.console);
    } catch (error) {
      await machine.cut();
      throw error;
    }
    if (machine.awake) return machine;
    await machine.cut();
    if (attempt === BOOT_ATTEMPTS_MAX) throw new Error(`the machine did not reach its init:\n${machine.console()}`);
  }
}

export class Machine {
  readonly #directory = temporaryDirectory();
  readonly #qemu: Program;
  readonly #lines: AppendedLines;
  readonly deaths: TrueDeath[] = [];
  readonly records: LogRecord[] = [];
  /** Our init is running. */
  awake = false;
  /** Terminations before this time are safe (ns of CLOCK_BOOTTIME). */
  safe = 0n;
  clockSet: number[] = [];
  /** The pid of the process that the init of the machine killed. */
  killed: string | undefined;
  /** The pid of the process that holds memory while another one is killed for it. */
  holder: string | undefined;
  /** What `whodunit list` and `whodunit show` print of it after a boot, before the service starts, and while it runs. */
  readonly shown = { before: '', after: '' };
  /** The last /status of the service; undefined: not finished. */
  end: string | undefined;
  failed: string | undefined;

  constructor(mode: Mode, disk: string, clock: string) {
    const { program, args, line } = packed();
    const transcript = join(this.#directory.path, 'transcript');
    writeFileSync(transcript, '');
    this.#lines = new AppendedLines(transcript);
    this.#qemu = startProgram(program, [
      ...args,
      // The page cache of the host keeps what the machine wrote if QEMU is killed. Only the memory of the machine is lost.
      ...['-drive', `file=${disk},format=raw,if=virtio,cache=unsafe`],
      ...['-device', 'virtio-serial', '-chardev', `file,id=transcript,path=${transcript}`],
      ...['-device', 'virtserialport,chardev=transcript', '-rtc', `base=${clock}`],
      ...['-serial', 'stdio', '-append', `${line} mode=${mode}`],
    ]);
  }

  /** Reads the output since the last call. */
  read(): void {
    for (const line of this.#lines.read()) {
      const space = line.indexOf(' ');
      const [kind, text] = [line.slice(1, space), line.slice(space + 1)];
      if (kind === 'death') this.deaths.push(...readLedger(text));
      else if (kind === 'otlp') this.records.push(...logRecords(text));
      else if (kind === 'clock') this.clockSet.push(Number(text));
      else if (kind === 'awake') this.awake = true;
      else if (kind === 'killed') this.killed = text;
      else if (kind === 'holder') this.holder = text;
      else if (kind === 'before' || kind === 'after') this.shown[kind] += `${text}\n`;
      else if (kind === 'end') this.end = text;
      else if (kind === 'failed') this.failed = text;
      else if (kind === 'safe') this.safe = BigInt(text);
    }
  }

  alive(): boolean {
    return this.#qemu.alive();
  }

  /** The output of the kernel and of our programs. */
  readonly console = (): string => this.#qemu.output();

  /** Cuts the power: kill -9 of QEMU. The machine may already be off. */
  async cut(): Promise<void> {
    this.#qemu.child.kill('SIGKILL');
    await this.#qemu.ended;
    this.read();
    this.#directory.remove();
  }
}

/** The path of the reaper in the machine. */
export const REAPER_IN_MACHINE = '/reaper';

/** Reads the output and returns true if the condition holds; undefined: not yet. Throws if the machine failed or is off. */
export function reached(machine: Machine, condition: () => boolean): true | undefined {
  const alive = machine.alive();
  machine.read();
  if (condition()) return true;
  if (machine.failed !== undefined) throw new Error(`the machine failed: ${machine.failed}\n${machine.console()}`);
  if (!alive) throw new Error(`the machine is off too early:\n${machine.console()}`);
  return undefined;
}
