// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { readConfig } from '../src/cli.ts';
import { FatalError } from '../src/core/errors.ts';

describe('the command line', () => {
  it.each<[string[], unknown]>([
    [[], { command: 'run', console: 'text' }],
    [['--output', 'json'], { command: 'run', console: 'json' }],
    [['--output', 'report'], { command: 'run', console: 'report' }],
    [['run', '--rules', '/rules.yaml'], { command: 'run', rules: { path: '/rules.yaml' } }],
    [['up'], { command: 'up', endOfInput: false, serviceArgs: [], pinDir: '/sys/fs/bpf/whodunit' }],
    [['up', '--until-eof'], { command: 'up', endOfInput: true, serviceArgs: [] }],
    [['up', '--rules', '/a', '--output', 'json'], { serviceArgs: ['--output', 'json', '--rules', '/a'] }],
    [['doctor'], { command: 'doctor', test: false, pinDir: '/sys/fs/bpf/whodunit' }],
    [['doctor', '--test'], { command: 'doctor', test: true, output: 'text' }],
    [['doctor', '--output', 'json'], { command: 'doctor', test: false, output: 'json' }],
    [['filters'], { command: 'filters', test: false, rules: { path: null } }],
    [['filters', '--rules', '/a.yaml'], { command: 'filters', test: false, rules: { path: '/a.yaml' } }],
    [['filters', 'test', '/b.yaml', '--rules', '/a.yaml'], { test: true, rules: { path: '/b.yaml' } }],
    [['filters', 'test', '--output', 'json', '--state-dir', '/s'], { test: true, output: 'json', stateDir: '/s' }],
    [['explain', '137'], { command: 'explain', what: '137', executable: null }],
    [['explain', '--executable', 'node', '7'], { command: 'explain', what: '7', executable: 'node' }],
    [['list'], { command: 'list', stateDir: '/var/lib/whodunit', filter: {}, limit: null, reverse: false }],
    [['list', '--state-dir', '/s', '-n', '3', '-r'], { stateDir: '/s', limit: 3, reverse: true }],
    [['list', '--since', '@1', '--service', 'w*'], { filter: { sinceNs: 1_000_000_000n, service: 'w*' } }],
    [['show'], { command: 'show', what: 'last' }],
    [['show', '4242', '--output', 'json'], { command: 'show', what: '4242', output: 'json' }],
    [['follow', '--cause', 'fault'], { command: 'follow', filter: { cause: 'fault' } }],
    [['stats', '--since', '@1'], { command: 'stats', filter: { sinceNs: 1_000_000_000n } }],
    [['purge', '--user', 'anna'], { command: 'purge', filter: { user: 'anna' }, ids: [], undelivered: false }],
    [['purge', '--id', 'abcd', '--id', 'ef01', '--undelivered'], { ids: ['abcd', 'ef01'], undelivered: true }],
    [['ui'], { command: 'ui', stateDir: '/var/lib/whodunit', port: 0, open: true }],
    [['ui', '--port', '8080', '--no-open', '--state-dir', '/s'], { port: 8080, open: false, stateDir: '/s' }],
    [['mute', '--service', 'web', '--for', '1h'], { command: 'mute', service: 'web', forMs: 3_600_000, remove: false }],
    [['mute', '--remove'], { command: 'mute', service: null, forMs: null, remove: true }],
    [['--help'], { command: 'help' }],
    [['doctor', '-h'], { command: 'help' }],
    [['--version'], { command: 'version' }],
  ])('%j', (argv, expected) => {
    expect(readConfig(argv, {})).toMatchObject(expected as object);
  });

  it('returns for each command only the settings that it uses', () => {
    expect(Object.keys(readConfig(['ui'], {})).sort()).toEqual(['command', 'health', 'open', 'port', 'stateDir']);
    expect(readConfig(['help', '--help'], { OTEL_EXPORTER_OTLP_PROTOCOL: 'thrift' })).toEqual({ command: 'help' });
    expect(readConfig(['explain', '1'], { WHODUNIT_QUEUE_BYTES: 'much' })).toMatchObject({ what: '1' });
  });
});

describe('an invalid command line is rejected with exit code 78 and one line', () => {
  it.each<[string[], string[]]>([
    [['watch'], ['the command is "watch"', 'run, up, list, show']],
    [['constructor'], ['the command is "constructor"', 'run, up, list, show']],
    [['run', ''], ['the command is "run "']],
    [['explain', ''], ['the command is "explain "']],
    [['explain'], ['the command is "explain"', 'explain <exit code | signal>']],
    [['explain', '1', '2'], ['the command is "explain 1 2"']],
    [['doctor', 'now'], ['the command is "doctor now"']],
    [
      ['--output', 'xml'],
      ['--output is "xml"', 'text, report, json'],
    ],
    [['--output'], ["'--output <value>' argument missing", '--help']],
    [
      ['doctor', '--test=yes'],
      ["'--test' does not take an argument", '--help'],
    ],
    [['--nonsense'], ['whodunit run does not have the flag --nonsense', '--output, --rules', '--help']],
    [
      ['doctor', '--output', 'table'],
      ['--output is "table"', 'text, json'],
    ],
    [
      ['ui', '--port', '70000'],
      ['--port is "70000"', '0 to 65535'],
    ],
    [['ui', '--port', ''], ['--port is ""']],
    [['run', '--dry-run'], ['whodunit run does not have the flag --dry-run']],
    [
      ['doctor', '--dry-run'],
      ['whodunit doctor does not have the flag --dry-run', '--test, --output, --rules'],
    ],
    [
      ['explain', '7', '--rules', '/a'],
      ['whodunit explain does not have the flag --rules', '--executable'],
    ],
  ])('%j', (argv, parts) => {
    const rejected = (): unknown => readConfig(argv, {});
    expect(rejected).toThrow(FatalError);
    expect(rejected).toThrow(expect.objectContaining({ exitCode: 78, message: expect.stringMatching(/^[^\n]*$/) }));
    for (const part of parts) expect(rejected).toThrow(part);
  });
});

describe('an invalid command line of a command that searches is rejected with exit code 2, as of grep', () => {
  it.each<[string[], string[]]>([
    [['list', 'all'], ['the command is "list all"']],
    [
      ['filters', 'try'],
      ['the command is "filters try"', 'filters [test [FILE]]'],
    ],
    [['filters', '--dry-run'], ['whodunit filters does not have the flag --dry-run']],
    [
      ['list', '--since', 'some day'],
      ['--since is "some day"', '1 hour ago', 'yesterday'],
    ],
    [
      ['list', '--cause', 'death'],
      ['--cause is "death"', 'oom_kill'],
    ],
    [['stats', '--signal', 'SIGNONE'], ['--signal is "SIGNONE"']],
    [['list', '--limit', 'ten'], ['--limit is "ten"']],
    [
      ['list', '--output', 'xml'],
      ['--output is "xml"', 'table, json, jsonl'],
    ],
    [['list', '--undelivered'], ['whodunit list does not have the flag --undelivered']],
    [['show', '1', '2'], ['the command is "show 1 2"']],
    [['purge'], ['without a condition', '--before, --user, --id']],
    [['purge', '--id', 'x'], ['--id is "x"']],
    [['mute', '--service', 'web'], ['--service NAME --for DURATION']],
    [
      ['mute', '--service', 'web', '--for', 'ever'],
      ['--for is "ever"', '30min'],
    ],
  ])('%j', (argv, parts) => {
    const rejected = (): unknown => readConfig(argv, {});
    expect(rejected).toThrow(expect.objectContaining({ exitCode: 2, message: expect.stringMatching(/^[^\n]*$/) }));
    for (const part of parts) expect(rejected).toThrow(part);
  });
});
