// SPDX-License-Identifier: Apache-2.0
// Sends stored records as one request with an official exporter, and returns the outcome. deliver.ts batches and retries.
import type { Outcome } from '../../core/delivery/outcome.ts';
import type { Protocol } from '../../core/delivery/target.ts';
import { readRecord } from '../../core/telemetry/stored.ts';
import { exportOnce } from './exchange.ts';
import { exportersOf, type LogOptions } from './exporters.ts';

export interface Sender {
  /** Sends stored records as one request. Never rejects. */
  send(records: readonly Uint8Array[]): Promise<Outcome>;
  close(): void;
}

export async function createLogSender(protocol: Protocol, options: LogOptions = {}): Promise<Sender> {
  const { logs } = await exportersOf(protocol);
  const create = () => logs(options);
  let exporter = create();
  return {
    async send(records) {
      const outcome = await exportOnce((done) => exporter.export(records.map(readRecord), done));
      if (protocol === 'grpc' && outcome.kind === 'retryable' && !outcome.reached) {
        // A channel waits up to two minutes before it connects again; a new one connects at once.
        void exporter.shutdown();
        exporter = create();
      }
      return outcome;
    },
    close() {
      void exporter.shutdown();
    },
  };
}
