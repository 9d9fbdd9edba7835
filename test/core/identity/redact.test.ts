// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ARGUMENT_CHARS_MAX,
  ARGUMENTS_CHARS_MAX,
  ARGUMENTS_MAX,
  cutText,
  redactArguments,
} from '../../../src/core/identity/redact.ts';
import { MARK, MARKED_FORMS, TOKEN_CHARS_MIN, TOKEN_FORMS } from '../../../src/core/identity/secret-forms.ts';

const S = 'hunter2hunter2';
const X = '[REDACTED]';

describe('secrets in arguments', () => {
  it.each<[string, string[], string[]]>([
    ['--password=…', ['app', `--password=${S}`], ['app', `--password=${X}`]],
    ['--password with spaces in it', ['app', `--password=a ${S}`], ['app', `--password=${X}`]],
    ['--password …', ['app', '--password', S, 'x'], ['app', '--password', X, 'x']],
    ['-p …', ['app', '-p', S], ['app', '-p', X]],
    ['-p with a port', ['ssh', '-p', '2222', 'host'], ['ssh', '-p', '2222', 'host']],
    [
      '-p with a port mapping',
      ['docker', 'run', '-p', '127.0.0.1:80:80/tcp', 'x'],
      ['docker', 'run', '-p', '127.0.0.1:80:80/tcp', 'x'],
    ],
    ['an option after an option that takes a secret', ['app', '--token', '--verbose'], ['app', '--token', '--verbose']],
    ['mysql -p…', ['/usr/bin/mysql', '-uroot', `-p${S}`], ['/usr/bin/mysql', '-uroot', `-p${X}`]],
    ['sshpass -p …', ['sshpass', '-p', S, 'ssh'], ['sshpass', '-p', X, 'ssh']],
    ['redis-cli -a …', ['redis-cli', '-a', S], ['redis-cli', '-a', X]],
    ['curl -u …', ['curl', '-u', `me:${S}`, 'http://x'], ['curl', '-u', X, 'http://x']],
    [
      'a name that ends in a word for a secret',
      ['app', `--db-password=${S}`, `--client_secret=${S}`],
      ['app', `--db-password=${X}`, `--client_secret=${X}`],
    ],
    [
      'camel case',
      ['app', `--dbPassword=${S}`, `-Djavax.net.ssl.keyStorePassword=${S}`],
      ['app', `--dbPassword=${X}`, `-Djavax.net.ssl.keyStorePassword=${X}`],
    ],
    ['API keys', ['app', `--api-key=${S}`, '--apikey', S], ['app', `--api-key=${X}`, '--apikey', X]],
    ['assignments', ['env', `GITHUB_TOKEN=${S}`, 'make'], ['env', `GITHUB_TOKEN=${X}`, 'make']],
    [
      'assignments within a script',
      ['sh', '-c', `PGPASSWORD=${S} psql -h db`],
      ['sh', '-c', `PGPASSWORD=${X} psql -h db`],
    ],
    ['JSON', ['app', `{"user":"me","password":"${S}"}`], ['app', `{"user":"me","password":${X}}`]],
    ['a URL with credentials', ['psql', `postgres://me:${S}@db/x`], ['psql', `postgres://me:${X}@db/x`]],
    [
      'a URL with a token as user',
      ['git', 'clone', `https://${S}@github.com/x`],
      ['git', 'clone', `https://${X}@github.com/x`],
    ],
    ['a query', ['curl', `https://x/y?a=1&access_token=${S}&b=2`], ['curl', `https://x/y?a=1&access_token=${X}&b=2`]],
    ['a bearer token', ['curl', '-H', `Authorization: Bearer ${S}`], ['curl', '-H', `Authorization: Bearer ${X}`]],
    ['another header', ['curl', '-H', `X-Api-Key: ${S}`], ['curl', '-H', `X-Api-Key: ${X}`]],
    [
      'a token by its form',
      ['x', `ghp_${'a1'.repeat(18)}`, `AKIA${'ABCD'.repeat(4)}`, 'glpat-abcdefghij0123456789'],
      ['x', X, X, X],
    ],
    ['a JSON web token', ['x', 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl'], ['x', X]],
    ['a private key', ['x', '-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----'], ['x', X]],
  ])('%s', (_, args, expected) => {
    expect(redactArguments(args)).toEqual(expected);
  });

  it.each<[string[]]>([
    [['sleep', '100']],
    [['nginx', '-g', 'daemon off;']],
    [['java', '-Xmx512m', '-jar', '/opt/app/author-service.jar']],
    [['python3', '-m', 'http.server', '--bind', '127.0.0.1']],
    [['git', 'commit', '--author=me', '-m', 'passes']],
    [['curl', 'https://example.com/path?page=2']],
    [['ls', '-la', '--color=auto']],
    [[]],
    [['']],
  ])('leaves %j unchanged', (args) => {
    expect(redactArguments(args)).toEqual(args);
  });

  it('redacts any value of an option that takes a secret', () => {
    const option = fc.constantFrom('--password=', '--api-key=', '--client-secret=', '--token=');
    fc.assert(
      fc.property(option, fc.string({ minLength: 1, maxLength: 300 }), (name, secret) => {
        expect(redactArguments(['app', `${name}${secret}`])).toEqual(['app', `${name}${X}`]);
      }),
    );
  });

  it('needs no scan for marked forms without a mark, and none for tokens in a short text', () => {
    const word = fc.constantFrom(
      'authorization',
      'cookie',
      'bearer',
      '://',
      'u:p@h',
      'password',
      "'x'",
      '-----BEGIN ',
      'PRIVATE KEY',
    );
    const fragment = fc.oneof(
      word,
      fc.constantFrom('eyJ', 'sk_', 's.', '.', '-----', '-', '"'),
      fc.string({ maxLength: 6 }),
    );
    const text = fc.array(fragment, { maxLength: 8 }).map((fragments) => fragments.join(''));
    fc.assert(
      fc.property(text, (any) => {
        const unmarked = any.replaceAll(new RegExp(MARK, 'g'), '');
        for (const { pattern } of MARKED_FORMS) expect(unmarked.search(pattern)).toBe(-1);
        const short = unmarked.slice(0, TOKEN_CHARS_MIN - 1);
        for (const { pattern } of TOKEN_FORMS) expect(short.search(pattern)).toBe(-1);
      }),
    );
  });

  it('is fast for input made to cause backtracking', () => {
    const nasty = [
      'a'.repeat(100_000),
      '-'.repeat(100_000),
      'token'.repeat(20_000),
      `x://${'a:'.repeat(50_000)}`,
      '_'.repeat(100_000),
    ];
    const start = performance.now();
    redactArguments(nasty);
    expect(performance.now() - start).toBeLessThan(500);
  });
});

describe('cutting', () => {
  it('limits the length of an argument, their number, and the total length', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 600 }), { maxLength: 100 }), (args) => {
        const cut = redactArguments(args);
        expect(cut.length).toBeLessThanOrEqual(ARGUMENTS_MAX + 1);
        for (const arg of cut) expect(arg.length).toBeLessThanOrEqual(ARGUMENT_CHARS_MAX);
        expect(cut.join('').length).toBeLessThanOrEqual(ARGUMENTS_CHARS_MAX + 1);
      }),
    );
  });

  it('marks a cut', () => {
    expect(redactArguments(['x'.repeat(300)])).toEqual([`${'x'.repeat(255)}…`]);
    expect(redactArguments(Array(70).fill('x')).at(-1)).toBe('…');
  });

  it('does not split a surrogate pair', () => {
    expect(cutText('ab😀cd', 4)).toBe('ab…');
  });
});
