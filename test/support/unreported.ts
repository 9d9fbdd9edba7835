// SPDX-License-Identifier: Apache-2.0
// Terminations without a record, for the history.
import { randomUUID } from 'node:crypto';
import type { Subject } from '../../src/core/filter/rules.ts';
import type { Row } from '../../src/core/history/unreported.ts';

type Made = Omit<Partial<Row>, 'subject'> & { readonly subject?: Partial<Subject> };

/** A grep that found nothing, unless `made` says otherwise. */
export function row({ subject, ...made }: Made = {}): Row {
  return {
    uid: randomUUID(),
    origin: '1000 /user.slice',
    timeNs: BigInt(Date.now()) * 1_000_000n,
    pid: 4242,
    outcome: 'filtered',
    rule: 'short-lived unnamed processes',
    ...made,
    subject: {
      executable: ['/usr/bin/grep', 'grep'],
      cgroup: '/user.slice',
      container: null,
      unit: null,
      service: 'unknown_service:grep',
      user: 'anna',
      arguments: null,
      exitCode: 1,
      signo: 0,
      cause: 'exit',
      uptimeSeconds: 0.1,
      ...subject,
    },
  };
}
