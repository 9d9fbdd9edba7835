// SPDX-License-Identifier: Apache-2.0
// Where one signal (logs, metrics or traces) is sent, and how.

/** The values of OTEL_EXPORTER_OTLP_PROTOCOL. */
export type Protocol = 'grpc' | 'http/protobuf' | 'http/json';

export interface Target {
  readonly protocol: Protocol;
  /** The URL that the exporter uses. */
  readonly endpoint: string;
  /** Certificate of the authority to trust, in PEM format. Left out: the well-known authorities. */
  readonly certificate?: string;
}
