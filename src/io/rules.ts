// SPDX-License-Identifier: Apache-2.0
// The user's rules: read from the YAML file of --config, read again on SIGHUP, and tried on what died lately (`whodunit rules`).
// Their form and meaning are left to core/rules.ts.
import { readFileSync, statSync } from 'node:fs';
import { parseDocument } from 'yaml';
import * as z from 'zod/mini';
import { configError, FatalError } from '../core/errors.ts';
import { firstMatch } from '../core/filter/match.ts';
import { type Judged, judgedSchema, parseRules, type ReportMode, type Rule, rulesOf } from '../core/filter/rules.ts';
import type { Log } from './log.ts';

const FILE_BYTES_MAX = 1_048_576;
const ANSWER_TIMEOUT_MS = 2_000;

export interface RulesSource {
  /** null: the built-in rules alone. */
  readonly path: string | null;
  readonly mode: ReportMode;
}

/** The rules in force. Throws a FatalError that names file, key, value and what is allowed. */
export function readRules({ path, mode }: RulesSource): readonly Rule[] {
  if (path === null) return rulesOf([], mode);
  const document = parseDocument(readText(path));
  const [syntax] = document.errors;
  if (syntax !== undefined) throw configError(path, firstLine(syntax.message), 'YAML', 'Correct that line.');
  const parsed = parseRules(document.toJS());
  if (parsed.ok) return rulesOf(parsed.rules, mode);
  const { key, value, allowed } = parsed.error;
  throw configError(`${key} in ${path}`, value, allowed, 'Correct it.');
}

function readText(path: string): string {
  try {
    const { size } = statSync(path);
    if (size <= FILE_BYTES_MAX) return readFileSync(path, 'utf8');
    throw configError('--config', path, `a file of at most ${FILE_BYTES_MAX} bytes`, `This one has ${size}.`);
  } catch (error) {
    if (error instanceof FatalError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? 'an error';
    throw configError('--config', path, 'a file that can be read', `Reading it gave ${code}.`);
  }
}

/** Reads them again. null: they are wrong, the log says why, and the old ones stay. */
export function rereadRules(source: RulesSource, log: Log): readonly Rule[] | null {
  try {
    const rules = readRules(source);
    log.line(`read ${source.path} again: ${rules.length} rules, the built-in ones included`);
    return rules;
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    log.line(`${error.message} The rules from before stay in force.`);
    return null;
  }
}

/** The rules in their order, a line each. */
export function renderRules(rules: readonly Rule[]): string {
  return rules
    .map(({ name, action }, index) => `${String(index + 1).padStart(4)}  ${action.padEnd(6)}  ${name}\n`)
    .join('');
}

/** The last terminations that the service at this address has judged. Throws a FatalError where it cannot be asked. */
export async function fetchJudged(address: { host: string; port: number } | null): Promise<Judged[]> {
  if (address === null) {
    throw configError(
      'WHODUNIT_HEALTH_ADDR',
      'off',
      'the address of a running service',
      'It is asked for what died lately.',
    );
  }
  const host = address.host === '0.0.0.0' ? '127.0.0.1' : address.host;
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${address.port}/recent`;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    return z.array(judgedSchema).parse(await response.json());
  } catch (error) {
    throw new FatalError(
      'NO_SERVICE',
      `${url} does not tell what died lately (${firstLine(String(error))}): is \`whodunit run\` of this release running there?`,
    );
  }
}

/** For each termination the rule that takes it, and what the service did where that was something else. */
export function renderDryRun(judged: readonly Judged[], rules: readonly Rule[]): string {
  const counts = { report: 0, count: 0, ignore: 0 };
  let different = 0;
  const lines = judged.map(({ time, pid, subject, rule: ruleThen, outcome }) => {
    const rule = firstMatch(subject, rules);
    counts[rule.action] += 1;
    const differs = (rule.action === 'report') !== (outcome !== 'filtered');
    if (differs) different += 1;
    const name = subject.executable.at(-1) ?? '?';
    const how = subject.exitCode === null ? subject.cause : `${subject.cause} ${subject.exitCode}`;
    const then = differs ? `  (was ${outcome}: ${ruleThen})` : '';
    return `${time}  ${rule.action.padEnd(6)}  ${`${name} (${pid})`.padEnd(24)}  ${how.padEnd(14)}  ${rule.name}${then}\n`;
  });
  const sum = Object.entries(counts).map(([action, count]) => `${count} ${action}`);
  return `${lines.join('')}${judged.length} terminations: ${sum.join(', ')}; ${different} otherwise than the service did\n`;
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? '';
}
