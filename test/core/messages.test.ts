// SPDX-License-Identifier: Apache-2.0
// Every text for people (errors, log lines, help, sentences of records) is plain English. The texts are the string literals in src/ of
// more than one word; comments are not checked.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const source = new URL('../../src/', import.meta.url);
const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));

/** Words that the project once used with a private meaning. */
const OWN_DIALECT =
  /\b(?:told|tells|the dead|whoever|nobody|somebody|unwilling|doubtful|condemned|owed|seldom|strangers?|mended|in vain|at home|the end has come|stop by stop|judged|screened|folded|polite|spared)\b/i;

describe('every text for people', () => {
  it.each(files)('in %s avoids the private dialect', (file) => {
    expect(proseOf(file).filter((text) => OWN_DIALECT.test(text))).toEqual([]);
  });

  it('is found: errors, log lines, templates', () => {
    expect(proseOf('core/errors.ts')).toContain('… is "…"; allowed: …. …');
    expect(proseOf('io/otlp/deliver.ts').join('\n')).toContain('records wait on disk, none is lost.');
    expect(files.flatMap(proseOf).length).toBeGreaterThan(300);
  });
});

describe('the literals of a source', () => {
  it.each([
    ["const a = 'one \\'two\\'';", ["one 'two'"]],
    [`f(\`a \${b ? \`c d\` : "e f"} g\`);`, ['a … g', 'c d', 'e f']],
    ["// it's a comment\n/* 'and this' */ const a = /it's \"no\" text/;", []],
    ["return /[/'\"]/.test(x) ? 'x y' : a / b / 'c d';", ['x y', 'c d']],
  ])('%s', (text, expected) => {
    expect(literals(text).sort()).toEqual([...expected].sort());
  });
});

function proseOf(file: string): string[] {
  return literals(readFileSync(new URL(file, source), 'utf8')).filter((text) => /[a-z…] \S/i.test(text));
}

/** All string literals. An interpolation in a template is `…`; literals inside it are listed separately. */
function literals(text: string): string[] {
  const found: string[] = [];
  /** Scans code from `at` to the brace that closes an interpolation, or to the end. Returns the position after it. */
  const readCode = (at: number): number => {
    let depth = 0;
    for (let before = ''; at < text.length; ) {
      const rest = text.slice(at, at + 2);
      const char = rest[0] ?? '';
      if (rest === '//') at = endOf('\n', at);
      else if (rest === '/*') at = endOf('*/', at) + 2;
      else if (char === '/' && /(?:^|[(,=:[!&|?{};+]|\breturn)\s*$/.test(before)) [at, before] = [endOfRegExp(at), ')'];
      else if (char === "'" || char === '"') [at, before] = [readString(at), ')'];
      else if (char === '`') [at, before] = [readTemplate(at + 1), ')'];
      else if (char === '}' && depth === 0) return at;
      else {
        if (char === '{') depth += 1;
        if (char === '}') depth -= 1;
        before = (before + char).slice(-10);
        at += 1;
      }
    }
    return at;
  };
  const endOf = (mark: string, at: number): number => {
    const end = text.indexOf(mark, at);
    return end < 0 ? text.length : end;
  };
  const endOfRegExp = (start: number): number => {
    let at = start + 1;
    for (let inClass = false; at < text.length && (text[at] !== '/' || inClass); at += 1) {
      if (text[at] === '\\') at += 1;
      else if (text[at] === '[') inClass = true;
      else if (text[at] === ']') inClass = false;
    }
    return at + 1;
  };
  const readString = (start: number): number => {
    const [whole = '', quote = '', content = ''] = /^(['"])((?:\\.|(?!\1).)*)\1/s.exec(text.slice(start)) ?? [];
    expect([start, quote]).not.toEqual([start, '']);
    found.push(content.replace(/\\(.)/g, '$1'));
    return start + whole.length;
  };
  const readTemplate = (start: number): number => {
    let content = '';
    let at = start;
    while (at < text.length && text[at] !== '`') {
      if (text.startsWith('${', at)) {
        content += '…';
        at = readCode(at + 2) + 1;
      } else {
        const length = text[at] === '\\' ? 2 : 1;
        content += text.slice(at + length - 1, at + length);
        at += length;
      }
    }
    found.push(content);
    return at + 1;
  };
  readCode(0);
  return found;
}
