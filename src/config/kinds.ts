// SPDX-License-Identifier: Apache-2.0
// The kinds of values that a setting can have. Each keeps the description of what is allowed beside the parser that enforces it.

export interface Kind<T> {
  /** What is allowed, in Markdown: literal values are in backticks. */
  readonly allowed: string;
  /** Returns the value, or undefined if the text is not allowed. */
  readonly parse: (text: string) => T | undefined;
}

export type ValueOf<K> = K extends Kind<infer T> ? T : never;

/** Any text. It is validated where it is used. */
export function text(allowed: string): Kind<string> {
  return { allowed, parse: (value) => value };
}

/** One of these words. */
export function oneOf<T extends string>(...values: readonly T[]): Kind<T> {
  return { allowed: literals(values), parse: (value) => values.find((allowed) => allowed === value) };
}

/** Several of these words, separated by commas. */
export function listOf<T extends string>(...values: readonly T[]): Kind<ReadonlySet<T>> {
  return {
    allowed: `${literals(values)}, or several separated by commas`,
    parse(value) {
      const found = value.split(',').map((part) => values.find((allowed) => allowed === part.trim()));
      return found.includes(undefined) ? undefined : new Set(found as T[]);
    },
  };
}

/** How much the programs log of themselves, from least to most. */
export type LogLevel = 'none' | 'error' | 'warn' | 'info' | 'debug';

/** The names of OpenTelemetry for JavaScript, which has two more for everything. Case does not matter (specification, "Enum"). */
export const LOG_LEVEL: Kind<LogLevel> = {
  allowed: '`none`, `error`, `warn`, `info`, `debug`, `verbose`, `all`',
  parse(value) {
    const name = value.toLowerCase();
    if (name === 'verbose' || name === 'all') return 'debug';
    return (['none', 'error', 'warn', 'info', 'debug'] as const).find((level) => level === name);
  },
};

/** A boolean as the OpenTelemetry specification reads it: every value but `true` means false. */
export const BOOLEAN: Kind<boolean> = {
  allowed: '`true`; every other value means `false`',
  parse: (value) => value.toLowerCase() === 'true',
};

/** The path of a Unix socket; with `unix://`, as DOCKER_HOST has it, too. */
export const UNIX_SOCKET: Kind<string> = {
  allowed: 'the absolute path of a Unix socket, such as `/var/run/docker.sock`; `unix://` before it is ignored',
  parse: (value) => /^(?:unix:\/\/)?(\/.*)$/.exec(value)?.[1],
};

/** A TCP port; 0, any free one, could not be found by a client. */
export const PORT: Kind<number> = {
  allowed: 'a whole number from 1 to 65535',
  parse: (value) =>
    /^\d{1,5}$/.test(value) && Number(value) > 0 && Number(value) <= 65_535 ? Number(value) : undefined,
};

export const MILLISECONDS: Kind<number> = {
  allowed: 'a whole number of milliseconds from 1 to 999999999',
  parse: (value) => (/^\d{1,9}$/.test(value) && Number(value) > 0 ? Number(value) : undefined),
};

const UNITS: Readonly<Record<string, number>> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** A size in bytes, at least `min`. */
export function bytesFrom(min: number): Kind<number> {
  return {
    allowed: `at least ${min} bytes, as a number or with a unit such as \`64MiB\` (\`KiB\`, \`MiB\`, \`GiB\`)`,
    parse(value) {
      const [, digits, unit = ''] = /^(\d{1,15}) ?(KiB|MiB|GiB)?$/.exec(value) ?? [];
      const count = Number(digits) * (UNITS[unit] ?? 1);
      return count >= min && Number.isSafeInteger(count) ? count : undefined;
    },
  };
}

/** How much of the history is kept: what is older goes, and the oldest beyond `bytes`. */
export interface HistoryLimits {
  readonly ageMs: number;
  readonly bytes: number;
}

const TIME_UNITS: Readonly<Record<string, number>> = { h: 3_600_000, d: 86_400_000 };
/** A smaller history could not hold the records of a minute. */
const HISTORY_BYTES_MIN = 1024 * 1024;
const HISTORY_SIZE = bytesFrom(HISTORY_BYTES_MIN);

/** An age and a size. Where one is missing, it is that of `standard`; null: off. */
export function history(standard: HistoryLimits): Kind<HistoryLimits | null> {
  return {
    allowed: '`off`, or an age (`14d`, `12h`), a size (`64MiB`, at least 1 MiB), or both, separated by a comma',
    parse(value) {
      if (value === 'off') return null;
      const limits = { ...standard };
      for (const part of value.split(',').map((one) => one.trim())) {
        const [, digits, unit = ''] = /^([1-9]\d{0,4}) ?(h|d)$/.exec(part) ?? [];
        const bytes = HISTORY_SIZE.parse(part);
        if (digits !== undefined) limits.ageMs = Number(digits) * (TIME_UNITS[unit] ?? 0);
        else if (bytes !== undefined) limits.bytes = bytes;
        else return undefined;
      }
      return limits;
    },
  };
}

/** A limit on a count. `off` is Infinity. */
export const COUNT_OR_OFF: Kind<number> = {
  allowed: 'a whole number of at least 1, `off`',
  parse(value) {
    if (value === 'off') return Number.POSITIVE_INFINITY;
    return /^\d+$/.test(value) && Number.isSafeInteger(Number(value)) && Number(value) > 0 ? Number(value) : undefined;
  },
};

function literals(values: readonly string[]): string {
  return values.map((value) => `\`${value}\``).join(', ');
}
