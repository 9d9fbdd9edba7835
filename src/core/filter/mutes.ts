// SPDX-License-Identifier: Apache-2.0
// Mutes: filter rules that expire, for maintenance. `whodunit mute` writes them; io/mutes.ts has the file, and the service reads it.
import * as z from 'zod/mini';
import { glob } from '../glob.ts';
import type { Rule } from './rules.ts';

export const MUTES_MAX = 100;
export const MUTE_MS_MAX = 30 * 86_400_000;

const muteSchema = z.object({
  /** A glob. */
  service: z.string().check(z.minLength(1), z.maxLength(1024)),
  /** ms since 1970. */
  untilMs: z.number(),
});
export type Mute = z.output<typeof muteSchema>;

const mutesSchema = z.object({ mutes: z.array(muteSchema).check(z.maxLength(MUTES_MAX)) });

/** null: it is no list of mutes. */
export function parseMutes(value: unknown): readonly Mute[] | null {
  const parsed = z.safeParse(mutesSchema, value);
  return parsed.success ? parsed.data.mutes : null;
}

/** Those that have not expired, with `mute` in place of another one of the same service; null: without it. */
export function changed(mutes: readonly Mute[], service: string, mute: Mute | null, nowMs: number): Mute[] {
  const others = mutes.filter((one) => one.service !== service && one.untilMs > nowMs);
  return mute === null ? others : [...others, mute];
}

/**
 * The rule of a mute. `onMatch` is called for each termination that it matches. Never certain, so that the kernel counts none under it: it ends
 * in time, and its count is exact.
 */
export function muteRule({ service, untilMs }: Mute, nowMs: () => number, onMatch: () => void): Rule {
  const holds = glob(service);
  return {
    name: `muted: ${service}`,
    action: 'count',
    isFinal: true,
    matches: (subject) => {
      const matches = nowMs() < untilMs && holds(subject.service);
      if (matches) onMatch();
      return matches;
    },
    certain: () => null,
  };
}
