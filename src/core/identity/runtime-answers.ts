// SPDX-License-Identifier: Apache-2.0
// What Docker and Podman answer (Docker Engine API, which Podman serves, too): containers, and events about them → names. Every value is
// checked, and what has not the form that the runtime allows is not known. io/docker/ asks; known-containers.ts remembers.
import * as z from 'zod/mini';

export interface Image {
  /** Without tag and digest. */
  readonly name: string;
  readonly tags: readonly string[];
}

/** What a runtime says of one container. null: not known. */
export interface ContainerFacts {
  readonly name: string | null;
  readonly image: Image | null;
  /** Of Docker Compose. */
  readonly project: string | null;
  readonly service: string | null;
}

export type ContainerEvent =
  | { readonly kind: 'known'; readonly id: string; readonly facts: ContainerFacts }
  | { readonly kind: 'gone'; readonly id: string };

/** Answers: the value, or undefined if it is none of a container runtime. */
export interface Listed {
  readonly containers: readonly (readonly [id: string, facts: ContainerFacts])[];
  /** Items that are no containers. */
  readonly unreadable: number;
}

const ID = /^[0-9a-f]{64}$/;
/** moby/daemon/names: RestrictedNameChars; Podman's are the same (define.NameRegex). */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/;
/** A reference (distribution/reference): host and path, `:tag`, `@digest`. */
const REFERENCE =
  /^([a-zA-Z0-9][\w.-]*(?::\d{1,5}(?=\/))?(?:\/[\w.-]+)*)(?::([\w][\w.-]{0,127}))?(@[\w.+-]+:[0-9a-fA-F]+)?$/;
const REFERENCE_CHARS_MAX = 512;
/** An image that has lost its name is named by its id. */
const IMAGE_ID = /^(?:sha256:)?[0-9a-f]{12,64}$/;
export const PROJECT_LABEL = 'com.docker.compose.project';
export const SERVICE_LABEL = 'com.docker.compose.service';

const labels = z._default(z.nullable(z.record(z.string(), z.unknown())), null);
const itemSchema = z.object({
  Id: z.string().check(z.regex(ID)),
  Names: z._default(z.nullable(z.array(z.string())), null),
  Image: z._default(z.string(), ''),
  Labels: labels,
});
const inspectedSchema = z.object({
  Id: z.string().check(z.regex(ID)),
  Name: z._default(z.string(), ''),
  Config: z.object({ Image: z._default(z.string(), ''), Labels: labels }),
});
const eventSchema = z.object({
  Type: z.literal('container'),
  Action: z.string(),
  Actor: z.object({ ID: z.string().check(z.regex(ID)), Attributes: labels }),
});

/** Events after which a container is another one, or gone; Podman calls the last one `remove`. */
export const EVENTS = ['create', 'rename', 'destroy', 'remove'] as const;

/** `GET /containers/json`. */
export function readList(answer: unknown): Listed | undefined {
  if (!Array.isArray(answer)) return undefined;
  const items = answer.map((item) => z.safeParse(itemSchema, item));
  return {
    containers: items.flatMap(({ data }) =>
      data === undefined ? [] : [[data.Id, factsOf(shortest(data.Names ?? []), data.Image, data.Labels)] as const],
    ),
    unreadable: items.filter(({ success }) => !success).length,
  };
}

/** `GET /containers/{id}/json`. undefined: not this container. */
export function readContainer(answer: unknown, id: string): ContainerFacts | undefined {
  const { data } = z.safeParse(inspectedSchema, answer);
  return data === undefined || data.Id !== id ? undefined : factsOf(data.Name, data.Config.Image, data.Config.Labels);
}

/** A line of `GET /events`. Its attributes are the labels of the container, beside its `name` and `image`. undefined: none that we ask for. */
export function readEvent(line: unknown): ContainerEvent | undefined {
  const { data } = z.safeParse(eventSchema, line);
  if (data === undefined) return undefined;
  const { ID: id, Attributes: attributes } = data.Actor;
  switch (data.Action) {
    case 'create':
    case 'rename':
      return { kind: 'known', id, facts: factsOf(textOf(attributes?.name), textOf(attributes?.image), attributes) };
    case 'destroy':
    case 'remove':
      return { kind: 'gone', id };
    default:
      return undefined;
  }
}

function factsOf(name: string, image: string, all: Readonly<Record<string, unknown>> | null): ContainerFacts {
  return {
    name: nameIn(name.replace(/^\//, '')),
    image: imageOf(image),
    project: nameIn(textOf(all?.[PROJECT_LABEL])),
    service: nameIn(textOf(all?.[SERVICE_LABEL])),
  };
}

function nameIn(text: string): string | null {
  return NAME.test(text) ? text : null;
}

/** Links of Docker (`--link`) are further names, with a slash within. */
function shortest(names: readonly string[]): string {
  return names.find((name) => nameIn(name.replace(/^\//, '')) !== null) ?? '';
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Without a tag and a digest, a reference means `latest`. */
export function imageOf(reference: string): Image | null {
  if (reference.length > REFERENCE_CHARS_MAX || IMAGE_ID.test(reference)) return null;
  const [, name, tag, digest] = REFERENCE.exec(reference) ?? [];
  if (name === undefined) return null;
  return { name, tags: tag !== undefined ? [tag] : digest === undefined ? ['latest'] : [] };
}
