// SPDX-License-Identifier: Apache-2.0
// One report, whole.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { DetailAnswer, Field } from '../core/page/answers.ts';
import { ChainGraph } from './chain.tsx';
import { ShortList } from './list.tsx';
import { MemoryBar } from './memory.tsx';

interface Props {
  readonly detail: DetailAnswer;
  readonly href: (id: string) => string;
  readonly onOpen: (id: string) => void;
  readonly onClose: () => void;
  readonly onIncident: (incident: string) => void;
}

export function Detail({ detail, href, onOpen, onClose, onIncident }: Props) {
  const title = useRef<HTMLHeadingElement>(null);
  const { row, incident } = detail;
  useEffect(() => title.current?.focus(), [row.id]);
  const links = { href, onOpen };
  return (
    <article class={`panel detail ${row.severity.toLowerCase()}`} aria-labelledby="report">
      <header>
        <h2 id="report" ref={title} tabIndex={-1}>
          {row.body}
        </h2>
        <button type="button" onClick={onClose} aria-label="Close the report">
          ✕
        </button>
      </header>
      <p class="muted">
        {detail.time} · {row.severity} · {row.uid}
      </p>
      <Part title="Who did it" when={detail.chain.length > 0}>
        <ChainGraph chain={detail.chain} />
      </Part>
      <Fields fields={detail.summary} />
      {detail.memory.map((use) => (
        <MemoryBar key={use.title} use={use} />
      ))}
      <Part title="Stack" when={detail.stack.length > 0}>
        {detail.explanation !== null && <p>{detail.explanation}</p>}
        <Lines lines={detail.stack} label="Stack" />
      </Part>
      <Part title="Evidence" when={detail.evidence.length > 0}>
        <ul>
          {detail.evidence.map((fact) => (
            <li key={fact}>{fact}</li>
          ))}
        </ul>
      </Part>
      <Part title="Restart" when={detail.related.length > 0}>
        <ShortList rows={detail.related} {...links} />
      </Part>
      {incident !== null && (
        <Part title="Incident">
          <ShortList rows={incident.members} {...links} />
          <button type="button" onClick={() => onIncident(incident.id)}>
            {incident.more ? 'Show all members' : 'Show in the list'}
          </button>
        </Part>
      )}
      <Part title="Earlier ends of this service" when={detail.earlier.length > 0}>
        <ShortList rows={detail.earlier} {...links} />
      </Part>
      <Part title="Delivery">
        <p>{detail.delivery}</p>
      </Part>
      <All title="All attributes" fields={detail.attributes} />
      <All title="Resource" fields={detail.resource} />
    </article>
  );
}

interface PartProps {
  readonly title: string;
  readonly when?: boolean;
  readonly children: ComponentChildren;
}

function Part({ title, when = true, children }: PartProps) {
  if (!when) return null;
  return (
    <section>
      <h3>{title}</h3>
      {children}
    </section>
  );
}

function Fields({ fields }: { readonly fields: readonly Field[] }) {
  return (
    <dl>
      {fields.map(({ name, value }) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function All({ title, fields }: { readonly title: string; readonly fields: readonly Field[] }) {
  return (
    <details>
      <summary>
        {title} ({fields.length})
      </summary>
      <Fields fields={fields} />
    </details>
  );
}

/** A box that scrolls must be reachable by keyboard. */
function Lines({ lines, label }: { readonly lines: readonly string[]; readonly label: string }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: otherwise no key scrolls it
    <ol class="lines" tabIndex={0} aria-label={label}>
      {lines.map((line, index) => (
        <li key={index}>{line}</li>
      ))}
    </ol>
  );
}
