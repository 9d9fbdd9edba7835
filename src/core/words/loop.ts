// SPDX-License-Identifier: Apache-2.0
// One sentence about a loop: the Body of its record. A reason that the facts do not prove ends with a question mark.
import type { LoopEndValue, LoopStateValue } from '../telemetry/semconv.ts';
import { duration } from './units.ts';

export interface LoopWords {
  readonly state: LoopStateValue;
  /** null: it has not ended. */
  readonly end: LoopEndValue | null;
  readonly name: string;
  readonly pid: number;
  readonly count: number;
  /** From the first termination to the last. */
  readonly withinNs: bigint;
  /** The last one is new, if the loop changed. */
  readonly outcomes: readonly (readonly [string, number])[];
  /** `supervisord (pid 99)`. null: not known. */
  readonly restarter: string | null;
  readonly delayMs: number;
  /** It is started by systemd. */
  readonly isUnit: boolean;
}

/** `server (pid 4244) terminated for the third time in 41.0 s: exit code 9 each time; supervisord (pid 99) started it again after 1.0 s.` */
export function loopSentence(loop: LoopWords): string {
  const { state, name, pid, count, outcomes } = loop;
  const within = duration(loop.withinNs);
  const how = outcomeList(outcomes);
  switch (state) {
    case 'began':
      return `${name} (pid ${pid}) terminated for the ${ordinal(count)} time in ${within}: ${how}; ${startedAgain(loop)}.`;
    case 'changed':
      return `${name} (pid ${pid}) now terminates with ${outcomes.at(-1)?.[0]}, the ${ordinal(count)} time in ${within}: ${how}; ${startedAgain(loop)}.`;
    case 'continues':
      return `${name} terminated ${count} times in ${within} so far: ${how}; ${startedAgain(loop)}.`;
    case 'ended':
      return `${name} terminated ${count} times in ${within}: ${how}; ${ending(loop)}.`;
  }
}

/** `exit code 9 each time`, `48 × exit code 9, 2 × SIGSEGV`. */
function outcomeList(outcomes: LoopWords['outcomes']): string {
  if (outcomes.length === 1) return `${outcomes[0]?.[0]} each time`;
  return outcomes.map(([outcome, times]) => `${times} × ${outcome}`).join(', ');
}

function startedAgain({ restarter, delayMs }: LoopWords): string {
  const by = restarter === null ? 'it was started' : `${restarter} started it`;
  return `${by} again after ${duration(BigInt(Math.round(delayMs)) * 1_000_000n)}`;
}

function ending({ end, isUnit, restarter }: LoopWords): string {
  switch (end) {
    case 'not_restarted':
      return `it was not started again${giveUp(isUnit, restarter)}`;
    case 'recovered':
      return 'since the last start, it has run longer than before';
    case 'forgotten':
      return 'too many programs may be in a loop to follow this one';
    case 'quiet':
    case null:
      return 'it has not terminated again since';
  }
}

/** Why what started it so far may have stopped doing so. */
function giveUp(isUnit: boolean, restarter: string | null): string {
  const limit = isUnit ? "systemd's start limit" : LIMITS.find(([name]) => name.test(restarter ?? ''))?.[1];
  return limit === undefined ? '' : ` (${limit}?)`;
}

/** What limits the number of starts, by the label of what starts. */
const LIMITS: readonly (readonly [RegExp, string])[] = [
  [/^supervisord /, "supervisord's startretries"],
  [/^pm2 /, "pm2's max_restarts"],
  [/^(?:containerd-shim|conmon) /, "the container's restart policy"],
];

const ORDINALS = ['first', 'second', 'third', 'fourth', 'fifth', 'sixth', 'seventh', 'eighth', 'ninth', 'tenth'];

/** `third`, `21st`. */
export function ordinal(count: number): string {
  const word = ORDINALS[count - 1];
  if (word !== undefined) return word;
  const isTeen = count % 100 >= 11 && count % 100 <= 13;
  return `${count}${(isTeen ? undefined : ['th', 'st', 'nd', 'rd'][count % 10]) ?? 'th'}`;
}
