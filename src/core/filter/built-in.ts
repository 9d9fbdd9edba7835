// SPDX-License-Identifier: Apache-2.0
// The built-in rules, as data in the form of a rules file, and the rules in effect. rules.ts compiles them.
import * as z from 'zod/mini';
import { compile, LONG_LIVED_SECONDS, type ReportMode, type Rule, type RuleText, ruleSchema } from './rules.ts';

const builtIn = (texts: readonly RuleText[]): readonly Rule[] =>
  z
    .array(ruleSchema)
    .parse(texts)
    .map((rule) => compile(rule, rule.action !== 'report' && !SPEAK_IN_LOOPS.has(rule.name)));

/** What these filter says nothing once, but may be a crash loop (loops.ts). */
const USER_SESSION = 'user session processes';
const SHORT_LIVED = 'short-lived unnamed processes';
const SPEAK_IN_LOOPS: ReadonlySet<string> = new Set([USER_SESSION, SHORT_LIVED]);

const EXIT_ZERO: RuleText = { name: 'exit code 0', cause: 'exit', exit_code: 0, action: 'ignore' };
/** The names of services that have no name of their own. */
const UNNAMED = 'unknown_service*';

/** Commands whose exit code 1 says no: nothing was found, or it differs. Scripts of every service run them. */
const ANSWERING = [
  ...[
    'grep',
    'egrep',
    'fgrep',
    'zgrep',
    'rg',
    'diff',
    'cmp',
    'test',
    '[',
    'expr',
    'readlink',
    'realpath',
    'mountpoint',
  ],
  ...['pgrep', 'pkill', 'pidof', 'killall', 'which', 'id', 'tty', 'dpkg-query', 'git', 'nc', 'pg_isready', 'redis-cli'],
];

const EVERYTHING = builtIn([EXIT_ZERO, { name: 'everything (WHODUNIT_REPORT=all)', action: 'report' }]);

const BUILT_IN = builtIn([
  EXIT_ZERO,
  // Of Erlang: inet_gethost ends its workers so, when it is idle and when the virtual machine ends.
  { name: "Erlang's port programs", executable: '*/erts-*/bin/inet_gethost', signal: 'SIGUSR1', action: 'count' },
  {
    name: 'fault, kill or OOM, any process',
    cause: [
      'fault',
      'abort',
      'oom_kill',
      'seccomp',
      'resource_limit',
      'killed',
      'self_signal',
      'namespace_exit',
      'kernel',
      'unknown',
    ],
    action: 'report',
  },
  {
    name: 'answers of commands',
    executable: ANSWERING,
    exit_code: 1,
    uptime_below: LONG_LIVED_SECONDS,
    action: 'count',
  },
  // The remaining causes: an exit, graceful or not, or a routine termination (Ctrl-C, `yes | head`, a closed terminal, a timer).
  { name: 'container process', container: '*', action: 'report' },
  // Podman and Docker without root. Any user can choose such a name: it is no container's, but may ask for records of its own processes.
  {
    name: 'container process of a user',
    cgroup: ['*/user@*.service/*/libpod-*', '*/user@*.service/*/docker-*'],
    action: 'report',
  },
  { name: 'ran for more than 10 s', uptime_above: 10, action: 'report' },
  { name: USER_SESSION, unit: 'user@*.service', service: UNNAMED, action: 'count' },
  { name: 'systemd service', unit: '*.service', action: 'report' },
  { name: SHORT_LIVED, service: UNNAMED, action: 'count' },
  { name: 'named service', action: 'report' },
]);

/** The rules in effect: the user's, then the built-in ones. The last one always matches. */
export function rulesOf(own: readonly Rule[], mode: ReportMode): readonly Rule[] {
  return [...own, ...(mode === 'all' ? EVERYTHING : BUILT_IN)];
}
