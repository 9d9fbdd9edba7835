// SPDX-License-Identifier: Apache-2.0
// OTEL_EXPORTER_OTLP_* → the target of each signal. The official exporters read headers, timeouts, compression and TLS themselves. This
// file only validates them, because the exporters ignore an invalid value with a warning.
import { readFileSync } from 'node:fs';
import type { Protocol, Target } from '../core/delivery/target.ts';
import { configError, type FatalError } from '../core/errors.ts';
import { type Env, get, notAllowed, type Setting } from './env.ts';
import { OTLP_KNOBS, type OtlpKnobName } from './knobs.ts';

export type Signal = 'LOGS' | 'METRICS' | 'TRACES';

/** Whether an endpoint is set for this signal. */
export function hasEndpoint(env: Env, signal: Signal): boolean {
  return specific(env, signal, 'ENDPOINT') !== undefined;
}

/** Returns where this signal is sent. Throws a FatalError. */
export function otlpTarget(env: Env, signal: Signal, protocol: Protocol): Target {
  checkExporterVariables(env, signal);
  const certificate = specific(env, signal, 'CERTIFICATE');
  const target = { protocol, endpoint: endpointOf(env, signal, protocol) };
  return certificate === undefined ? target : { ...target, certificate: readPem(certificate) };
}

/** Returns the variable for one signal, else the general one. */
function specific(env: Env, signal: Signal, name: OtlpKnobName): Setting | undefined {
  return get(env, `OTEL_EXPORTER_OTLP_${signal}_${name}`) ?? get(env, `OTEL_EXPORTER_OTLP_${name}`);
}

/** Throws a FatalError. Called even if the signal is not sent, so that a typo is reported before an endpoint is set. */
export function protocolOf(env: Env, signal: Signal): Protocol {
  const knob = OTLP_KNOBS.PROTOCOL;
  const set = specific(env, signal, 'PROTOCOL') ?? { key: 'OTEL_EXPORTER_OTLP_PROTOCOL', value: knob.fallback };
  const protocol = knob.kind.parse(set.value);
  if (protocol !== undefined) return protocol;
  throw notAllowed(
    set,
    knob.kind.allowed,
    'Collectors usually accept grpc on port 4317 and http/protobuf on port 4318.',
  );
}

function endpointOf(env: Env, signal: Signal, protocol: Protocol): string {
  const set = specific(env, signal, 'ENDPOINT');
  const { fallback, unless } = OTLP_KNOBS.ENDPOINT;
  if (protocol === 'grpc') {
    const value = set?.value ?? unless.fallback;
    // The gRPC exporter also accepts host:port without a scheme, and then uses TLS unless OTEL_EXPORTER_OTLP_INSECURE is true.
    const url = /^\w{1,8}:\/\//.test(value) || value.startsWith('unix:') ? value : `https://${value}`;
    if (set !== undefined && !URL.canParse(url)) throw badEndpoint(set);
    return value;
  }
  const value = set?.value ?? fallback;
  const isHttp = URL.canParse(value) && /^https?:$/.test(new URL(value).protocol);
  if (set !== undefined && !isHttp) throw badEndpoint(set);
  if (set?.key === `OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`) return value;
  return `${value.replace(/\/$/, '')}/v1/${signal.toLowerCase()}`;
}

function badEndpoint(set: Setting): FatalError {
  return notAllowed(set, OTLP_KNOBS.ENDPOINT.kind.allowed, 'Set scheme, host and port.');
}

function checkExporterVariables(env: Env, signal: Signal): void {
  for (const name of ['COMPRESSION', 'TIMEOUT'] as const) {
    const { kind, fallback } = OTLP_KNOBS[name];
    const set = specific(env, signal, name);
    if (set !== undefined && kind.parse(set.value) === undefined)
      throw notAllowed(set, kind.allowed, `Unset it for the default, ${fallback}.`);
  }
  const key = specific(env, signal, 'CLIENT_KEY');
  const certificate = specific(env, signal, 'CLIENT_CERTIFICATE');
  for (const file of [key, certificate]) if (file !== undefined) readPem(file);
  const alone = key === undefined ? certificate : certificate === undefined ? key : undefined;
  if (alone !== undefined)
    throw notAllowed(alone, 'a client key together with a client certificate', 'Set both or neither of them.');
}

function readPem({ key, value: path }: Setting): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw configError(
      key,
      path,
      'a readable file in PEM format',
      `Reading it failed with ${code}: check the path and its permissions.`,
    );
  }
}
