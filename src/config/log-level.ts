// SPDX-License-Identifier: Apache-2.0
// OTEL_LOG_LEVEL: which of the own log lines are written. Unlike other settings, an invalid value does not stop the program, as the
// OpenTelemetry specification demands. The loader reads it in the same way (loader/internal/log).
import { type Env, get } from './env.ts';
import type { LogLevel } from './kinds.ts';
import { KNOBS } from './knobs.ts';

export interface ReadLevel {
  readonly level: LogLevel;
  /** Why the default is used although the variable is set; null: it is not. */
  readonly problem: string | null;
}

export function readLogLevel(env: Env): ReadLevel {
  const { kind, fallback } = KNOBS.OTEL_LOG_LEVEL;
  const set = get(env, 'OTEL_LOG_LEVEL');
  const level = kind.parse(set?.value ?? fallback);
  if (level !== undefined) return { level, problem: null };
  const problem = `OTEL_LOG_LEVEL is ${JSON.stringify(set?.value)}; allowed: ${kind.allowed.replaceAll('`', '')}. Until it is corrected, it is ${fallback}.`;
  return { level: fallback, problem };
}
