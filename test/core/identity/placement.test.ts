// SPDX-License-Identifier: Apache-2.0
// Placement from the cgroup paths of the runtimes: v1 and v2, systemd and cgroupfs driver, nested.
import { describe, expect, it } from 'vitest';
import { type Placement, placementOf } from '../../../src/core/identity/placement.ts';

const ID = 'a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90';
const INNER = 'b'.repeat(64);
const TASK = 'b23fdb5c6b8d44e3b3d1e8a2f1c0d9e8';
const POD = '8c7f1d2e-3a4b-5c6d-7e8f-90a1b2c3d4e5';
const POD_SLICE = POD.replaceAll('-', '_');

const nothing: Placement = { containerId: null, containerName: null, podUid: null, unit: null, userUnit: null };

describe('the placement from a cgroup path', () => {
  it.each<[string, string | null, Partial<Placement>]>([
    ['none: the root', '/', {}],
    ['none: not known', null, {}],
    ['a systemd service', '/system.slice/nginx.service', { unit: 'nginx.service' }],
    ['below a delegated service', '/system.slice/foo.service/worker-1', { unit: 'foo.service' }],
    [
      'a service of a user',
      '/user.slice/user-1000.slice/user@1000.service/app.slice/syncthing.service',
      { unit: 'user@1000.service', userUnit: 'syncthing.service' },
    ],
    ['a session', '/user.slice/user-1000.slice/session-3.scope', { unit: 'session-3.scope' }],
    ['a slice is not a unit', '/system.slice', {}],
    ['Docker, cgroupfs driver', `/docker/${ID}`, { containerId: ID }],
    ['Docker, systemd driver', `/system.slice/docker-${ID}.scope`, { containerId: ID, unit: `docker-${ID}.scope` }],
    ['Docker in Docker: the inner one', `/docker/${ID}/docker/${INNER}`, { containerId: INNER }],
    [
      'systemd within a container',
      `/system.slice/docker-${ID}.scope/system.slice/cron.service`,
      { containerId: ID, unit: 'cron.service' },
    ],
    [
      'the unit of the runtime is not that of the container',
      `/system.slice/k3s.service/kubepods/burstable/pod${POD}/${ID}`,
      { containerId: ID, podUid: POD },
    ],
    [
      'containerd in Kubernetes, systemd driver',
      `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${POD_SLICE}.slice/cri-containerd-${ID}.scope`,
      { containerId: ID, podUid: POD, unit: `cri-containerd-${ID}.scope` },
    ],
    [
      'containerd in Kubernetes, cgroupfs driver',
      `/kubepods/besteffort/pod${POD}/${ID}`,
      { containerId: ID, podUid: POD },
    ],
    [
      'containerd, guaranteed',
      `/kubepods.slice/kubepods-pod${POD_SLICE}.slice/cri-containerd-${ID}.scope`,
      { containerId: ID, podUid: POD, unit: `cri-containerd-${ID}.scope` },
    ],
    [
      'containerd with a colon name',
      `/system.slice/containerd.service/kubepods-burstable-pod${POD_SLICE}.slice:cri-containerd:${ID}`,
      { containerId: ID, podUid: POD },
    ],
    [
      'CRI-O',
      `/kubepods.slice/kubepods-burstable-pod${POD_SLICE}.slice/crio-${ID}.scope`,
      { containerId: ID, podUid: POD, unit: `crio-${ID}.scope` },
    ],
    [
      'CRI-O with the inner cgroup of crun',
      `/kubepods.slice/kubepods-burstable-pod${POD_SLICE}.slice/crio-${ID}.scope/container`,
      { containerId: ID, podUid: POD, unit: `crio-${ID}.scope` },
    ],
    [
      'the monitor process of CRI-O is not in the container',
      `/kubepods.slice/crio-conmon-${ID}.scope`,
      { unit: `crio-conmon-${ID}.scope` },
    ],
    ['Podman', `/machine.slice/libpod-${ID}.scope/container`, { containerId: ID, unit: `libpod-${ID}.scope` }],
    [
      'Podman, rootless: a user chose the name',
      `/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${ID}.scope`,
      { unit: 'user@1000.service', userUnit: `libpod-${ID}.scope` },
    ],
    ['Podman, cgroupfs driver', `/libpod_parent/libpod-${ID}`, { containerId: ID }],
    [
      'the monitor process of Podman is not in the container',
      `/machine.slice/libpod-conmon-${ID}.scope`,
      { unit: `libpod-conmon-${ID}.scope` },
    ],
    ['nerdctl', `/system.slice/nerdctl-${ID}.scope`, { containerId: ID, unit: `nerdctl-${ID}.scope` }],
    [
      'a static pod',
      '/kubepods/burstable/pod0123456789abcdef0123456789abcdef',
      { podUid: '0123456789abcdef0123456789abcdef' },
    ],
    ['Amazon ECS on EC2', `/ecs/0123456789abcdef/${ID}`, { containerId: ID }],
    [
      'Amazon ECS on EC2, systemd driver',
      `/ecstasks.slice/ecstasks-${TASK}.slice/docker-${ID}.scope`,
      { containerId: ID, unit: `docker-${ID}.scope` },
    ],
    ['Amazon ECS on Fargate', `/ecs/${TASK}/${TASK}-0265927825`, { containerId: `${TASK}-0265927825` }],
    [
      'kind: a pod in a node that is a container',
      `/docker/${INNER}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod${POD_SLICE}.slice/cri-containerd-${ID}.scope`,
      { containerId: ID, podUid: POD, unit: `cri-containerd-${ID}.scope` },
    ],
    [
      'kind: the kubelet of the node',
      `/docker/${INNER}/kubelet.slice/kubelet.service`,
      { containerId: INNER, unit: 'kubelet.service' },
    ],
    [
      'k3s, systemd driver, best effort',
      `/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${POD_SLICE}.slice/cri-containerd-${ID}.scope`,
      { containerId: ID, podUid: POD, unit: `cri-containerd-${ID}.scope` },
    ],
    ['CRI-O, cgroupfs driver', `/kubepods/burstable/pod${POD}/crio-${ID}`, { containerId: ID, podUid: POD }],
    ['a pod without a container', `/kubepods/burstable/pod${POD}`, { podUid: POD }],
    [
      'Podman in a pod',
      `/machine.slice/machine-libpod_pod_${INNER}.slice/libpod-${ID}.scope/container`,
      { containerId: ID, unit: `libpod-${ID}.scope` },
    ],
    [
      'Podman of a service: the inner scope counts',
      `/system.slice/web.service/libpod-payload-${ID}`,
      { containerId: ID },
    ],
    ['containerd alone, in a namespace', `/default/${ID}`, { containerId: ID }],
    ['Kata', `/kubepods/besteffort/pod${POD}/kata_${ID}`, { containerId: ID, podUid: POD }],
    [
      'BuildKit',
      '/system.slice/docker.service/buildkit/k6yq6m7p5jpe1rnqmkxbmvm4r',
      { containerId: 'k6yq6m7p5jpe1rnqmkxbmvm4r' },
    ],
    [
      'BuildKit with the cgroupfs driver',
      '/docker/buildkit/k6yq6m7p5jpe1rnqmkxbmvm4r',
      { containerId: 'k6yq6m7p5jpe1rnqmkxbmvm4r' },
    ],
    [
      'Garden',
      '/system.slice/garden.service/garden/70e5b7c2-3a1b-4f2e-6d1e-1234',
      { containerId: '70e5b7c2-3a1b-4f2e-6d1e-1234' },
    ],
    ['LXC', '/lxc.payload.web/init.scope', { containerName: 'web', unit: 'init.scope' }],
    ['LXC, older layout', '/lxc/web', { containerName: 'web' }],
    ['the monitor process of LXC is not in the container', '/lxc.monitor.web', {}],
    ['Docker in LXC: the inner one', `/lxc.payload.web/docker/${ID}`, { containerId: ID }],
    [
      'systemd-nspawn',
      '/machine.slice/systemd-nspawn@web.service/payload/system.slice/cron.service',
      { containerName: 'web', unit: 'cron.service' },
    ],
    [
      'systemd-nspawn started manually',
      '/machine.slice/machine-my\\x2dweb.scope/payload',
      { containerName: 'my-web', unit: 'machine-my\\x2dweb.scope' },
    ],
    [
      'a virtual machine is a process of the host',
      '/machine.slice/machine-qemu\\x2d1\\x2dweb.scope/libvirt',
      { unit: 'machine-qemu\\x2d1\\x2dweb.scope' },
    ],
    ['a unit name that systemd escaped', '/system.slice/_cpu.service', { unit: 'cpu.service' }],
    [
      'an instance of a unit template',
      '/system.slice/system-postgresql.slice/postgresql@17-main.service',
      { unit: 'postgresql@17-main.service' },
    ],
    [
      'a desktop application',
      '/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-4242.scope',
      { unit: 'user@1000.service', userUnit: 'app-gnome-firefox-4242.scope' },
    ],
    ['not a container: 63 digits', `/docker/${ID.slice(1)}`, {}],
  ])('%s', (_, cgroup, placement) => {
    expect(placementOf({ cgroup, cgroup_claimed: 0 })).toEqual({ ...nothing, ...placement });
  });
});

describe('a name that only looks like a container’s, pod’s or unit’s', () => {
  const FAKE_POD = `kubepods-pod${POD_SLICE}.slice`;
  it.each<[string, string, number, Partial<Placement>]>([
    ['below a user’s delegated cgroup', `/mallory/docker-${ID}.scope`, 1, { userUnit: `docker-${ID}.scope` }],
    ['below a delegated service', `/system.slice/batch.service/docker/${ID}`, 2, { unit: 'batch.service' }],
    [
      'below that service, as a unit',
      '/system.slice/batch.service/sshd.service',
      1,
      { unit: 'batch.service', userUnit: 'sshd.service' },
    ],
    [
      'below a user manager, as a pod',
      `/user.slice/user-7.slice/user@7.service/${FAKE_POD}/cri-containerd-${ID}.scope`,
      0,
      { unit: 'user@7.service', userUnit: `cri-containerd-${ID}.scope` },
    ],
    ['in the slice of a user', `/user.slice/user-7.slice/docker-${ID}.scope`, 0, { unit: `docker-${ID}.scope` }],
    [
      'where the root of the path is not known',
      `…/system.slice/docker-${ID}.scope`,
      0,
      { userUnit: `docker-${ID}.scope` },
    ],
    ['where all names are claimed', `/system.slice/docker-${ID}.scope`, 2, { userUnit: `docker-${ID}.scope` }],
    ['a scope outside a slice', `/docker-${ID}.scope`, 0, { unit: `docker-${ID}.scope` }],
    ['a pod without kubelet', `/system.slice/pod${POD}`, 0, {}],
    [
      'a machine outside machine.slice',
      '/system.slice/systemd-nspawn@web.service',
      0,
      { unit: 'systemd-nspawn@web.service' },
    ],
    ['within a container', `/docker/${INNER}/user.slice/docker/${ID}`, 3, { containerId: INNER }],
    [
      'a unit in an unprivileged container',
      '/lxc.payload.web/system.slice/nginx.service',
      2,
      { containerName: 'web', userUnit: 'nginx.service' },
    ],
    ['more claims than names', '/a', 9, {}],
  ])('%s', (_, cgroup, claimed, placement) => {
    expect(placementOf({ cgroup, cgroup_claimed: claimed })).toEqual({ ...nothing, ...placement });
  });
});
