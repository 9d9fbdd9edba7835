// SPDX-License-Identifier: Apache-2.0
// The target of one signal (logs, metrics or traces): endpoint, protocol, CA certificate.

/** The values of OTEL_EXPORTER_OTLP_PROTOCOL. */
export type Protocol = 'grpc' | 'http/protobuf' | 'http/json';

export interface Target {
  readonly protocol: Protocol;
  /** The URL that the exporter uses. */
  readonly endpoint: string;
  /** CA certificate to trust, in PEM format. Absent: the system's well-known CAs. */
  readonly certificate?: string;
}
