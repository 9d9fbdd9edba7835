// SPDX-License-Identifier: Apache-2.0
// Every name that whodunit emits. Generated from otel-config/registry/ by `npm run generate:telemetry`: not to be edited.
// Meanings are in docs/telemetry.md.

export const SCHEMA_URL = 'https://opentelemetry.io/schemas/1.45.0';
export const SCOPE_NAME = 'whodunit';

export const EVENT_PROCESS_TERMINATION = 'whodunit.process.termination';
export const EVENT_PROCESS_TERMINATION_SUMMARY = 'whodunit.process.termination.summary';
export const EVENT_INCIDENT = 'whodunit.incident';
export const EVENT_PROCESS_RESTART = 'whodunit.process.restart';
export const EVENT_PROCESS_LOOP = 'whodunit.process.loop';
export const EVENT_EVENTS_GAP = 'whodunit.events.gap';

export const METRIC_PROCESS_TERMINATIONS = 'whodunit.process.terminations';
export const METRIC_PROCESS_EXITS = 'whodunit.process.exits';
export const METRIC_EVENTS_LOST = 'whodunit.events.lost';
export const METRIC_ORIGIN_DISPLACED = 'whodunit.origin.displaced';
export const METRIC_FACTS_LOST = 'whodunit.facts.lost';
export const METRIC_QUEUE_SIZE = 'whodunit.queue.size';
export const METRIC_QUEUE_BYTES = 'whodunit.queue.bytes';
export const METRIC_QUEUE_OLDEST_AGE = 'whodunit.queue.oldest_age';
export const METRIC_DELIVERY_DURATION = 'whodunit.delivery.duration';

export const LOG_RECORD_UID = 'log.record.uid';
export const ERROR_TYPE = 'error.type';
export const EXCEPTION_TYPE = 'exception.type';
export const EXCEPTION_MESSAGE = 'exception.message';
export const EXCEPTION_STACKTRACE = 'exception.stacktrace';
export const THREAD_ID = 'thread.id';
export const THREAD_NAME = 'thread.name';
export const HTTP_REQUEST_METHOD = 'http.request.method';
export const HTTP_ROUTE = 'http.route';
export const RPC_METHOD = 'rpc.method';
export const MESSAGING_OPERATION_NAME = 'messaging.operation.name';
export const OTEL_METRIC_OVERFLOW = 'otel.metric.overflow';
export const SERVICE_NAME = 'service.name';
export const SERVICE_NAMESPACE = 'service.namespace';
export const SERVICE_VERSION = 'service.version';
export const SERVICE_INSTANCE_ID = 'service.instance.id';
export const DEPLOYMENT_ENVIRONMENT_NAME = 'deployment.environment.name';
export const PROCESS_PID = 'process.pid';
export const PROCESS_VPID = 'process.vpid';
export const PROCESS_PARENT_PID = 'process.parent_pid';
export const PROCESS_CREATION_TIME = 'process.creation.time';
export const PROCESS_EXIT_TIME = 'process.exit.time';
export const PROCESS_EXIT_CODE = 'process.exit.code';
export const PROCESS_EXECUTABLE_NAME = 'process.executable.name';
export const PROCESS_EXECUTABLE_PATH = 'process.executable.path';
export const PROCESS_EXECUTABLE_BUILD_ID_GNU = 'process.executable.build_id.gnu';
export const PROCESS_EXECUTABLE_BUILD_ID_HTLHASH = 'process.executable.build_id.htlhash';
export const PROCESS_EXECUTABLE_BUILD_ID_GO = 'process.executable.build_id.go';
export const PROCESS_COMMAND = 'process.command';
export const PROCESS_COMMAND_ARGS = 'process.command_args';
export const PROCESS_TITLE = 'process.title';
export const PROCESS_ARGS_COUNT = 'process.args_count';
export const PROCESS_RUNTIME_NAME = 'process.runtime.name';
export const PROCESS_OWNER = 'process.owner';
export const PROCESS_REAL_USER_ID = 'process.real_user.id';
export const PROCESS_REAL_USER_NAME = 'process.real_user.name';
export const PROCESS_USER_ID = 'process.user.id';
export const PROCESS_LINUX_CGROUP = 'process.linux.cgroup';
export const CONTAINER_ID = 'container.id';
export const CONTAINER_NAME = 'container.name';
export const CONTAINER_IMAGE_NAME = 'container.image.name';
export const CONTAINER_IMAGE_TAGS = 'container.image.tags';
/** A prefix: a dot and the rest of the key follow. */
export const CONTAINER_LABEL = 'container.label';
export const K8S_CLUSTER_NAME = 'k8s.cluster.name';
export const K8S_POD_UID = 'k8s.pod.uid';
export const HOST_ID = 'host.id';
export const HOST_NAME = 'host.name';
export const HOST_ARCH = 'host.arch';
export const OS_TYPE = 'os.type';
export const OS_VERSION = 'os.version';
export const TELEMETRY_DISTRO_NAME = 'telemetry.distro.name';
export const TELEMETRY_DISTRO_VERSION = 'telemetry.distro.version';
export const CAUSE = 'whodunit.cause';
export const PROCESS_NAME = 'whodunit.process.name';
export const PROCESS_ANCESTOR_COMMAND_LINES = 'whodunit.process.ancestor_command_lines';
export const PROCESS_UPTIME = 'whodunit.process.uptime';
export const PROCESS_LOGIN_USER_ID = 'whodunit.process.login_user.id';
export const PROCESS_LOGIN_USER_NAME = 'whodunit.process.login_user.name';
export const PROCESS_FOREIGN_ROOT = 'whodunit.process.foreign_root';
export const PROCESS_EXECUTABLE_STATE = 'whodunit.process.executable.state';
export const CORE_DUMPED = 'whodunit.core_dumped';
export const CORE_DUMP_LOCATION = 'whodunit.core_dump.location';
export const EVIDENCE = 'whodunit.evidence';
export const RECENT_TERMINATIONS = 'whodunit.recent_terminations';
export const EXIT_MEANING = 'whodunit.exit.meaning';
export const TERMINATION_UID = 'whodunit.termination.uid';
export const RESTART_PID = 'whodunit.restart.pid';
export const RESTART_TIME = 'whodunit.restart.time';
export const RESTART_DELAY = 'whodunit.restart.delay';
export const RESTART_ANCESTORS = 'whodunit.restart.ancestors';
export const SIGNAL_NUMBER = 'whodunit.signal.number';
export const SIGNAL_NAME = 'whodunit.signal.name';
export const SIGNAL_MEANING = 'whodunit.signal.meaning';
export const SIGNAL_CODE = 'whodunit.signal.code';
export const SIGNAL_DISPOSITION = 'whodunit.signal.disposition';
export const SIGNAL_TIME_TO_EXIT = 'whodunit.signal.time_to_exit';
export const SENDER_KIND = 'whodunit.sender.kind';
export const TRIGGER_PID = 'whodunit.trigger.pid';
export const TRIGGER_EXECUTABLE_NAME = 'whodunit.trigger.executable.name';
export const TRIGGER_COMMAND_LINE = 'whodunit.trigger.command_line';
export const TRIGGER_USER_ID = 'whodunit.trigger.user.id';
export const TRIGGER_USER_NAME = 'whodunit.trigger.user.name';
export const TRIGGER_CLIENT_ADDRESS = 'whodunit.trigger.client.address';
export const TRIGGER_TERMINATION_UID = 'whodunit.trigger.termination.uid';
export const READER_PID = 'whodunit.reader.pid';
export const READER_NAME = 'whodunit.reader.name';
export const READER_TERMINATION_UID = 'whodunit.reader.termination.uid';
export const STOP_SIGNAL_NAME = 'whodunit.stop.signal.name';
export const STOP_TIME = 'whodunit.stop.time';
export const STOP_DURATION = 'whodunit.stop.duration';
export const STOP_CONTINUED = 'whodunit.stop.continued';
export const STOP_SENDER_KIND = 'whodunit.stop.sender.kind';
export const STOP_SENDER_PID = 'whodunit.stop.sender.pid';
export const STOP_SENDER_NAME = 'whodunit.stop.sender.name';
export const STOP_SENDER_COMMAND_LINE = 'whodunit.stop.sender.command_line';
export const STOP_SENDER_USER_ID = 'whodunit.stop.sender.user.id';
export const STOP_SENDER_USER_NAME = 'whodunit.stop.sender.user.name';
export const SENDER_PID = 'whodunit.sender.pid';
export const SENDER_NAME = 'whodunit.sender.name';
export const SENDER_TITLE = 'whodunit.sender.title';
export const SENDER_ROLE = 'whodunit.sender.role';
export const SENDER_EXECUTABLE_NAME = 'whodunit.sender.executable.name';
export const SENDER_EXECUTABLE_PATH = 'whodunit.sender.executable.path';
export const SENDER_COMMAND_LINE = 'whodunit.sender.command_line';
export const SENDER_USER_ID = 'whodunit.sender.user.id';
export const SENDER_USER_NAME = 'whodunit.sender.user.name';
export const SENDER_REAL_USER_ID = 'whodunit.sender.real_user.id';
export const SENDER_REAL_USER_NAME = 'whodunit.sender.real_user.name';
export const SENDER_LOGIN_USER_ID = 'whodunit.sender.login_user.id';
export const SENDER_LOGIN_USER_NAME = 'whodunit.sender.login_user.name';
export const SENDER_SUDO_USER = 'whodunit.sender.sudo_user';
export const SENDER_CLIENT_ADDRESS = 'whodunit.sender.client.address';
export const SENDER_FOREIGN_ROOT = 'whodunit.sender.foreign_root';
export const SENDER_EXECUTABLE_STATE = 'whodunit.sender.executable.state';
export const SENDER_CONTAINER_NAME = 'whodunit.sender.container.name';
export const SENDER_CONTAINER_HOSTNAME = 'whodunit.sender.container.hostname';
export const SENDER_CONTAINER_ID = 'whodunit.sender.container.id';
export const SENDER_K8S_POD_UID = 'whodunit.sender.k8s.pod.uid';
export const SENDER_SYSTEMD_UNIT = 'whodunit.sender.systemd.unit';
export const SENDER_SYSTEMD_USER_UNIT = 'whodunit.sender.systemd.user_unit';
export const CONTAINER_HOSTNAME = 'whodunit.container.hostname';
export const SENDER_ANCESTORS = 'whodunit.sender.ancestors';
export const SENDER_ANCESTOR_COMMAND_LINES = 'whodunit.sender.ancestor_command_lines';
export const REQUESTER_BASIS = 'whodunit.requester.basis';
export const REQUESTER_PID = 'whodunit.requester.pid';
export const REQUESTER_NAME = 'whodunit.requester.name';
export const REQUESTER_COMMAND_LINE = 'whodunit.requester.command_line';
export const REQUESTER_USER_ID = 'whodunit.requester.user.id';
export const REQUESTER_USER_NAME = 'whodunit.requester.user.name';
export const REQUESTER_LOGIN_USER_ID = 'whodunit.requester.login_user.id';
export const REQUESTER_LOGIN_USER_NAME = 'whodunit.requester.login_user.name';
export const REQUESTER_SUDO_USER = 'whodunit.requester.sudo_user';
export const REQUESTER_CLIENT_ADDRESS = 'whodunit.requester.client.address';
export const REQUESTER_CONTAINER_ID = 'whodunit.requester.container.id';
export const REQUESTER_SYSTEMD_UNIT = 'whodunit.requester.systemd.unit';
export const REQUESTER_ANCESTORS = 'whodunit.requester.ancestors';
export const REQUESTER_ANCESTOR_COMMAND_LINES = 'whodunit.requester.ancestor_command_lines';
export const SYSTEMD_REASON = 'whodunit.systemd.reason';
export const MACHINE_MEMORY_TOTAL = 'whodunit.machine.memory.total';
export const MACHINE_MEMORY_AVAILABLE = 'whodunit.machine.memory.available';
export const MACHINE_SWAP_TOTAL = 'whodunit.machine.swap.total';
export const MACHINE_SWAP_FREE = 'whodunit.machine.swap.free';
export const FAULT_ADDRESS = 'whodunit.fault.address';
export const FAULT_INSTRUCTION_POINTER = 'whodunit.fault.instruction_pointer';
export const FAULT_SYSCALL = 'whodunit.fault.syscall';
export const CRASH_REASON = 'whodunit.crash.reason';
export const CRASH_EXPLANATION = 'whodunit.crash.explanation';
export const CRASH_PLACE = 'whodunit.crash.place';
export const CRASH_FINGERPRINT = 'whodunit.crash.fingerprint';
export const CRASH_COUNT = 'whodunit.crash.count';
export const CRASH_FIRST_SEEN = 'whodunit.crash.first_seen';
export const CRASH_STACK = 'whodunit.crash.stack';
export const CRASH_FRAMES = 'whodunit.crash.frames';
export const OOM_SCOPE = 'whodunit.oom.scope';
export const OOM_GROUP = 'whodunit.oom.group';
export const OOM_CGROUP = 'whodunit.oom.cgroup';
export const OOM_LIMIT = 'whodunit.oom.limit';
export const OOM_ANON_RSS = 'whodunit.oom.anon_rss';
export const OOM_FILE_RSS = 'whodunit.oom.file_rss';
export const OOM_SHMEM_RSS = 'whodunit.oom.shmem_rss';
export const OOM_TOTAL_VM = 'whodunit.oom.total_vm';
export const OOM_SCORE_ADJ = 'whodunit.oom.score_adj';
export const OOM_INIT_LIVES = 'whodunit.oom.init_lives';
export const OOM_OWN_LIMIT = 'whodunit.oom.own_limit';
export const OOM_CONSUMERS = 'whodunit.oom.consumers';
export const OOM_CONSUMERS_COMPLETE = 'whodunit.oom.consumers_complete';
export const OOM_CGROUP_USAGE = 'whodunit.oom.cgroup.usage';
export const OOM_CGROUP_PEAK = 'whodunit.oom.cgroup.peak';
export const OOM_CGROUP_ANON = 'whodunit.oom.cgroup.anon';
export const OOM_CGROUP_FILE = 'whodunit.oom.cgroup.file';
export const OOM_CGROUP_SHMEM = 'whodunit.oom.cgroup.shmem';
export const OOM_CGROUP_KERNEL = 'whodunit.oom.cgroup.kernel';
export const OOM_EVENTS_HIGH = 'whodunit.oom.events.high';
export const OOM_EVENTS_MAX = 'whodunit.oom.events.max';
export const OOM_EVENTS_OOM = 'whodunit.oom.events.oom';
export const OOM_EVENTS_OOM_KILL = 'whodunit.oom.events.oom_kill';
export const OOM_PRESSURE_SOME = 'whodunit.oom.pressure.some';
export const OOM_PRESSURE_FULL = 'whodunit.oom.pressure.full';
export const SYSTEMD_UNIT = 'whodunit.systemd.unit';
export const SYSTEMD_USER_UNIT = 'whodunit.systemd.user_unit';
export const IDENTITY_SOURCE = 'whodunit.identity.source';
export const IDENTITY_CLAIMED = 'whodunit.identity.claimed';
export const IDENTITY_DROPPED = 'whodunit.identity.dropped';
/** A prefix: a dot and the rest of the key follow. */
export const THREAD_CONTEXT = 'whodunit.thread_context';
export const INCIDENT_ID = 'whodunit.incident.id';
export const INCIDENT_ACT = 'whodunit.incident.act';
export const INCIDENT_TOTAL = 'whodunit.incident.total';
export const INCIDENT_DURATION = 'whodunit.incident.duration';
export const INCIDENT_MEMBERS = 'whodunit.incident.members';
export const INCIDENT_OUTLIERS = 'whodunit.incident.outliers';
export const AGGREGATED_COUNT = 'whodunit.aggregated.count';
/** A prefix: a dot and the rest of the key follow. */
export const AGGREGATED_BY_CAUSE = 'whodunit.aggregated.by_cause';
export const AGGREGATED_SENDERS = 'whodunit.aggregated.senders';
export const AGGREGATED_FIRST_TIME = 'whodunit.aggregated.first_time';
export const AGGREGATED_LAST_TIME = 'whodunit.aggregated.last_time';
export const AGGREGATED_COMMAND = 'whodunit.aggregated.command';
export const AGGREGATED_CGROUP = 'whodunit.aggregated.cgroup';
export const ORIGIN = 'whodunit.origin';
export const LOOP_ID = 'whodunit.loop.id';
export const LOOP_STATE = 'whodunit.loop.state';
export const LOOP_END = 'whodunit.loop.end';
export const LOOP_COUNT = 'whodunit.loop.count';
export const LOOP_OUTCOMES = 'whodunit.loop.outcomes';
export const LOOP_FIRST_TIME = 'whodunit.loop.first_time';
export const LOOP_DELAY = 'whodunit.loop.delay';
export const LOOP_RESTARTER = 'whodunit.loop.restarter';
export const GAP_START_TIME = 'whodunit.gap.start_time';
export const GAP_END_TIME = 'whodunit.gap.end_time';
export const OUTCOME = 'whodunit.outcome';
export const STAGE = 'whodunit.stage';
export const LIMIT = 'whodunit.limit';

export const CAUSE_VALUES = [
  'exit',
  'graceful_stop',
  'fault',
  'abort',
  'self_signal',
  'killed',
  'oom_kill',
  'seccomp',
  'resource_limit',
  'broken_pipe',
  'hangup',
  'terminal',
  'timer',
  'parent_death',
  'namespace_exit',
  'kernel',
  'unknown',
] as const;
export type CauseValue = (typeof CAUSE_VALUES)[number];

export const PROCESS_FOREIGN_ROOT_VALUES = ['mount_namespace', 'chroot', 'unmounted'] as const;
export type ProcessForeignRootValue = (typeof PROCESS_FOREIGN_ROOT_VALUES)[number];

export const PROCESS_EXECUTABLE_STATE_VALUES = ['deleted', 'memfd'] as const;
export type ProcessExecutableStateValue = (typeof PROCESS_EXECUTABLE_STATE_VALUES)[number];

export const SIGNAL_DISPOSITION_VALUES = ['default', 'handled'] as const;
export type SignalDispositionValue = (typeof SIGNAL_DISPOSITION_VALUES)[number];

export const SENDER_KIND_VALUES = ['process', 'self', 'kernel', 'unknown'] as const;
export type SenderKindValue = (typeof SENDER_KIND_VALUES)[number];

export const SENDER_ROLE_VALUES = [
  'service_manager',
  'container_runtime',
  'supervisor',
  'shell',
  'timeout',
  'oom_daemon',
  'watchdog',
  'application_server',
  'ci_runner',
  'coding_agent',
] as const;
export type SenderRoleValue = (typeof SENDER_ROLE_VALUES)[number];

export const SENDER_FOREIGN_ROOT_VALUES = ['mount_namespace', 'chroot', 'unmounted'] as const;
export type SenderForeignRootValue = (typeof SENDER_FOREIGN_ROOT_VALUES)[number];

export const SENDER_EXECUTABLE_STATE_VALUES = ['deleted', 'memfd'] as const;
export type SenderExecutableStateValue = (typeof SENDER_EXECUTABLE_STATE_VALUES)[number];

export const REQUESTER_BASIS_VALUES = ['target', 'ancestor', 'time'] as const;
export type RequesterBasisValue = (typeof REQUESTER_BASIS_VALUES)[number];

export const CRASH_REASON_VALUES = [
  'null_dereference',
  'null_call',
  'wild_pointer',
  'unmapped_memory',
  'wild_jump',
  'execute_data',
  'stack_overflow',
  'write_protected',
  'no_access',
  'protection_key',
  'memory_tag',
  'shadow_stack',
  'privileged_instruction',
  'protection_fault',
  'misaligned',
  'file_truncated',
  'file_unavailable',
  'huge_page',
  'hardware_error',
  'trap',
  'unsupported_instruction',
  'illegal_instruction',
  'pointer_authentication',
  'branch_target',
  'integer_division',
  'floating_point',
  'forbidden_call',
  'assertion',
  'failed_check',
  'heap_corruption',
  'stack_smashing',
  'buffer_overflow',
  'pure_virtual_call',
  'uncaught_exception',
  'panic',
  'runtime_error',
  'sanitizer',
  'out_of_memory',
  'abort_call',
] as const;
export type CrashReasonValue = (typeof CRASH_REASON_VALUES)[number];

export const CRASH_STACK_VALUES = ['unwound', 'repeated', 'no_slot', 'busy', 'lost', 'failed', 'timeout'] as const;
export type CrashStackValue = (typeof CRASH_STACK_VALUES)[number];

export const OOM_SCOPE_VALUES = ['host', 'cgroup', 'unknown'] as const;
export type OomScopeValue = (typeof OOM_SCOPE_VALUES)[number];

export const IDENTITY_SOURCE_VALUES = [
  'process_context',
  'environment',
  'systemd_unit',
  'user_unit',
  'container',
  'compose',
  'container_hostname',
  'executable',
] as const;
export type IdentitySourceValue = (typeof IDENTITY_SOURCE_VALUES)[number];

export const INCIDENT_ACT_VALUES = [
  'signal',
  'cgroup_kill',
  'namespace_exit',
  'terminal',
  'hangup',
  'crash',
  'exit',
] as const;
export type IncidentActValue = (typeof INCIDENT_ACT_VALUES)[number];

export const LOOP_STATE_VALUES = ['began', 'changed', 'continues', 'ended'] as const;
export type LoopStateValue = (typeof LOOP_STATE_VALUES)[number];

export const LOOP_END_VALUES = ['not_restarted', 'recovered', 'quiet', 'forgotten'] as const;
export type LoopEndValue = (typeof LOOP_END_VALUES)[number];

export const OUTCOME_VALUES = ['normal', 'filtered', 'aggregated', 'reported'] as const;
export type OutcomeValue = (typeof OUTCOME_VALUES)[number];

export const STAGE_VALUES = ['kernel', 'loader', 'queue', 'export'] as const;
export type StageValue = (typeof STAGE_VALUES)[number];

export const LIMIT_VALUES = [
  'queue_bytes',
  'incidents',
  'metric_services',
  'metric_series',
  'open_minutes',
  'recent_services',
  'loops',
  'requests',
  'restarts',
  'spans',
  'stdout_bytes',
] as const;
export type LimitValue = (typeof LIMIT_VALUES)[number];
