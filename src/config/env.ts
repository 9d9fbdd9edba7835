// SPDX-License-Identifier: Apache-2.0
// Reads one environment variable by its knob. An empty variable counts as unset, as the OpenTelemetry specification says.
import { configError, type FatalError } from '../core/errors.ts';
import type { ValueOf } from './kinds.ts';
import { KNOBS, type Knob, type KnobName } from './knobs.ts';

export type Env = Readonly<Record<string, string | undefined>>;

/** A variable that is set. */
export interface Setting {
  readonly key: string;
  readonly value: string;
}

/** Returns undefined if the variable is unset or empty. */
export function get(env: Env, key: string): Setting | undefined {
  const value = env[key]?.trim();
  return value === undefined || value === '' ? undefined : { key, value };
}

/** Returns the value of a knob, or its default. `unlessHolds`: the condition of `unless` holds. Throws a FatalError. */
export function read<K extends KnobName>(env: Env, key: K, unlessHolds = false): ValueOf<(typeof KNOBS)[K]['kind']> {
  const { kind, fallback, unless }: Knob = KNOBS[key];
  const standard = unlessHolds && unless !== undefined ? unless.fallback : fallback;
  const set = get(env, key) ?? { key, value: standard };
  const value = kind.parse(set.value);
  if (value === undefined) throw notAllowed(set, kind.allowed, `Unset it for the default, ${standard || 'none'}.`);
  return value as ValueOf<(typeof KNOBS)[K]['kind']>;
}

/** Returns the error for a value that its knob does not allow. `allowed` is Markdown. */
export function notAllowed({ key, value }: Setting, allowed: string, remedy: string): FatalError {
  return configError(key, value, allowed.replaceAll('`', ''), remedy);
}
