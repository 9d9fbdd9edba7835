// SPDX-License-Identifier: Apache-2.0
// What programs that send signals do by profession, and what it means when they stop a process: only data, from their manuals and
// sources. role.ts applies it. Extend it with a line.
import type { SenderRoleValue } from '../telemetry/semconv.ts';
import { SIGABRT, SIGINT, SIGKILL, SIGQUIT, SIGTERM, SIGUSR1 } from '../verdict/signals.ts';

export interface Profession {
  readonly role: SenderRoleValue;
  /** File names of executables. */
  readonly executables?: RegExp;
  /** Scripts and applets, as core/naming/program.ts finds them. */
  readonly scripts?: RegExp;
  /** It acts for the whole machine or container: an executable where any user can write is another program. */
  readonly isOfSystem?: true;
  /** It is about to turn the machine or the container off. */
  readonly shutsDown?: true;
  readonly stops?: readonly Stop[];
}

/** What a signal of such a program means. The first that matches counts. */
export interface Stop {
  /** `worker`: its child with the same executable; `sibling`: another child of its parent, with the same executable; `child`: its child. */
  readonly whom: 'worker' | 'sibling' | 'child' | 'any';
  /** Empty: any. */
  readonly signals: readonly number[];
  /** The reason that its signal does not prove: `timeout`. null: there is no usual one. */
  readonly why: string | null;
}

const any = (why: string | null, ...signals: number[]): Stop => ({ whom: 'any', signals, why });
const child = (why: string | null, ...signals: number[]): Stop => ({ whom: 'child', signals, why });
const sibling = (why: string | null, ...signals: number[]): Stop => ({ whom: 'sibling', signals, why });
const worker = (why: string | null, ...signals: number[]): Stop => ({ whom: 'worker', signals, why });

/** The first that matches counts. */
export const PROFESSIONS: readonly Profession[] = [
  {
    role: 'service_manager',
    executables: /^(?:systemd-shutdown|killall5|s6-linux-init-shutdownd|runit-init|openrc-shutdown)$/,
    isOfSystem: true,
    shutsDown: true,
  },
  {
    role: 'service_manager',
    executables: /^(?:runsv|s6-supervise|dinit)$/,
    isOfSystem: true,
    stops: [child('it did not stop in time', SIGKILL), child(null)],
  },
  {
    role: 'service_manager',
    executables:
      /^(?:systemd|systemd-executor|init|openrc|openrc-run|rc|runit|runsvdir|s6-svscan|launchd|procd|upstart|finit)$/,
    isOfSystem: true,
  },
  // busybox as process 1 sends SIGTERM and SIGKILL to all before it turns the machine or the container off.
  { role: 'service_manager', scripts: /^init$/, isOfSystem: true, shutsDown: true },
  {
    role: 'container_runtime',
    executables:
      /^(?:dockerd|docker-init|docker-containerd|containerd|containerd-shim(?:-[\w-]+)?|runc|crun|youki|kata-\w+|runsc|conmon|conmonrs|podman|buildah|crio|kubelet|k3s|rke2|lxc-\w+|lxd|incusd|systemd-nspawn|buildkitd|tini|tini-static|dumb-init|catatonit)$/,
    isOfSystem: true,
  },
  {
    role: 'oom_daemon',
    executables: /^(?:earlyoom|systemd-oomd|oomd|bustd|psi-notify|lmkd)$/,
    scripts: /^(?:nohang|nohang-desktop)$/,
    isOfSystem: true,
    stops: [any(null)],
  },
  { role: 'watchdog', executables: /^heart$/, isOfSystem: true, stops: [any('HEART_BEAT_TIMEOUT')] },
  { role: 'watchdog', executables: /^(?:watchdog|watchdogd|wd_keepalive)$/, isOfSystem: true },
  { role: 'timeout', executables: /^(?:timeout|gtimeout)$/, stops: [any('time limit', SIGTERM, SIGKILL, SIGINT)] },
  { role: 'timeout', scripts: /^timeout$/, stops: [any('time limit')] },
  { role: 'timeout', scripts: /^parallel$/, stops: [any('--timeout or --halt')] },
  {
    role: 'supervisor',
    executables: /^(?:monit|circusd|process-compose|overmind|goreman|hivemind|immortal|nomad|perpd|svscan|supervise)$/,
    scripts: /^(?:supervisord|pm2|circusd|honcho|foreman|forever|nodemon|watchmedo)$/,
    stops: [child('it did not stop in time', SIGKILL), child(null)],
  },
  // Of Erlang: the port program that looks up host names, and ends its workers with SIGUSR1.
  { role: 'application_server', executables: /^inet_gethost$/, isOfSystem: true, stops: [worker(null, SIGUSR1)] },
  {
    role: 'application_server',
    scripts: /^gunicorn$/,
    stops: [worker('timeout', SIGABRT, SIGKILL), worker('reload or shutdown')],
  },
  {
    role: 'application_server',
    executables: /^uwsgi(?:-core)?$/,
    stops: [worker('harakiri', SIGKILL), worker('reload or shutdown')],
  },
  {
    role: 'application_server',
    scripts: /^celery$/,
    stops: [worker('time limit', SIGKILL), worker('time limit or shutdown')],
  },
  {
    role: 'application_server',
    executables: /^php-fpm[\d.]*$/,
    stops: [
      worker('request_terminate_timeout or shutdown', SIGTERM, SIGKILL),
      worker('idle, reload or shutdown', SIGQUIT),
      worker(null),
    ],
  },
  {
    role: 'application_server',
    executables: /^(?:postgres|postmaster)$/,
    stops: [
      worker('another server process crashed, or an immediate shutdown', SIGQUIT, SIGKILL, SIGABRT),
      worker('shutdown, or pg_terminate_backend'),
      sibling('pg_terminate_backend', SIGTERM),
    ],
  },
  {
    role: 'application_server',
    scripts:
      /^(?:puma|unicorn|unicorn_rails|pitchfork|passenger|uvicorn|hypercorn|waitress|granian|sidekiqswarm|resque)$/,
    stops: [worker('timeout', SIGABRT, SIGKILL), worker('reload or shutdown')],
  },
  {
    role: 'application_server',
    executables: /^(?:nginx|openresty|apache2|httpd|haproxy|caddy|lighttpd)$/,
    stops: [worker('it did not stop in time', SIGKILL), worker('reload or shutdown')],
  },
  {
    role: 'ci_runner',
    executables:
      /^(?:Runner\.(?:Listener|Worker)|gitlab-runner|buildkite-agent|circleci-agent|circleci-runner|drone-runner-\w+|woodpecker-agent|act_runner|forgejo-runner|Agent\.(?:Listener|Worker)|teamcity-agent|concourse)$/,
    scripts: /^(?:agent\.jar|remoting\.jar|slave\.jar|jenkins\.war)$/,
    stops: [child('cancelled, or over its time limit')],
  },
  {
    role: 'coding_agent',
    executables: /^(?:claude|codex|opencode|goose|cursor-agent|crush)$/,
    scripts: /^(?:claude|codex|gemini|aider|opencode|copilot|cline|qwen|openhands|swe-agent)$/,
  },
  // A script of a shell is what the script is.
  {
    role: 'shell',
    executables: /^(?:sh|bash|rbash|dash|zsh|ksh\d*|mksh|yash|fish|csh|tcsh)$/,
    scripts: /^(?:a|ba)?sh$/,
  },
];

/** Directories in which any user can write. */
export const WRITABLE_BY_ANY = /^\/(?:home|tmp|var\/tmp|dev|run\/user|proc|memfd:)/;
