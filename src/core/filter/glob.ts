// SPDX-License-Identifier: Apache-2.0
// Globs for names, paths and arguments: `*` matches any characters, `/` included; `?` matches one; `\` escapes the next. Compiled once.
// Matching needs at most pattern × text steps for any text, which a regular expression does not guarantee.

export type Glob = (text: string) => boolean;

/** Compiles a pattern. Every string is valid. */
export function glob(pattern: string): Glob {
  const tokens = tokensOf(pattern);
  if (tokens.every(({ kind }) => kind === 'literal')) {
    const whole = tokens.map(({ char }) => char).join('');
    return (text) => text === whole;
  }
  return (text) => matches(tokens, [...text]);
}

interface Token {
  readonly kind: 'literal' | 'one' | 'any';
  readonly char: string;
}

function tokensOf(pattern: string): Token[] {
  const tokens: Token[] = [];
  const chars = [...pattern];
  for (let i = 0; i < chars.length; i += 1) {
    const char = chars[i] as string;
    if (char === '\\' && i + 1 < chars.length) {
      i += 1;
      tokens.push({ kind: 'literal', char: chars[i] as string });
    } else if (char === '*') {
      if (tokens.at(-1)?.kind !== 'any') tokens.push({ kind: 'any', char });
    } else tokens.push({ kind: char === '?' ? 'one' : 'literal', char });
  }
  return tokens;
}

/** On a mismatch, the last `*` matches one more character. Backtracking to earlier ones is never needed. */
function matches(tokens: readonly Token[], text: readonly string[]): boolean {
  let [t, p, star, mark] = [0, 0, -1, 0];
  while (t < text.length) {
    const token = tokens[p];
    if (token?.kind === 'any') {
      star = p;
      mark = t;
      p += 1;
    } else if (token !== undefined && (token.kind === 'one' || token.char === text[t])) {
      p += 1;
      t += 1;
    } else if (star >= 0) {
      mark += 1;
      t = mark;
      p = star + 1;
    } else return false;
  }
  while (tokens[p]?.kind === 'any') p += 1;
  return p === tokens.length;
}
