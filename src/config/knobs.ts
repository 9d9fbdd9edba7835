// SPDX-License-Identifier: Apache-2.0
// Every environment variable that whodunit reads, with what stands there if it is not set. config.ts reads no other, and
// docs/configuration.md is made of this table.

export interface Knob {
  /** Who reads it. */
  readonly reader: 'service' | 'loader' | 'both';
  /** As it would be written; empty: nothing, or what `what` says. */
  readonly fallback: string;
  readonly allowed: string;
  readonly what: string;
}

export const KNOBS = {
  WHODUNIT_SOCKET: {
    reader: 'both',
    fallback: '/run/whodunit/events.sock',
    allowed: 'a path',
    what: 'The Unix socket between loader and service.',
  },
  WHODUNIT_SOCKET_GROUP: {
    reader: 'loader',
    fallback: 'root',
    allowed: "a group's name or number",
    what: 'Who may connect to the socket, besides root: the group of the user that the service runs as.',
  },
  WHODUNIT_PIN_DIR: {
    reader: 'both',
    fallback: '/sys/fs/bpf/whodunit',
    allowed: 'a directory on a BPF file system',
    what: 'Where the loader pins probes and maps, so that they go on without it. The service only looks at it, for `doctor`.',
  },
  WHODUNIT_RING_BYTES: {
    reader: 'loader',
    fallback: '8388608',
    allowed: 'a power of two, in bytes',
    what: 'Size of the ring buffer, some 17,000 deaths. It is taken when the probes are first pinned.',
  },
  WHODUNIT_SCOPE: {
    reader: 'loader',
    fallback: 'host',
    allowed: '`host`, or `/PATH` of a cgroup, or `pod:UID` of a Kubernetes pod',
    what: 'Whose deaths are watched: of the host, or of that subtree of cgroups alone. Others are not counted at all.',
  },
  WHODUNIT_THREAD_CONTEXT: {
    reader: 'loader',
    fallback: '0',
    allowed: '`1`, `0`',
    what: '`1`: a record carries the span that was open in the thread that brought the death, where the process publishes it ([OTEP 4947](decisions/0039-span-of-the-triggering-thread.md)), from Linux 6.7 on. It is the loader’s: [where to set it](deployment.md#what-each-privilege-is-for).',
  },
  WHODUNIT_REPORT: {
    reader: 'service',
    fallback: 'default',
    allowed: '`default`, `all`',
    what: 'Which exits with a code that is not 0 get a record: `default`, those of containers, services, named services and processes that lived for more than 10 s; `all`, every one. Other deaths always do.',
  },
  WHODUNIT_CONFIG: {
    reader: 'service',
    fallback: '',
    allowed: 'the path of a YAML file',
    what: 'Rules of your own about what is reported ([example](../otel-config/rules.yaml)). SIGHUP reads it again. `--config` goes before it.',
  },
  WHODUNIT_RECORDS_PER_MINUTE: {
    reader: 'service',
    fallback: '',
    allowed: 'a whole number above 0, `off`',
    what: 'Records of one service in a minute; further deaths of that minute are told in one summary. 10, or `off` with `WHODUNIT_REPORT=all`.',
  },
  WHODUNIT_ARGUMENTS: {
    reader: 'service',
    fallback: 'redacted',
    allowed: '`redacted`, `full`, `off`',
    what: 'What is told of command lines: without their secrets, as they are, or nothing.',
  },
  WHODUNIT_HEALTH_ADDR: {
    reader: 'service',
    fallback: '127.0.0.1:9465',
    allowed: '`host:port`, `[IPv6 address]:port`, `off`',
    what: 'Where `/livez`, `/readyz`, `/status` and `/recent` are served; `doctor` and `rules --dry-run` ask there.',
  },
  WHODUNIT_STATE_DIR: {
    reader: 'service',
    fallback: '/var/lib/whodunit',
    allowed: "a directory of the service's user alone",
    what: 'The disk queue and the counters, where something is sent.',
  },
  WHODUNIT_QUEUE_BYTES: {
    reader: 'service',
    fallback: '256MiB',
    allowed: 'bytes from 4 MiB on, or with `KiB`, `MiB`, `GiB`',
    what: 'What may wait for a collector on disk, some 130,000 records by default; when it is full the oldest go, counted.',
  },
  WHODUNIT_SHUTDOWN_TIMEOUT: {
    reader: 'service',
    fallback: '5000',
    allowed: 'milliseconds above 0',
    what: 'How long the end may take to deliver what waits; the rest stays on disk.',
  },
  OTEL_SDK_DISABLED: {
    reader: 'service',
    fallback: 'false',
    allowed: '`true`, `false`',
    what: '`true`: nothing is sent, and each death is printed.',
  },
  OTEL_LOGS_EXPORTER: {
    reader: 'service',
    fallback: '',
    allowed: '`otlp`, `console`, `none`, or several with commas',
    what: 'Where records go: `otlp` if an endpoint is set, else `console`.',
  },
  OTEL_METRICS_EXPORTER: {
    reader: 'service',
    fallback: '',
    allowed: '`otlp`, `none`',
    what: 'Where counters go: `otlp` if an endpoint is set, else `none`.',
  },
  OTEL_TRACES_EXPORTER: {
    reader: 'service',
    fallback: 'none',
    allowed: '`otlp`, `none`',
    what: '`otlp`: each record also as a span, for backends that take traces alone.',
  },
  OTEL_METRIC_EXPORT_INTERVAL: {
    reader: 'service',
    fallback: '60000',
    allowed: 'milliseconds above 0',
    what: 'How often counters are sent.',
  },
} as const satisfies Record<string, Knob>;
export type KnobName = keyof typeof KNOBS;

/** `OTEL_EXPORTER_OTLP_<name>`, and for each signal `OTEL_EXPORTER_OTLP_<signal>_<name>`, which goes before it. */
export const OTLP_KNOBS = {
  ENDPOINT: {
    fallback: 'http://localhost:4318, with grpc http://localhost:4317',
    allowed: 'a URL; with grpc also `host:port`, which means TLS',
    what: 'Where to send. Over HTTP the general form gets `/v1/logs` and its like appended, the form of a signal is used as it is.',
  },
  PROTOCOL: { fallback: 'http/protobuf', allowed: '`grpc`, `http/protobuf`, `http/json`', what: 'How to send.' },
  HEADERS: {
    fallback: '',
    allowed: '`key=value` with commas, values percent-encoded',
    what: "What the backend asks for, such as its key. Read by OpenTelemetry's exporters.",
  },
  COMPRESSION: { fallback: 'none', allowed: '`gzip`, `none`', what: 'Of the body.' },
  TIMEOUT: { fallback: '10000', allowed: 'milliseconds above 0', what: 'Of one export.' },
  CERTIFICATE: { fallback: '', allowed: 'a PEM file', what: 'The authority to trust, where it is your own.' },
  CLIENT_CERTIFICATE: { fallback: '', allowed: 'a PEM file', what: 'Of whodunit, where the collector asks for one.' },
  CLIENT_KEY: { fallback: '', allowed: 'a PEM file', what: 'Its key.' },
  INSECURE: {
    fallback: 'false',
    allowed: '`true`, `false`',
    what: "With grpc and an endpoint without a scheme: no TLS. Read by OpenTelemetry's exporters.",
  },
} as const satisfies Record<string, Omit<Knob, 'reader'>>;
export type OtlpKnobName = keyof typeof OTLP_KNOBS;
