// SPDX-License-Identifier: Apache-2.0
// A program that is restarted whenever it exits, as by a service manager, and that can be killed at any moment. An exit that the test did
// not cause is recorded: it is a failure, even if nothing was lost.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Program, until } from '../../scripts/stack/program.ts';

/** The default of RestartSec in systemd. */
const RESTART_MS = 100;
const ALIVE_WITHIN_MS = 5_000;
const OUTPUT_CHARACTERS = 2_000;

export class Supervised {
  readonly name: string;
  readonly unexpectedExits: string[] = [];
  #launch: () => Program;
  #program: Program;
  #watching: Promise<void>;
  #wanted = true;
  readonly #killed = new Set<Program>();

  constructor(name: string, launch: () => Program) {
    this.name = name;
    this.#launch = launch;
    this.#program = launch();
    this.#watching = this.#watch();
  }

  /** The current instance. It may have just exited. */
  get program(): Program {
    return this.#program;
  }

  /** Sends SIGKILL. During the pause before a restart, it waits for the next instance and kills that one. */
  async kill(): Promise<void> {
    const program = await until(`${this.name} runs`, ALIVE_WITHIN_MS, () =>
      this.#program.alive() ? this.#program : undefined,
    );
    this.#killed.add(program);
    program.child.kill('SIGKILL');
  }

  /** Sends SIGTERM, and does not restart. The exit must be clean. */
  async stop(): Promise<void> {
    this.#wanted = false;
    const { code, signal } = await this.#program.stop();
    await this.#watching;
    if (code !== 0 && !this.#killed.has(this.#program)) this.#unexpectedExit(this.#program, signal ?? `code ${code}`);
  }

  /** Starts the program after a stop. `launch`, if given, replaces the function that starts it. */
  start(launch: () => Program = this.#launch): void {
    this.#launch = launch;
    this.#wanted = true;
    this.#program = launch();
    this.#watching = this.#watch();
  }

  async #watch(): Promise<void> {
    for (;;) {
      const { code, signal } = await this.#program.ended;
      if (!this.#wanted) return;
      if (!this.#killed.has(this.#program)) this.#unexpectedExit(this.#program, signal ?? `code ${code}`);
      await sleep(RESTART_MS);
      if (!this.#wanted) return;
      this.#program = this.#launch();
    }
  }

  #unexpectedExit(program: Program, how: string): void {
    this.unexpectedExits.push(`${this.name} ended with ${how}:\n${program.output().slice(-OUTPUT_CHARACTERS)}`);
  }
}
