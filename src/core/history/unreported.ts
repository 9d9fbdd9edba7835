// SPDX-License-Identifier: Apache-2.0
// Terminations without a record of their own, filtered or aggregated: a line of JSON for each, with what rules read of it, and the last lines of
// each origin. Pure: io/history/unreported-file.ts has the file, rehearsal.ts tries rules on them.
import * as z from 'zod/mini';
import { subjectSchema } from '../filter/rules.ts';
import { FairMap, type OriginKey } from '../shares.ts';

/** Of all lines that are kept. */
export const UNREPORTED_BYTES_MAX = 8 * 1024 * 1024;
/** Lines that are kept: a shorter one counts as its part of all bytes. */
export const UNREPORTED_MAX = 10_000;

const rowSchema = z.object({
  uid: z.string(),
  origin: z.string(),
  /** When the process terminated, ns since 1970. */
  timeNs: z.pipe(
    z.string().check(z.regex(/^\d{1,20}$/)),
    z.transform((text) => BigInt(text)),
  ),
  pid: z.int(),
  outcome: z.enum(['filtered', 'aggregated']),
  /** The name of the rule that matched. */
  rule: z.string(),
  subject: subjectSchema,
});
/** One termination. */
export type Row = z.output<typeof rowSchema>;

/** With the equal ones that the kernel counted after it. */
export interface Unreported extends Row {
  readonly counted: number;
}

/** Terminations that the kernel counted under the key of an earlier one, which has the uid. */
export interface Counted {
  readonly uid: string;
  readonly counted: number;
}

/** `withArguments`: they may be shown. */
export function rowLine({ subject, timeNs, ...same }: Row, withArguments: boolean): string {
  const { executable, cgroup, container, unit, service, user, exitCode, signo, cause, uptimeSeconds } = subject;
  const facts = { executable, cgroup, container, unit, service, user, exitCode, signo, cause, uptimeSeconds };
  const shown = withArguments ? subject.arguments : null;
  return JSON.stringify({ ...same, timeNs: String(timeNs), subject: { ...facts, arguments: shown } });
}

export function countLine({ uid, counted }: Counted): string {
  return JSON.stringify({ uid, counted });
}

interface Kept {
  readonly line: string;
  readonly counted: number;
}

/** The last lines, each origin's share of them. */
export class LastUnreported {
  readonly #rows = new FairMap<Kept>(UNREPORTED_BYTES_MAX);

  readonly #sinceNs: bigint;

  /** `sinceNs`: earlier ones are left out. */
  constructor(sinceNs = 0n) {
    this.#sinceNs = sinceNs;
  }

  /** A line of the file, which may be damaged, or empty. */
  add(line: string): void {
    const { uid, origin, timeNs, counted } = parsed(line);
    if (typeof uid !== 'string') return;
    const known = this.#rows.get(uid);
    if (typeof origin === 'string') {
      const isOld = /^\d{1,20}$/.test(String(timeNs)) && BigInt(String(timeNs)) < this.#sinceNs;
      if (!isOld) this.#rows.set(uid, origin, { line, counted: known?.counted ?? 0 }, weightOf(line));
    }
    if (known !== undefined && typeof counted === 'number')
      this.#rows.set(uid, originOf(known.line), { line: known.line, counted: known.counted + counted });
  }

  /** The lines of the same rows. */
  lines(): readonly string[] {
    return this.#rows
      .members()
      .flatMap(({ key, value: { line, counted } }) =>
        counted === 0 ? [line] : [line, countLine({ uid: key, counted })],
      );
  }

  /** Oldest first. */
  rows(): readonly Unreported[] {
    return this.#rows.members().flatMap(({ value: { line, counted } }) => {
      const row = rowSchema.safeParse(parsed(line));
      return row.success ? [{ ...row.data, counted }] : [];
    });
  }
}

/** The uid of a line. undefined: it has none. */
export function uidOf(line: string): string | undefined {
  const { uid } = parsed(line);
  return typeof uid === 'string' ? uid : undefined;
}

function weightOf(line: string): number {
  return Math.max(Buffer.byteLength(line), UNREPORTED_BYTES_MAX / UNREPORTED_MAX);
}

function originOf(line: string): OriginKey {
  return String(parsed(line).origin);
}

function parsed(line: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
