// SPDX-License-Identifier: Apache-2.0
// The user's filter rules: read from the YAML file of --rules, reloaded on SIGHUP, and listed (`whodunit filters`).
// core/filter/rules.ts defines their form and meaning.
import { readFileSync, statSync } from 'node:fs';
import type { FiltersSettings, RulesSource } from '../config/read.ts';
import { configError, EXIT_CONFIG, FatalError } from '../core/errors.ts';
import { rulesOf } from '../core/filter/built-in.ts';
import { parseRules, type Rule } from '../core/filter/rules.ts';
import { visibleJson } from '../core/words/visible.ts';
import type { Log } from './log.ts';
import { print } from './output.ts';

const FILE_BYTES_MAX = 1_048_576;

/** Returns the rules that apply, in order. Throws a FatalError that names file, key, value and what is allowed. */
export async function readRules({ path, mode }: RulesSource): Promise<readonly Rule[]> {
  if (path === null) return rulesOf([], mode);
  const parsed = parseRules(await parseYaml(path, readText(path)));
  if (parsed.ok) return rulesOf(parsed.rules, mode);
  const { key, value, allowed } = parsed.error;
  throw configError(`${key} in ${path}`, value, allowed, 'Correct the file.');
}

/** The parser is loaded only where there is a file: it is larger than the rest of a service that sends over HTTP. */
async function parseYaml(path: string, text: string): Promise<unknown> {
  const { parseDocument } = await import('./yaml.ts');
  try {
    const document = parseDocument(text);
    const [syntax] = document.errors;
    if (syntax === undefined) return document.toJS();
    throw syntax;
  } catch (error) {
    // Besides its own errors, the parser throws on too many aliases, and if the nesting exceeds the stack.
    const { message } = error as Error;
    const reason = `${path} is not valid YAML: ${firstLine(message)}. Correct that line.`;
    throw new FatalError('CONFIG_INVALID', reason, EXIT_CONFIG);
  }
}

function readText(path: string): string {
  try {
    const file = statSync(path);
    // Reading a FIFO would wait for its writer.
    if (!file.isFile()) throw configError('the rules file', path, 'a file', 'It is none: check the path.');
    const { size } = file;
    if (size <= FILE_BYTES_MAX) return readFileSync(path, 'utf8');
    const remedy = `It has ${size} bytes: shorten it.`;
    throw configError('the rules file', path, `a file of at most ${FILE_BYTES_MAX} bytes`, remedy);
  } catch (error) {
    if (error instanceof FatalError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    const remedy = `Reading it failed with ${code}: check the path and its permissions.`;
    throw configError('the rules file', path, 'a readable file', remedy);
  }
}

/**
 * Reloads the rules. Returns null if there is no file or the rules are invalid: the reason is logged, and the caller keeps the previous rules.
 */
export async function rereadRules(source: RulesSource, log: Log): Promise<readonly Rule[] | null> {
  if (source.path === null) {
    log.line(
      'SIGHUP reloads nothing: there is no rules file (WHODUNIT_CONFIG, --rules). The built-in rules still apply.',
      'warn',
    );
    return null;
  }
  try {
    const rules = await readRules(source);
    log.line(`reloaded ${source.path}: ${rules.length} rules, including the built-in ones`);
    return rules;
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    log.line(`${error.message} The previous rules still apply.`, 'warn');
    return null;
  }
}

/** Returns the rules in order, one per line. */
export function renderRules(rules: readonly Rule[]): string {
  return rules
    .map(({ name, action }, index) => `${String(index + 1).padStart(4)}  ${action.padEnd(6)}  ${name}\n`)
    .join('');
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? '';
}

/** `whodunit filters`. Returns the exit code. */
export async function listRules({ rules, output }: FiltersSettings): Promise<number> {
  const all = await readRules(rules);
  const json = () =>
    `${visibleJson(
      all.map(({ name, action }) => ({ name, action })),
      null,
      2,
    )}\n`;
  await print(output === 'json' ? json() : renderRules(all));
  return 0;
}
