// SPDX-License-Identifier: Apache-2.0
// Names of commands and flags of earlier releases. They still work, with a hint.
import type { FlagName } from './commands.ts';

export interface CurrentNames {
  readonly argv: readonly string[];
  /** A sentence for each earlier name. */
  readonly hints: readonly string[];
}

const FLAGS: Readonly<Record<string, FlagName>> = { config: 'rules' };

/** The command line with today's names. */
export function currentNames(given: readonly string[]): CurrentNames {
  const hints: string[] = [];
  const argv = withoutRules(given, hints).map((word) => {
    const [, name = '', value = ''] = /^--([\w-]+)(=.*)?$/s.exec(word) ?? [];
    const current = Object.hasOwn(FLAGS, name) ? FLAGS[name] : undefined;
    if (current === undefined) return word;
    hints.push(hint(`--${name}`, `--${current}`));
    return `--${current}${value}`;
  });
  return { argv, hints };
}

/** `rules` and `rules --dry-run` as `filters` and `filters test`. */
function withoutRules(argv: readonly string[], hints: string[]): readonly string[] {
  const [command, ...rest] = argv;
  if (command !== 'rules') return argv;
  if (!rest.includes('--dry-run')) {
    hints.push(hint('whodunit rules', 'whodunit filters'));
    return ['filters', ...rest];
  }
  hints.push(hint('whodunit rules --dry-run', 'whodunit filters test'));
  return ['filters', 'test', ...rest.filter((word) => word !== '--dry-run')];
}

function hint(earlier: string, current: string): string {
  return `${earlier} is now ${current}; the earlier name still works.`;
}
