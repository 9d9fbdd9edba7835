// SPDX-License-Identifier: Apache-2.0
// Answers of Docker and Podman, true and false ones, and what is remembered of them.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CONTAINERS_MAX, GONE_MAX, KnownContainers } from '../../../src/core/identity/known-containers.ts';
import { imageOf, readContainer, readEvent, readList } from '../../../src/core/identity/runtime-answers.ts';

const ID = 'a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90';
const COMPOSE = { 'com.docker.compose.project': 'shop', 'com.docker.compose.service': 'web' };
const FACTS = { name: 'shop-web-1', image: { name: 'nginx', tags: ['1.27'] }, project: 'shop', service: 'web' };
const NOTHING = { name: null, image: null, project: null, service: null };
const event = (Action: string, Attributes: object) => ({ Type: 'container', Action, Actor: { ID, Attributes } });

it('a list has the names of all containers, and counts what is none', () => {
  const item = {
    Id: ID,
    Names: ['/other/link', '/shop-web-1'],
    Image: 'nginx:1.27',
    Labels: COMPOSE,
    State: 'running',
  };
  expect(readList([item, { Id: 'sshd' }, null, 7, { ...item, Names: 'x' }])).toEqual({
    containers: [[ID, FACTS]],
    unreadable: 4,
  });
  expect(readList({ message: 'page not found' })).toBeUndefined();
});

it('an inspected container is the one that was asked for', () => {
  const answer = { Id: ID, Name: '/shop-web-1', Config: { Image: 'nginx:1.27', Labels: COMPOSE } };
  expect(readContainer(answer, ID)).toEqual(FACTS);
  expect(readContainer(answer, ID.replaceAll('a', 'b'))).toBeUndefined();
  expect(readContainer('no', ID)).toBeUndefined();
});

it('an event names a container, or says that it is gone', () => {
  expect(readEvent(event('create', { ...COMPOSE, name: 'shop-web-1', image: 'nginx:1.27' }))).toEqual({
    kind: 'known',
    id: ID,
    facts: FACTS,
  });
  expect(readEvent(event('destroy', {}))).toEqual({ kind: 'gone', id: ID });
  expect(readEvent(event('remove', {}))).toEqual({ kind: 'gone', id: ID });
  expect(readEvent(event('exec_start', {}))).toBeUndefined();
});

it.each([
  ['/bad\nname', 'x'.repeat(600)],
  ['/\u202egnp', '-'],
  ['x'.repeat(300), 'a b'],
  ['../../etc', ''],
])('a name that no runtime allows is not known: %j', (Name, Image) => {
  const Labels = { 'com.docker.compose.project': 'a\u001b[31m', 'com.docker.compose.service': { toString: 'x' } };
  expect(readContainer({ Id: ID, Name, Config: { Image, Labels } }, ID)).toEqual(NOTHING);
});

it.each([
  ['nginx', 'nginx', ['latest']],
  ['nginx:1.27', 'nginx', ['1.27']],
  ['localhost:5000/shop/web', 'localhost:5000/shop/web', ['latest']],
  ['registry.example.com:5000/shop/web:1.2-rc.1', 'registry.example.com:5000/shop/web', ['1.2-rc.1']],
  [`nginx@sha256:${ID}`, 'nginx', []],
  [`nginx:1.27@sha256:${ID}`, 'nginx', ['1.27']],
])('the image %s has the name %s and the tags %s', (reference, name, tags) => {
  expect(imageOf(reference)).toEqual({ name, tags });
});

it.each([`sha256:${ID}`, ID, 'a1b2c3d4e5f6', '', ':', 'a//b'])('the image %s has no name', (reference) => {
  expect(imageOf(reference)).toBeNull();
});

it('no answer throws', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      readList(value);
      readList([value]);
      readContainer(value, ID);
      readEvent(value);
      readEvent(event('create', value as object));
      imageOf(JSON.stringify(value));
    }),
  );
});

describe('what is known', () => {
  const idOf = (n: number) => n.toString(16).padStart(64, '0');

  it('stays when a container is gone, for the last ones', () => {
    const known = new KnownContainers();
    for (let n = 0; n < GONE_MAX + 1; n++) {
      known.add(idOf(n), FACTS);
      known.remove(idOf(n));
    }
    expect([known.get(idOf(0)), known.get(idOf(1)), known.get(idOf(GONE_MAX))]).toEqual([null, FACTS, FACTS]);
    expect([known.size, known.forgotten]).toEqual([0, 0]);
  });

  it('has a limit, at which the oldest is forgotten and counted', () => {
    const known = new KnownContainers();
    for (let n = 0; n < CONTAINERS_MAX + 2; n++) known.add(idOf(n), FACTS);
    expect([known.size, known.forgotten, known.get(idOf(1)), known.get(idOf(2))]).toEqual([
      CONTAINERS_MAX,
      2,
      null,
      FACTS,
    ]);
  });

  it('is replaced by a list, which a name that was changed is in', () => {
    const known = new KnownContainers();
    known.add(idOf(1), FACTS);
    known.add(idOf(2), FACTS);
    known.replace([[idOf(2), { ...FACTS, name: 'renamed' }]]);
    expect([known.size, known.get(idOf(1)), known.get(idOf(2))?.name]).toEqual([1, FACTS, 'renamed']);
  });
});
