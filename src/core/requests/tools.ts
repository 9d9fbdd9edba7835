// SPDX-License-Identifier: Apache-2.0
// The tools by which people ask others to stop a process: only data, from their manuals. ask.ts reads a command line with it. Extend it with
// a line; the probes report the tools of bpf/requests.h.

/** Who carries out what a tool asks for. */
export type Carrier =
  | 'systemd'
  | 'user_systemd'
  | 'docker'
  | 'podman'
  | 'nerdctl'
  | 'kubernetes'
  | 'lxc'
  | 'supervisord'
  | 'pm2'
  | 'monit'
  | 'runit';

/** What the arguments after the verb name. */
export type TargetKind = 'unit' | 'container' | 'service' | 'pod' | 'session' | 'user' | 'program';

export interface Verb {
  /** The words, as a command line has them: `compose stop`. */
  readonly words: string;
  readonly targets: TargetKind | 'none';
  /** The tool may end before the carrier acts. */
  readonly isAsync?: true;
  /** It stops something only with one of these options. */
  readonly needs?: readonly string[];
  /** The machine is turned off. */
  readonly isMachine?: true;
  /** Only a signal is sent. */
  readonly isKill?: true;
  /** Something is started, after it was stopped if it ran. */
  readonly isStart?: true;
  /** Nothing is stopped. */
  readonly stopsNothing?: true;
  /** Words between the verb and its targets: `signal TERM web`. */
  readonly skip?: number;
}

export interface Tool {
  readonly names: readonly string[];
  readonly carriers: readonly Carrier[];
  readonly verbs: readonly Verb[];
  /** Options whose value is the next word: before the verb, and after it. */
  readonly values: readonly string[];
  /** After the verb, if they are others there. */
  readonly verbValues?: readonly string[];
  /** Words that may come before the verb: `docker-compose compose stop`. */
  readonly before?: readonly string[];
  /** It does what the name by which it is called says: `reboot` is a link to systemctl. */
  readonly isMulticall?: true;
  /** With one of these, it asks another machine, or does nothing. */
  readonly elsewhere: readonly string[];
  /** It asks what a configuration or the environment names: perhaps another machine. */
  readonly isRemote?: true;
  /** `service web stop`: the target is the first word. */
  readonly targetFirst?: true;
}

const verbs = (targets: Verb['targets'], names: string, more: Partial<Verb> = {}): Verb[] =>
  names.split(' ').map((words) => ({ words: words.replaceAll('_', ' '), targets, ...more }));

const words = (text: string): string[] => text.split(' ');
/** `compose` and a space, or nothing. */
const composeVerbs = (compose: string): Verb[] => [
  ...verbs(
    'service',
    words('stop down restart rm create scale')
      .map((verb) => `${compose}${verb}`)
      .join(' '),
  ),
  ...verbs('service', `${compose}up`, { needs: ['-d', '--detach'] }),
  ...verbs('service', `${compose}kill`, { isKill: true }),
];
const CONTAINER_VERBS: readonly Verb[] = [
  ...verbs('container', 'stop restart container_stop container_restart'),
  ...verbs('container', 'kill container_kill', { isKill: true }),
  ...verbs('container', 'rm container_rm', { needs: ['-f', '--force'] }),
  ...composeVerbs('compose_'),
  ...verbs('none', 'stack_rm stack_deploy service_rm service_update service_scale swarm_leave', { isAsync: true }),
];
const COMPOSE_VALUES = words(
  '-f --file -p --project-name --profile --env-file --project-directory --parallel --ansi --progress',
);
const CONTAINER_VALUES = [
  ...words('-H --host -c --context --config -l --log-level --tlscacert --tlscert --tlskey'),
  ...COMPOSE_VALUES,
];
const CONTAINER_VERB_VALUES = words('-t --time --timeout -s --signal --scale --rmi');
const MACHINE_VERBS = verbs('none', 'reboot poweroff halt kexec soft-reboot', { isAsync: true, isMachine: true });

export const TOOLS: readonly Tool[] = [
  {
    names: ['systemctl'],
    carriers: ['systemd'],
    isMulticall: true,
    verbs: [
      ...verbs('unit', 'stop clean'),
      ...verbs('unit', 'restart try-restart condrestart reload-or-restart try-reload-or-restart force-reload', {
        isStart: true,
      }),
      ...verbs('unit', 'start', { isStart: true, stopsNothing: true }),
      ...verbs('none', 'isolate rescue emergency default exit'),
      ...verbs('unit', 'kill', { isKill: true }),
      ...verbs('unit', 'disable mask', { needs: ['--now'] }),
      ...MACHINE_VERBS,
    ],
    values: words(
      '-t --type --state -p --property -P -n --lines -o --output -s --signal --kill-who --kill-whom --kill-value --job-mode --preset-mode --timestamp --what --message --drop-in --when --legend',
    ),
    elsewhere: ['-H', '--host', '-M', '--machine', '--root', '--image', '--global', '--dry-run', '--help', '-h'],
  },
  {
    names: ['service', 'invoke-rc.d', 'rc-service'],
    carriers: ['systemd'],
    verbs: [
      ...verbs('unit', 'stop'),
      ...verbs('unit', 'restart force-reload try-restart condrestart', { isStart: true }),
      ...verbs('unit', 'start', { isStart: true, stopsNothing: true }),
    ],
    values: [],
    elsewhere: ['--help', '-h'],
    targetFirst: true,
  },
  {
    names: ['loginctl'],
    carriers: ['systemd'],
    verbs: [
      ...verbs('session', 'terminate-session', { isAsync: true }),
      ...verbs('session', 'kill-session', { isKill: true }),
      ...verbs('user', 'terminate-user', { isAsync: true }),
      ...verbs('user', 'kill-user', { isKill: true }),
      ...MACHINE_VERBS,
    ],
    values: ['-p', '--property', '-s', '--signal', '--kill-who', '--kill-whom', '-n', '--lines', '-o', '--output'],
    elsewhere: ['-H', '--host', '-M', '--machine', '--help', '-h'],
  },
  {
    names: ['docker'],
    carriers: ['docker'],
    verbs: CONTAINER_VERBS,
    values: CONTAINER_VALUES,
    verbValues: CONTAINER_VERB_VALUES,
    elsewhere: ['--help', '--dry-run'],
  },
  {
    names: ['docker-compose', 'podman-compose'],
    carriers: ['docker', 'podman'],
    verbs: composeVerbs(''),
    before: ['compose'],
    values: CONTAINER_VALUES,
    verbValues: CONTAINER_VERB_VALUES,
    elsewhere: ['--help', '--dry-run'],
  },
  {
    names: ['podman', 'podman-remote'],
    carriers: ['podman'],
    verbs: [
      ...CONTAINER_VERBS,
      ...verbs('none', 'pod_stop pod_restart pod_rm play_kube kube_down'),
      ...verbs('none', 'pod_kill', { isKill: true }),
    ],
    values: [...CONTAINER_VALUES, '--connection', '--url', '--root', '--runroot', '--cgroup-manager'],
    verbValues: CONTAINER_VERB_VALUES,
    elsewhere: ['--help', '--remote', '-r'],
  },
  {
    names: ['nerdctl'],
    carriers: ['nerdctl'],
    verbs: CONTAINER_VERBS,
    values: [...CONTAINER_VALUES, '-n', '--namespace', '-a', '--address', '--snapshotter', '--cgroup-manager'],
    verbValues: CONTAINER_VERB_VALUES,
    elsewhere: ['--help'],
  },
  {
    names: ['crictl'],
    carriers: ['kubernetes'],
    verbs: [
      ...verbs('container', 'stop'),
      ...verbs('container', 'rm', { needs: ['-f', '--force'] }),
      ...verbs('none', 'stopp rmp'),
    ],
    values: ['-c', '--config', '-r', '--runtime-endpoint', '-i', '--image-endpoint', '-t', '--timeout'],
    elsewhere: ['--help', '-h'],
  },
  {
    names: ['ctr'],
    carriers: ['docker', 'nerdctl', 'kubernetes'],
    verbs: [
      ...verbs('container', 'task_kill tasks_kill t_kill', { isKill: true }),
      ...verbs('container', 'task_rm tasks_rm t_rm', { needs: ['-f', '--force'] }),
    ],
    values: ['-n', '--namespace', '-a', '--address', '--timeout', '--connect-timeout', '-s', '--signal', '--exec-id'],
    elsewhere: ['--help', '-h'],
  },
  {
    names: ['kubectl', 'oc', 'k3s', 'helm'],
    carriers: ['kubernetes'],
    before: ['kubectl'],
    verbs: [
      ...verbs('pod', 'delete', { isAsync: true }),
      ...verbs(
        'none',
        'rollout_restart rollout_undo scale drain apply replace patch set uninstall upgrade rollback delete_node',
        { isAsync: true },
      ),
    ],
    values: words(
      '-n --namespace -l --selector -f --filename -k --kustomize -c --context --kubeconfig --cluster --user --grace-period --timeout --cascade -o --output --replicas -p --patch --field-selector --server -s',
    ),
    elsewhere: ['--dry-run', '--help', '-h'],
    isRemote: true,
  },
  {
    names: ['supervisorctl'],
    carriers: ['supervisord'],
    verbs: [
      ...verbs('program', 'stop restart remove update'),
      ...verbs('program', 'signal', { isKill: true, skip: 1 }),
      ...verbs('none', 'shutdown reload'),
    ],
    values: ['-c', '--configuration', '-u', '--username', '-p', '--password'],
    elsewhere: ['-s', '--serverurl', '--help', '-h'],
  },
  {
    names: ['pm2'],
    carriers: ['pm2'],
    verbs: [
      ...verbs('program', 'stop restart reload delete del'),
      ...verbs('program', 'sendSignal', { isKill: true, skip: 1 }),
      ...verbs('none', 'kill update'),
    ],
    values: ['--name', '-n', '--namespace', '-i', '--instances', '--kill-timeout', '--env'],
    elsewhere: ['--help', '-h'],
  },
  {
    names: ['monit'],
    carriers: ['monit'],
    verbs: [...verbs('program', 'stop restart', { isAsync: true }), ...verbs('none', 'quit', { isAsync: true })],
    values: ['-c', '-g', '-d', '-l', '-p', '-s'],
    elsewhere: ['-h', '--help'],
  },
  {
    names: ['sv', 'runsvctrl'],
    carriers: ['runit'],
    verbs: verbs(
      'program',
      'stop down d restart force-stop force-restart shutdown force-shutdown exit kill term try-restart hup interrupt',
    ),
    values: ['-w'],
    elsewhere: [],
  },
  {
    names: ['lxc-stop'],
    carriers: ['lxc'],
    verbs: [{ words: '', targets: 'container' }],
    values: ['-P', '--lxcpath', '-t', '--timeout', '-o', '--logfile', '-l', '--logpriority', '-g', '--groups'],
    elsewhere: ['--help', '-h'],
  },
  {
    names: ['lxc', 'incus'],
    carriers: ['lxc'],
    verbs: [...verbs('container', 'stop restart'), ...verbs('container', 'delete', { needs: ['-f', '--force'] })],
    values: ['--timeout', '--project'],
    elsewhere: ['--help', '-h'],
    isRemote: true,
  },
  {
    names: ['machinectl'],
    carriers: ['systemd'],
    verbs: [
      ...verbs('container', 'terminate poweroff reboot stop', { isAsync: true }),
      ...verbs('container', 'kill', { isKill: true }),
    ],
    values: ['-p', '--property', '-s', '--signal', '--kill-who', '--kill-whom', '-n', '--lines', '-o', '--output'],
    elsewhere: ['-H', '--host', '-M', '--machine', '--help', '-h'],
  },
  {
    names: ['reboot', 'poweroff', 'halt'],
    carriers: ['systemd'],
    verbs: [{ words: '', targets: 'none', isAsync: true, isMachine: true }],
    values: ['-d', '-n'],
    elsewhere: ['-w', '--wtmp-only', '--help', '-H'],
  },
  {
    names: ['shutdown'],
    carriers: ['systemd'],
    verbs: [{ words: '', targets: 'none', isAsync: true, isMachine: true }],
    values: ['-t', '-i'],
    elsewhere: ['-k', '-c', '--show', '--help'],
  },
  {
    names: ['telinit', 'init'],
    carriers: ['systemd'],
    verbs: verbs('none', '0 1 6 s S', { isAsync: true, isMachine: true }),
    values: ['-t', '-e'],
    elsewhere: ['--help'],
  },
];
