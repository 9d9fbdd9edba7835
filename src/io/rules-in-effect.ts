// SPDX-License-Identifier: Apache-2.0
// The rules that the service applies: mutes first, then those of the rules file and the built-in ones. The file of mutes is looked at once a
// second while terminations come.
import { statSync } from 'node:fs';
import type { RulesSource } from '../config/read.ts';
import { type Mute, muteRule } from '../core/filter/mutes.ts';
import type { Rule } from '../core/filter/rules.ts';
import type { MuteSnapshot } from '../core/snapshots.ts';
import type { Log } from './log.ts';
import { mutesPath, readMutes } from './mutes.ts';
import { readRules, rereadRules } from './rules.ts';

const CHECK_MS = 1_000;

export interface RulesInEffectOptions {
  readonly rules: RulesSource;
  readonly stateDir: string;
}

export class RulesInEffect {
  readonly #source: RulesSource;
  readonly #path: string;
  readonly #log: Log;
  #own: readonly Rule[];
  #mutes: readonly { readonly mute: Mute; readonly rule: Rule; count: number }[] = [];
  #current: readonly Rule[];
  #checkedMs = Number.NEGATIVE_INFINITY;
  #stamp = '';

  private constructor({ rules, stateDir }: RulesInEffectOptions, own: readonly Rule[], log: Log) {
    this.#source = rules;
    this.#path = mutesPath(stateDir);
    this.#log = log;
    this.#own = own;
    this.#current = own;
  }

  /** Rejects with a FatalError if the rules file is not valid. */
  static async read(options: RulesInEffectOptions, log: Log): Promise<RulesInEffect> {
    return new RulesInEffect(options, await readRules(options.rules), log);
  }

  current(): readonly Rule[] {
    const now = performance.now();
    if (now - this.#checkedMs < CHECK_MS) return this.#current;
    this.#checkedMs = now;
    const stamp = stampOf(this.#path);
    if (stamp !== this.#stamp) this.#readMutes();
    this.#stamp = stamp;
    return this.#current;
  }

  /** Reads the rules file again. An invalid one is logged, and the previous rules stay. */
  async reread(): Promise<void> {
    this.#own = (await rereadRules(this.#source, this.#log)) ?? this.#own;
    this.#join();
  }

  /** Those that have not expired. `count`: terminations that each matched since the service started, or since it was set. */
  snapshot(): MuteSnapshot[] {
    const nowMs = Date.now();
    return this.#mutes.flatMap(({ mute, count }) => (mute.untilMs > nowMs ? [{ ...mute, count }] : []));
  }

  #readMutes(): void {
    let mutes: readonly Mute[] = [];
    try {
      mutes = readMutes(this.#path);
    } catch (error) {
      this.#log.line(`Nothing is muted: ${(error as Error).message}.`, 'warn');
    }
    this.#mutes = mutes.map((mute) => {
      const before = this.#mutes.find((one) => one.mute.service === mute.service);
      const one = { mute, count: before?.count ?? 0 };
      const rule = muteRule(mute, Date.now, () => {
        member.count += 1;
      });
      const member = Object.assign(one, { rule });
      return member;
    });
    this.#join();
  }

  #join(): void {
    this.#current = [...this.#mutes.map(({ rule }) => rule), ...this.#own];
  }
}

/** Changes with the file. Empty: there is none. */
function stampOf(path: string): string {
  const file = statSync(path, { throwIfNoEntry: false });
  return file === undefined ? '' : `${file.ino} ${file.mtimeMs}`;
}
