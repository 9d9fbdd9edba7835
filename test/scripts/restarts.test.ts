// SPDX-License-Identifier: Apache-2.0
// Everything that starts loader and service starts them again, whichever was killed.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from '../../scripts/paths.ts';

const read = (path: string) => readFileSync(`${ROOT}/${path}`, 'utf8');

describe('loader and service are started again when they were killed', () => {
  it.each(['whodunit-loader', 'whodunit'])('%s.service', (name) => {
    expect(read(`examples/systemd/${name}.service`)).toMatch(/^Restart=always$/m);
  });

  it.each(['loader', 'whodunit'])('%s of the compose file', (name) => {
    const { services } = parse(read('docker-compose.yml'), { merge: true });
    expect(services[name].restart).toBe('unless-stopped');
  });

  it.each(['daemonset', 'sidecar'])('both containers of %s.yaml', (name) => {
    const objects = read(`examples/kubernetes/${name}.yaml`)
      .split(/^---$/m)
      .map((text) => parse(text));
    const pods = objects
      .map((object) => object?.spec?.template?.spec ?? object?.spec)
      .filter((spec) => spec?.containers);
    expect(pods).toHaveLength(1);
    // The kubelet restarts containers unless restartPolicy says otherwise; an init container only if it says Always.
    const [{ restartPolicy = 'Always', initContainers = [], containers }] = pods;
    expect(restartPolicy).toBe('Always');
    const named = (one: { name: string }) => one.name.includes('loader');
    expect([...initContainers, ...containers].filter(named)).toHaveLength(1);
    for (const loader of initContainers.filter(named)) expect(loader.restartPolicy).toBe('Always');
  });
});
