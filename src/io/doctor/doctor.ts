// SPDX-License-Identifier: Apache-2.0
// `whodunit doctor`: examines every part between the kernel and the collector and says what is wrong and what to do. It never
// acknowledges, so it can run beside the service. test-termination.ts follows a termination.
import { type HealthAddress, healthUrl } from '../../config/health-address.ts';
import { diagnose, explainFailure, explainRefusal, type SignalName } from '../../core/delivery/diagnose.ts';
import type { Outcome } from '../../core/delivery/outcome.ts';
import { type Target, withoutCredentials } from '../../core/delivery/target.ts';
import { lossInTheRing, missingProbe } from '../../core/status.ts';
import { gapSentence } from '../../core/telemetry/gap.ts';
import { isoTime } from '../../core/time.ts';
import type { Hello, LoaderStatus } from '../../core/wire/event.ts';
import { size } from '../../core/words/units.ts';
import { visible } from '../../core/words/visible.ts';
import { answered, fetchStatus, type ServiceExport, type ServiceStatus } from '../health-client.ts';
import { peek, socketsElsewhere } from '../loader/watcher.ts';
import { probeEndpoint } from '../otlp/endpoint.ts';
import type { Finding } from './finding.ts';
import { machineFindings } from './machine.ts';
import { inTime } from './poll.ts';
import { refusalOf } from './send-directly.ts';

const ANSWER_TIMEOUT_MS = 5_000;

export interface DoctorInput {
  readonly socketPath: string;
  readonly pinDir: string;
  readonly logs: Target | null;
  readonly metrics: Target | null;
  readonly traces: Target | null;
  /** Where /metrics is served; null: nowhere. */
  readonly page: HealthAddress | null;
  readonly health: HealthAddress | null;
  /** Sends a request without records and returns the answer; null: logs are not sent. */
  readonly askLogs: (() => Promise<Outcome>) | null;
}

/** Returns all findings, from the kernel to the collector. Never throws. */
export async function examine(input: DoctorInput): Promise<Finding[]> {
  const findings: Finding[] = machineFindings(input.pinDir);
  const loader = await peek(input.socketPath);
  if (loader.error !== null)
    findings.push({ what: 'socket', level: 'bad', text: noLoader(input.socketPath, loader.error) });
  else findings.push({ what: 'socket', level: 'ok', text: input.socketPath });
  if (loader.hello !== null) findings.push(...helloFindings(loader.hello));
  if (loader.status !== null) findings.push(...statusFindings(loader.status));
  const status = input.health && answered(await fetchStatus(input.health));
  const page = status === null ? input.page : status.export.prometheus;
  for (const signal of ['logs', 'metrics', 'traces'] as const) {
    const there = status?.export[signal] ?? null;
    const isScraped = signal === 'metrics' && page !== null && (there?.target ?? input.metrics) === null;
    if (!isScraped) findings.push(await exportFinding(signal, input[signal], there, input.askLogs));
  }
  if (page !== null) findings.push(pageFinding(page, status));
  findings.push(
    await healthFinding(input.health),
    ...queueFindings(status),
    ...stdoutFindings(status),
    ...muteFindings(status),
  );
  findings.push(...containerFindings(status));
  return findings;
}

/** Returns why there is no loader at the path, and the sockets of other loaders on this machine. */
export function noLoader(path: string, error: string): string {
  const others = socketsElsewhere(path);
  return others.length === 0 ? error : `${error} Set WHODUNIT_SOCKET to where a loader listens: ${others.join(', ')}.`;
}

/** Returns the findings as a table. */
export function renderFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ what }) => what.length));
  const marks = { ok: 'ok  ', note: 'note', bad: 'BAD ' } as const;
  return findings.map(({ what, level, text }) => `${marks[level]}  ${what.padEnd(width)}  ${text}\n`).join('');
}

function helloFindings(hello: Hello): Finding[] {
  const findings: Finding[] = [
    { what: 'loader', level: 'ok', text: `${hello.loader_version}, kernel ${hello.kernel_release}` },
    hello.consumer_connected
      ? { what: 'consumer', level: 'ok', text: 'a service reads the events' }
      : {
          what: 'consumer',
          level: 'note',
          text: 'no service reads the events; they wait in the ring buffer. Start one: whodunit run',
        },
  ];
  const missing = missingProbe(hello);
  for (const { name, attached, note } of hello.probes) {
    const level = attached ? 'ok' : missing?.name === name ? 'bad' : 'note';
    findings.push({ what: `probe ${name}`, level, text: note ?? (attached ? 'attached' : 'not attached') });
  }
  if (missing !== null && !findings.some(({ level }) => level === 'bad'))
    findings.push({ what: 'probes', level: 'bad', text: missing.text });
  return [...findings, ...stackFindings(hello), ...gapFindings(hello)];
}

/** Returns what was not watched before this loader; nothing if there was no such time. */
function gapFindings({ gap, clock_offset_ns: offsetNs }: Hello): Finding[] {
  if (gap === null) return [];
  const until = isoTime(gap.to_ns + offsetNs);
  const remedy =
    'These probes end with the loader; in a unit of systemd with FileDescriptorStoreMax=16, they stay while it is restarted.';
  return [{ what: 'gap', level: 'note', text: `until ${until}: ${gapSentence(gap.to_ns - gap.from_ns)} ${remedy}` }];
}

/** Returns findings about the stacks of crashes; none if the loader does not say. */
function stackFindings({ stacks }: Hello): Finding[] {
  if (stacks === null) return [];
  const { copied, missing } = stacks;
  const what = 'stacks';
  const without: Finding[] = missing.map((text) => ({ what, level: 'note', text }));
  if (copied === 'off') return without;
  return [{ what, level: 'ok', text: `of crashes: copied ${copied}` }, ...without];
}

function statusFindings(status: LoaderStatus): Finding[] {
  const fill = status.ring_bytes === 0 ? 0 : Math.round((100 * status.ring_used_bytes) / status.ring_bytes);
  const lost = status.lost.ring_full + status.lost.missed + status.lost.undecodable;
  const loss = lossInTheRing(status);
  return [
    {
      what: 'ring',
      level: fill > 80 ? 'bad' : 'ok',
      text: `${size(status.ring_used_bytes)} of ${size(status.ring_bytes)} used (${fill} %)${fill > 80 ? ': the service is stopped, too slow, or cannot write its disk queue' : ''}`,
    },
    {
      what: 'counted',
      level: lost > 0n ? 'note' : 'ok',
      text: `${status.deaths} abnormal terminations, ${status.exits_normal} normal exits, ${lost} lost, ${status.lost.memory_full} facts lost (map full)`,
    },
    ...(loss === null ? [] : [{ what: 'lost', level: 'note', text: loss } as const]),
  ];
}

const ITEMS = { logs: 'records', metrics: 'data points', traces: 'spans' } as const;

/** Checks the target of one signal: that of the running service, or else that of this environment's settings. */
async function exportFinding(
  signal: SignalName,
  here: Target | null,
  there: ServiceExport | null,
  askLogs: DoctorInput['askLogs'],
): Promise<Finding> {
  const target = there?.target ?? here;
  if (target === null) {
    const variable = signal === 'traces' ? 'OTEL_TRACES_EXPORTER=otlp' : 'OTEL_EXPORTER_OTLP_ENDPOINT';
    return { what: signal, level: 'note', text: `not sent: set ${variable} to send to a collector` };
  }
  const text = `${target.protocol} to ${withoutCredentials(target.endpoint)}`;
  const probed = await probeEndpoint(target.endpoint, here?.certificate ?? null);
  const fault = probed === null ? null : diagnose(target, probed);
  if (fault !== null) return { what: signal, level: 'bad', text: `${text}: ${fault.step}: ${fault.text}` };
  if (there !== null) return { what: signal, ...lastResult(signal, target, there, text) };
  const refusal = signal === 'logs' && askLogs !== null ? refusalOf(target, await inTime(askLogs())) : null;
  if (refusal === null) return { what: signal, level: 'ok', text };
  return { what: signal, level: 'bad', text: `${text}: ${refusal.text}` };
}

/** Returns the result of the running service's last export. */
function lastResult(
  signal: SignalName,
  target: Target,
  { last_error, last_failure, last_success, rejected }: ServiceExport,
  text: string,
): Omit<Finding, 'what'> {
  const lost = rejected === 0 ? '' : `, ${rejected} ${ITEMS[signal]} rejected`;
  if (last_error !== null) {
    const { text: why } =
      last_failure === null ? explainRefusal(target, last_error) : explainFailure(target, last_failure, signal);
    return { level: 'bad', text: `${text}${lost}: ${why}` };
  }
  const last = last_success === null ? 'nothing sent yet' : `last accepted ${last_success}`;
  return { level: rejected === 0 ? 'ok' : 'note', text: `${text}, ${last}${lost}` };
}

function pageFinding(address: HealthAddress, status: ServiceStatus | null): Finding {
  const [what, url] = ['/metrics', healthUrl(address, '/metrics')];
  if (status === null) return { what, level: 'ok', text: url };
  const last = status.export.prometheus?.last_scrape ?? null;
  return last === null
    ? { what, level: 'note', text: `${url}: not asked for yet. Add it to the scrape_configs of Prometheus` }
    : { what, level: 'ok', text: `${url}, last asked for ${last}` };
}

async function healthFinding(address: DoctorInput['health']): Promise<Finding> {
  if (address === null) return { what: 'health', level: 'note', text: 'off' };
  const url = healthUrl(address, '/readyz');
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    const body = (await response.text()).trim().slice(0, 200);
    return {
      what: 'health',
      level: response.status === 200 ? 'ok' : 'bad',
      text: `${url}: ${response.status} ${body}`,
    };
  } catch {
    return { what: 'health', level: 'note', text: `${url}: no answer. Start the service: whodunit run` };
  }
}

/** Returns a finding about the records that the service prints. */
function muteFindings(status: ServiceStatus | null): Finding[] {
  return (status?.mutes ?? []).map(({ service, until, count }) => ({
    what: 'muted',
    level: 'note',
    text: `${visible(service)} until ${until}; ${count} terminations were only counted. whodunit mute --remove ends it`,
  }));
}

function stdoutFindings(status: ServiceStatus | null): Finding[] {
  if (status === null || status.stdout === null) return [];
  const { printed, skipped, waiting_bytes, error } = status.stdout;
  if (error !== null) return [{ what: 'stdout', level: 'bad', text: error }];
  const parts = [
    `${printed} records printed`,
    skipped === 0 ? null : `${skipped} only sent, because its reader was too slow`,
    waiting_bytes === 0 ? null : `${size(waiting_bytes)} wait for its reader`,
  ];
  const text = parts.filter((part) => part !== null).join(', ');
  return [{ what: 'stdout', level: skipped + waiting_bytes > 0 ? 'note' : 'ok', text }];
}

/** Returns a finding about the names of containers. Records are complete without them. */
function containerFindings(status: ServiceStatus | null): Finding[] {
  if (status === null || status.containers === null) return [];
  const { path, connected, known, error } = status.containers;
  if (error !== null) return [{ what: 'containers', level: 'note', text: error }];
  const text = connected ? `${known} are named by ${path}` : `not yet connected to ${path}`;
  return [{ what: 'containers', level: connected ? 'ok' : 'note', text }];
}

/** Returns findings about the service's queue and about rejected records. */
function queueFindings(status: ServiceStatus | null): Finding[] {
  if (status === null || status.queue === null) return [];
  const { queue } = status;
  const { logs } = status.export;
  const waiting = `${queue.size} records wait (${size(queue.bytes)} of ${size(queue.bytes_max)}) in ${queue.path}`;
  const problems = [
    queue.error,
    queue.size > 0 && logs.last_error !== null ? `not accepted: ${logs.last_error}` : null,
  ];
  const problem = problems.filter((text) => text !== null).join('; ');
  const findings: Finding[] = [
    {
      what: 'queue',
      level: problem === '' ? 'ok' : 'bad',
      text: [waiting, problem].filter((text) => text !== '').join('; '),
    },
  ];
  const lost = queue.evicted + queue.damaged;
  if (lost > 0) {
    const text = `${queue.evicted} records were dropped because the queue was full, ${queue.damaged} were lost in a damaged file`;
    findings.push({ what: 'lost', level: 'note', text });
  }
  for (const { since, attempts, others_accepted, reason, body } of logs.refused_alone.records) {
    const text = `waits since ${since}, sent ${attempts} times alone (${reason}) while ${others_accepted} requests with other records were accepted: ${body ?? 'a record'}`;
    findings.push({ what: 'refused', level: 'note', text });
  }
  if (queue.rejected.count > 0) {
    const text = `the collector rejected ${queue.rejected.count} records permanently`;
    findings.push({ what: 'rejected', level: 'note', text });
    for (const { time, count, reason, body } of queue.rejected.last)
      findings.push({ what: 'rejected', level: 'note', text: `${time} ${reason}: ${body ?? `${count} records`}` });
  }
  return findings;
}
