// SPDX-License-Identifier: Apache-2.0
// A program that is started again whenever it ends, as a service manager does it, and that can be killed at any moment. An end that
// the test did not cause is kept: it is a failure, also where nothing was lost by it.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Program } from '../../scripts/stack/program.ts';
import { until } from '../../scripts/stack/program.ts';

/** systemd's default of RestartSec. */
const RESTART_MS = 100;
const ALIVE_WITHIN_MS = 5_000;
const TOLD_CHARACTERS = 2_000;

export class Supervised {
  readonly name: string;
  readonly surprises: string[] = [];
  #begin: () => Program;
  #program: Program;
  #watching: Promise<void>;
  #wanted = true;
  readonly #killed = new Set<Program>();

  constructor(name: string, begin: () => Program) {
    this.name = name;
    this.#begin = begin;
    this.#program = begin();
    this.#watching = this.#watch();
  }

  /** The one that runs, or has just ended. */
  get program(): Program {
    return this.#program;
  }

  /** SIGKILL. Called in the pause before the next start, it kills that one as soon as it is there. */
  async kill(): Promise<void> {
    const program = await until(`${this.name} runs`, ALIVE_WITHIN_MS, () =>
      this.#program.alive() ? this.#program : undefined,
    );
    this.#killed.add(program);
    program.child.kill('SIGKILL');
  }

  /** SIGTERM, and no start afterwards. Its end must be a clean one. */
  async stop(): Promise<void> {
    this.#wanted = false;
    const { code, signal } = await this.#program.stop();
    await this.#watching;
    if (code !== 0 && !this.#killed.has(this.#program)) this.#surprise(this.#program, signal ?? `code ${code}`);
  }

  /** Starts it after a stop; from now on by `begin`, if it is given. */
  start(begin: () => Program = this.#begin): void {
    this.#begin = begin;
    this.#wanted = true;
    this.#program = begin();
    this.#watching = this.#watch();
  }

  async #watch(): Promise<void> {
    for (;;) {
      const { code, signal } = await this.#program.ended;
      if (!this.#wanted) return;
      if (!this.#killed.has(this.#program)) this.#surprise(this.#program, signal ?? `code ${code}`);
      await sleep(RESTART_MS);
      if (!this.#wanted) return;
      this.#program = this.#begin();
    }
  }

  #surprise(program: Program, how: string): void {
    this.surprises.push(`${this.name} ended with ${how}:\n${program.output().slice(-TOLD_CHARACTERS)}`);
  }
}
