// SPDX-License-Identifier: Apache-2.0
// The virtual machine of vm/main.go: boots it for an act, reads what it writes, cuts its power. Its disk outlives it.
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppendedLines, type LogRecord, logRecords } from '../../scripts/stack/otlp-file.ts';
import { type Program, startProgram, temporaryDirectory, until } from '../../scripts/stack/program.ts';
import { readLedger, type TrueDeath } from './ledger.ts';

/** Emulation is slow, and slower on a busy machine. */
const AWAKE_WITHIN_MS = 400_000;
const BOOT_ATTEMPTS_MAX = 4;

/** What scripts/build/chaos-machine.ts has packed. */
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

/** A disk with an empty file system, for one scenario: what another one left in its queue would be sent again. */
export function emptyDisk(): { path: string; remove: () => void } {
  const { path, remove } = temporaryDirectory();
  const disk = join(path, 'disk');
  copyFileSync(packed().disk, disk);
  return { path: disk, remove };
}

export type Act = 'jump' | 'fill' | 'drain';

/**
 * Boots until our init has said something. Emulated processors now and then trip over a kernel that patches its own code at boot: that is
 * before any program of ours runs (scripts/suites/kernels.ts). `disk` is of emptyDisk(); `clock`: what its clock shows at the start, as
 * QEMU's -rtc wants it.
 */
export async function boot(act: Act, disk: string, clock = 'utc'): Promise<Machine> {
  for (let attempt = 1; ; attempt += 1) {
    const machine = new Machine(act, disk, clock);
    const decided = () => {
      const alive = machine.alive();
      machine.listen();
      return machine.awake || !alive || undefined;
    };
    try {
      await until('a word of the machine', AWAKE_WITHIN_MS, decided, machine.console);
    } catch (error) {
      await machine.cut();
      throw error;
    }
    if (machine.awake) return machine;
    await machine.cut();
    if (attempt === BOOT_ATTEMPTS_MAX)
      throw new Error(`the machine did not come as far as its init:\n${machine.console()}`);
  }
}

export class Machine {
  readonly #directory = temporaryDirectory();
  readonly #qemu: Program;
  readonly #lines: AppendedLines;
  readonly deaths: TrueDeath[] = [];
  readonly records: LogRecord[] = [];
  /** Our init runs. */
  awake = false;
  /** The last time of which it said: who was dead by then is safe. */
  safe = 0n;
  clockSet: number[] = [];
  /** The service's last /status; undefined: the act is not over. */
  end: string | undefined;
  failed: string | undefined;

  constructor(act: Act, disk: string, clock: string) {
    const { program, args, line } = packed();
    const transcript = join(this.#directory.path, 'transcript');
    writeFileSync(transcript, '');
    this.#lines = new AppendedLines(transcript);
    this.#qemu = startProgram(program, [
      ...args,
      // The host keeps what the machine wrote, whatever becomes of QEMU: what is lost is what only the machine's memory had.
      ...['-drive', `file=${disk},format=raw,if=virtio,cache=unsafe`],
      ...['-device', 'virtio-serial', '-chardev', `file,id=transcript,path=${transcript}`],
      ...['-device', 'virtserialport,chardev=transcript', '-rtc', `base=${clock}`],
      ...['-serial', 'stdio', '-append', `${line} act=${act}`],
    ]);
  }

  /** Reads what it has written since. */
  listen(): void {
    for (const line of this.#lines.read()) {
      const space = line.indexOf(' ');
      const [kind, text] = [line.slice(1, space), line.slice(space + 1)];
      if (kind === 'death') this.deaths.push(...readLedger(text));
      else if (kind === 'otlp') this.records.push(...logRecords(text));
      else if (kind === 'clock') this.clockSet.push(Number(text));
      else if (kind === 'awake') this.awake = true;
      else if (kind === 'end') this.end = text;
      else if (kind === 'failed') this.failed = text;
      else if (kind === 'safe') this.safe = BigInt(text);
    }
  }

  alive(): boolean {
    return this.#qemu.alive();
  }

  /** What the kernel and our programs printed. */
  readonly console = (): string => this.#qemu.output();

  /** kill -9 of QEMU: the power fails. Also for a machine that is off. */
  async cut(): Promise<void> {
    this.#qemu.child.kill('SIGKILL');
    await this.#qemu.ended;
    this.listen();
    this.#directory.remove();
  }
}

/** The reaper's path in the machine. */
export const REAPER_THERE = '/reaper';

/** In so short a time no pid is used twice there, and the wall clock is not to be trusted. */
export const samePid = (): boolean => true;

/** Listens, and returns true if it is so; undefined if not yet. Throws if the machine will never get there. */
export function heard(machine: Machine, isSo: () => boolean): true | undefined {
  const alive = machine.alive();
  machine.listen();
  if (isSo()) return true;
  if (machine.failed !== undefined) throw new Error(`the machine says: ${machine.failed}\n${machine.console()}`);
  if (!alive) throw new Error(`the machine is off before its time:\n${machine.console()}`);
  return undefined;
}
