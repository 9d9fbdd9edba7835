// SPDX-License-Identifier: Apache-2.0
// The images: small, without root where possible, labelled, and the same for both processors. compose.test.ts runs them.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Docker, startDocker } from '../../scripts/stack/docker.ts';
import { ROOT, temporaryDirectory } from '../../scripts/stack/program.ts';
import { defaultOf, makeBases } from './bases.ts';
import { project } from './compose.ts';

const LOADER_BYTES_MAX = 10_000_000;
/** Without the Node.js base image. A fifth is the loader, which also asks the service for its health. */
const SERVICE_BYTES_MAX = 42_000_000;
const MACHINES = { amd64: 62, arm64: 183 };
/** The static program that asks the service for its health. */
const HEALTH = '/opt/whodunit/whodunit-loader';
const HEALTH_INTERVAL_NS = 30_000_000_000;
const ARM_RUNTIME = 'whodunit-test/runtime:arm64';

const place = temporaryDirectory();
let docker: Docker;

beforeAll(async () => {
  docker = await startDocker();
  makeBases(docker, project(['docker-compose.yml']).services.collector?.image ?? '');
});

afterAll(async () => {
  await docker?.stop();
  place.remove();
});

describe.each(['amd64', 'arm64'] as const)('for %s', (arch) => {
  const inspect = (tag: string) => JSON.parse(docker.call(['image', 'inspect', tag]))[0];
  /** Copies a file or directory out of an image, and returns the path of the copy. */
  const taken = (tag: string, path: string) => {
    const id = docker.call(['create', '--platform', `linux/${arch}`, tag]).trim();
    const to = join(place.path, tag.replaceAll(/\W/g, '-'));
    docker.call(['cp', `${id}:${path}`, to]);
    docker.call(['rm', id]);
    return to;
  };
  const build = (name: string, tag: string, ...flags: string[]) =>
    docker.call([
      ...['build', '--quiet', '--platform', `linux/${arch}`, '--file', join(ROOT, `images/${name}.Dockerfile`)],
      ...['--tag', tag, ...flags, ROOT],
    ]);

  it('the loader is one small static program for that processor', () => {
    const tag = `whodunit-test/loader:${arch}`;
    build('loader', tag);
    const { Architecture, Size, Config } = inspect(tag);
    expect([Architecture, Size < LOADER_BYTES_MAX]).toEqual([arch, true]);
    expect(Config.Healthcheck.Test).toEqual(['CMD', '/whodunit-loader', 'health']);
    expect(Config.Healthcheck.Interval).toBe(HEALTH_INTERVAL_NS);
    expect(readFileSync(taken(tag, '/whodunit-loader')).readUInt16LE(18)).toBe(MACHINES[arch]);
    expect(labelled(Config)).toBe(true);
  });

  it('the service is not root, and owns only its state directory', () => {
    const tag = `whodunit-test/service:${arch}`;
    const flags = arch === 'amd64' ? [] : ['--build-arg', `RUNTIME_IMAGE=${ARM_RUNTIME}`];
    // No stage executes anything of that processor, so an image with any file replaces its Node.js base.
    if (arch === 'arm64') {
      const context = join(place.path, 'runtime');
      mkdirSync(context);
      writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nCOPY Dockerfile /\n');
      docker.call(['build', '--quiet', '--platform', 'linux/arm64', '--tag', ARM_RUNTIME, context]);
    }
    build('service', tag, ...flags);
    const { Architecture, Size, Config } = inspect(tag);
    expect([Architecture, Config.User]).toEqual([arch, '65532:65532']);
    const base =
      arch === 'amd64' ? inspect(defaultOf('images/service.Dockerfile', 'NODE_IMAGE')).Size : inspect(ARM_RUNTIME).Size;
    expect(Size - base).toBeLessThan(SERVICE_BYTES_MAX);
    expect(Config.Healthcheck.Test).toEqual(['CMD', HEALTH, 'health', '--service']);
    expect(Config.Healthcheck.Interval).toBe(HEALTH_INTERVAL_NS);
    expect(labelled(Config)).toBe(true);
    const installed = taken(tag, dirname(HEALTH));
    expect(readFileSync(join(installed, basename(HEALTH))).readUInt16LE(18)).toBe(MACHINES[arch]);
    const listed = spawnSync('find', [installed, '-name', '*.node'], { encoding: 'utf8' });
    expect(listed).toMatchObject({ status: 0, stdout: '' }); // no native modules
  });
});

function labelled({ Labels }: { Labels: Readonly<Record<string, string>> }): boolean {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  return (
    Labels['org.opencontainers.image.version'] === version && Labels['org.opencontainers.image.title'] !== undefined
  );
}
