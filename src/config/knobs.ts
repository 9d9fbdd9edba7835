// SPDX-License-Identifier: Apache-2.0
// Every environment variable that whodunit reads: its kind (what is allowed), its default and its meaning. read.ts and otlp.ts use these
// tables; docs/configuration.md is generated from them. The loader parses its variables in Go; they are listed here for the documentation.
import { HEALTH_ADDRESS } from './health-address.ts';
import {
  BOOLEAN,
  bytesFrom,
  COUNT_OR_OFF,
  history,
  type Kind,
  LOG_LEVEL,
  listOf,
  MILLISECONDS,
  oneOf,
  PORT,
  text,
  UNIX_SOCKET,
} from './kinds.ts';

export interface Knob {
  readonly reader: 'service' | 'loader' | 'both';
  readonly kind: Kind<unknown>;
  /** The default as it would be set; empty: unset. */
  readonly fallback: string;
  /** Another default, and the condition under which it applies. */
  readonly unless?: { readonly when: string; readonly fallback: string };
  /** The meaning, in Markdown. */
  readonly what: string;
}

/** A smaller queue could not hold one batch. */
const QUEUE_BYTES_MIN = 4 * 1024 * 1024;

export const KNOBS = {
  WHODUNIT_SOCKET: {
    reader: 'both',
    kind: text('a path'),
    fallback: '/run/whodunit/events.sock',
    what: 'The Unix socket between loader and service.',
  },
  WHODUNIT_SOCKET_GROUP: {
    reader: 'loader',
    kind: text('the name or number of a group'),
    fallback: 'root',
    what: 'The group that may connect to the socket, besides root. Set it to the group of the user that runs the service.',
  },
  WHODUNIT_SOCKET_USER: {
    reader: 'loader',
    kind: text('the name or number of a user'),
    fallback: 'root',
    what: 'The user that runs the service. Besides root, only this user can acknowledge terminations; other members of the group can read them.',
  },
  WHODUNIT_PIN_DIR: {
    reader: 'both',
    kind: text('a directory on a BPF file system'),
    fallback: '/sys/fs/bpf/whodunit',
    what: 'Where the loader pins probes and maps, so that they keep running without it. The service reads it only for `doctor`.',
  },
  WHODUNIT_RING_BYTES: {
    reader: 'loader',
    kind: text('a power of two, in bytes'),
    fallback: '8388608',
    what: 'Size of the ring buffer; the default holds about 17,000 terminations. A pinned ring buffer keeps its size: to change it, run `whodunit-loader unload` first.',
  },
  WHODUNIT_BTF: {
    reader: 'loader',
    kind: text('the path of a file'),
    fallback: '',
    what: 'The types of exactly this kernel, where it provides none at `/sys/kernel/btf/vmlinux` and more is wanted than [observing it](decisions/0121-a-kernel-without-btf-is-observed.md) finds: BTF, or an ELF file with a section `.BTF`, such as a `vmlinux` after `pahole -J`. Each start lets three processes terminate, and refuses a file by which their records are wrong.',
  },
  WHODUNIT_CALIBRATION: {
    reader: 'loader',
    kind: text('the path of a file'),
    fallback: '/var/lib/whodunit-loader/calibration.json',
    what: 'Where `whodunit-loader calibrate` keeps what it found on a kernel without BTF, and where the loader, which then needs no further privilege, reads it. Each start lets three processes terminate, and does not use a file by which their records are wrong, nor one of another kernel, a damaged one, or one that another user than root may have written.',
  },
  WHODUNIT_SCOPE: {
    reader: 'loader',
    kind: text('`host`, `/PATH` of a cgroup, or `pod:UID` of a Kubernetes pod'),
    fallback: 'host',
    what: 'Which processes are watched: all on the host, or those in one subtree of cgroups. Processes outside the scope are not counted.',
  },
  WHODUNIT_STACK: {
    reader: 'loader',
    kind: oneOf('1', '0'),
    fallback: '1',
    what: '`1`: the stack of a process that crashes is copied and unwound, and the record says where it crashed ([how](decisions/0075-copies-of-crashes.md)). Needs Linux 6.1 on x86-64 or arm64. `0`: nothing of it is copied.',
  },
  WHODUNIT_THREAD_CONTEXT: {
    reader: 'loader',
    kind: oneOf('1', '0'),
    fallback: '0',
    what: '`1`: the record names the span that was active in the thread that triggered the termination, and what that thread was working on (`http.route` and others), if the process publishes it ([OTEP 4947](decisions/0039-span-of-the-triggering-thread.md)). Needs Linux 6.7. Only the loader reads it: [where to set it](deployment.md#what-each-privilege-is-for).',
  },
  WHODUNIT_REPORT: {
    reader: 'service',
    kind: oneOf('default', 'all'),
    fallback: 'default',
    what: '`default`: short-lived unnamed processes (at most 10 s; no container, no systemd service, no service name) are only counted if they exit with an error, stop gracefully, or end by SIGPIPE, SIGINT, SIGHUP or a timer. `all`: every abnormal termination and every graceful stop gets a record.',
  },
  WHODUNIT_CONFIG: {
    reader: 'service',
    kind: text('the path of a YAML file'),
    fallback: '',
    what: 'Your own filter rules ([example](../otel-config/rules.yaml)). SIGHUP reloads the file; if it is invalid, the previous rules stay. The flag `--rules` overrides it.',
  },
  WHODUNIT_RECORDS_PER_MINUTE: {
    reader: 'service',
    kind: COUNT_OR_OFF,
    fallback: '10',
    unless: { when: 'with `WHODUNIT_REPORT=all`', fallback: 'off' },
    what: 'Maximum number of records per minute for each service, user, executable, and unit, container or pod. Further terminations in that minute are aggregated into one summary, and equal ones are [only counted in the kernel](decisions/0065-repeats-are-counted-in-the-kernel.md), as are those that the rules filter by facts alone. `off`: no limit, and each is received.',
  },
  WHODUNIT_ARGUMENTS: {
    reader: 'service',
    kind: oneOf('redacted', 'full', 'off'),
    fallback: 'redacted',
    what: 'How command lines, and what threads publish of their work, are reported: with secrets redacted, in full, or not at all.',
  },
  WHODUNIT_LOGINS: {
    reader: 'service',
    kind: oneOf('on', 'off'),
    fallback: 'on',
    what: 'Whether records say who logged in (`login_user`, `sudo_user`) and from which address. `off`: only the users as which processes ran.',
  },
  WHODUNIT_DOCKER_SOCKET: {
    reader: 'service',
    kind: UNIX_SOCKET,
    fallback: '',
    what: "The socket of Docker or Podman (`/run/podman/podman.sock`), which then name containers: `container.name`, image, project and service of Docker Compose ([how](decisions/0096-containers-by-name.md)). **Who may connect to Docker's socket is root on the machine**: whodunit sends only GET requests, but a taken-over service could send others. A proxy that passes only `GET /events` and `GET /containers/` on a Unix socket is safer ([security.md](security.md#the-socket-of-docker)). Unset: no runtime is asked, and a container's host name stands in for its name.",
  },
  WHODUNIT_HEALTH_ADDR: {
    reader: 'service',
    kind: HEALTH_ADDRESS,
    fallback: '127.0.0.1:9465',
    what: 'Address of the health endpoint: `/livez`, `/readyz`, and for clients on the loopback interface also `/status` and `/recent`, which show command lines: their `Host` must be a loopback name or the one set here. `:port` is every address of the machine, `off` no endpoint. `whodunit doctor` and `whodunit ui` connect to it over loopback.',
  },
  WHODUNIT_STATE_DIR: {
    reader: 'service',
    kind: text('a directory that only the user and the group of the service can read'),
    fallback: '/var/lib/whodunit',
    what: 'Where the history is, and, if logs are sent, the disk queue with the counters.',
  },
  WHODUNIT_HISTORY: {
    reader: 'service',
    kind: history({ ageMs: 14 * 86_400_000, bytes: 64 * 1024 * 1024 }),
    fallback: '14d,64MiB',
    what: 'How long each record stays on this machine, for `whodunit list`, `show` and `ui`, whether it is sent or not: until it is so old or, beyond the size, one of the oldest of the user and unit that hold most. The default holds about 25,000 records. Beside them, in at most 16 MiB, the last 10,000 terminations without a record, for `whodunit filters test`. `off`: none is kept.',
  },
  WHODUNIT_QUEUE_BYTES: {
    reader: 'service',
    kind: bytesFrom(QUEUE_BYTES_MIN),
    fallback: '256MiB',
    what: 'Size of the disk queue; the default holds about 130,000 records. When it is full, the oldest records of the user and unit that hold most of it are dropped and counted as lost.',
  },
  WHODUNIT_SHUTDOWN_TIMEOUT: {
    reader: 'service',
    kind: MILLISECONDS,
    fallback: '5000',
    what: 'How long the service sends queued records, or waits for the reader of stdout, before it exits. Records that are not sent stay on disk for the next start; those that are not printed, in the ring buffer.',
  },
  OTEL_LOG_LEVEL: {
    reader: 'both',
    kind: LOG_LEVEL,
    fallback: 'info',
    what: 'Which of their own log lines service and loader write to stderr: those of this level and above; with `debug`, `verbose` and `all` also what the OpenTelemetry SDK logs. The message with which a program ends is always written. An invalid value is reported, and counts as `info`. The lines have time and level; in the journal, its priorities instead.',
  },
  OTEL_SDK_DISABLED: {
    reader: 'service',
    kind: BOOLEAN,
    fallback: 'false',
    what: '`true`: nothing is sent; every record is printed.',
  },
  OTEL_LOGS_EXPORTER: {
    reader: 'service',
    kind: listOf('otlp', 'console', 'none'),
    fallback: 'console',
    unless: { when: 'if an endpoint is set', fallback: 'otlp' },
    what: "`otlp`: records are sent to the collector. `console`: they are printed on stdout, on a terminal as reports, elsewhere one line for each (`--output`). `none`: neither. With both, the collector's answer counts, and a slow reader of stdout misses records ([why](decisions/0048-printed-before-acknowledged.md)).",
  },
  OTEL_METRICS_EXPORTER: {
    reader: 'service',
    kind: listOf('otlp', 'prometheus', 'none'),
    fallback: 'none',
    unless: { when: 'if an endpoint is set', fallback: 'otlp' },
    what: '`otlp`: metrics are sent to the collector. `prometheus`: the service serves them at `/metrics`, for a Prometheus that scrapes it ([how](alerts.md#prometheus)). `otlp,prometheus`: both.',
  },
  OTEL_EXPORTER_PROMETHEUS_HOST: {
    reader: 'service',
    kind: text('a name or an address of this machine; `0.0.0.0` is every address'),
    fallback: 'localhost',
    what: 'With `OTEL_METRICS_EXPORTER=prometheus`: where `/metrics` is served. A request must name an IP address, `localhost`, the host name of this machine or this name as `Host`, so that no web page can read it.',
  },
  OTEL_EXPORTER_PROMETHEUS_PORT: {
    reader: 'service',
    kind: PORT,
    fallback: '9464',
    what: 'The port of `/metrics`.',
  },
  OTEL_TRACES_EXPORTER: {
    reader: 'service',
    kind: oneOf('otlp', 'none'),
    fallback: 'none',
    what: '`otlp`: records are also sent as spans, so that a termination is visible in its trace (`WHODUNIT_SPANS`).',
  },
  WHODUNIT_SPANS: {
    reader: 'service',
    kind: oneOf('joined', 'all'),
    fallback: 'joined',
    what: 'Which records are also sent as spans, with `OTEL_TRACES_EXPORTER=otlp`. `joined`: those that belong to a trace. `all`: also the others, each as a trace of its own, for backends that accept only traces (Jaeger).',
  },
  OTEL_RESOURCE_ATTRIBUTES: {
    reader: 'service',
    kind: text('`key=value` pairs separated by commas, values percent-encoded'),
    fallback: '',
    what: 'Tags of this host and its fleet, such as `k8s.cluster.name`, `deployment.environment.name` or `cloud.region`: added to each record and metric that has none. Keys that describe a service, process, container or pod are ignored. `host.name` and `host.id` replace those of the machine.',
  },
  OTEL_METRIC_EXPORT_INTERVAL: {
    reader: 'service',
    kind: MILLISECONDS,
    fallback: '60000',
    what: 'How often metrics are sent. With `OTEL_METRICS_EXPORTER=prometheus`: a new series stays at 0 for half of this time, so that each Prometheus that scrapes twice in it sees the 0.',
  },
} as const satisfies Record<string, Knob>;
export type KnobName = keyof typeof KNOBS;

/** `OTEL_EXPORTER_OTLP_<name>`, and for one signal `OTEL_EXPORTER_OTLP_<signal>_<name>`, which overrides it. */
export const OTLP_KNOBS = {
  ENDPOINT: {
    kind: text('a URL such as `http://localhost:4318`; with grpc also `host:port`, which means TLS'),
    fallback: 'http://localhost:4318',
    unless: { when: 'with grpc', fallback: 'http://localhost:4317' },
    what: 'Address of the collector. Over HTTP, `/v1/logs`, `/v1/metrics` or `/v1/traces` is appended to the general variable; the variable for one signal is used as it is.',
  },
  PROTOCOL: {
    kind: oneOf('grpc', 'http/protobuf', 'http/json'),
    fallback: 'http/protobuf',
    what: 'The OTLP transport.',
  },
  HEADERS: {
    kind: text('`key=value` pairs separated by commas, values percent-encoded'),
    fallback: '',
    what: "Headers that the backend requires, such as an API key. Parsed by OpenTelemetry's exporters; whodunit does not check them.",
  },
  COMPRESSION: { kind: oneOf('gzip', 'none'), fallback: 'none', what: 'Compression of request bodies.' },
  TIMEOUT: { kind: MILLISECONDS, fallback: '10000', what: 'Timeout of one export.' },
  CERTIFICATE: {
    kind: text('a PEM file'),
    fallback: '',
    what: 'CA certificate that verifies the collector. Unset: the well-known CAs.',
  },
  CLIENT_CERTIFICATE: {
    kind: text('a PEM file'),
    fallback: '',
    what: 'Client certificate, if the collector requires one.',
  },
  CLIENT_KEY: { kind: text('a PEM file'), fallback: '', what: 'Private key of the client certificate.' },
  INSECURE: {
    kind: BOOLEAN,
    fallback: 'false',
    what: '`true`: no TLS, if the protocol is grpc and the endpoint has no scheme.',
  },
} as const satisfies Record<string, Omit<Knob, 'reader'>>;
export type OtlpKnobName = keyof typeof OTLP_KNOBS;
