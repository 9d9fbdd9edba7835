// SPDX-License-Identifier: Apache-2.0
// Beside the list: crash loops, the busiest killers, the watcher's own health.
import type { ComponentChildren } from 'preact';
import type { Count, HealthAnswer, OverviewAnswer } from '../core/page/answers.ts';
import { literal } from '../core/page/literal.ts';
import { changed, type Filters } from './address.ts';
import { RowLink } from './list.tsx';
import { Sentence } from './sentence.tsx';
import { when } from './words.ts';

interface Props {
  readonly overview: OverviewAnswer | null;
  readonly health: HealthAnswer | null;
  readonly filters: Filters;
  readonly onFilter: (filters: Filters) => void;
  readonly href: (id: string) => string;
  readonly onOpen: (id: string) => void;
}

export function Panels({ overview, health, filters, onFilter, href, onOpen }: Props) {
  return (
    <aside class="panels" aria-label="Summaries">
      <Panel id="loops" title="Crash loops" empty="No program was in a crash loop." size={overview?.loops.length}>
        <ul>
          {overview?.loops.map(({ isOver, row }) => (
            <li key={row.id}>
              <b>{isOver ? 'over' : 'a loop'}</b>{' '}
              <RowLink row={row} href={href} onOpen={onOpen}>
                {when(row.timeMs)}
              </RowLink>{' '}
              {row.where !== null && <span class="muted">{row.where}: </span>}
              {row.body}
            </li>
          ))}
        </ul>
      </Panel>
      <Panel id="killers" title="Busiest killers" empty="No process killed another." size={overview?.killers.length}>
        <Bars
          counts={overview?.killers ?? []}
          onPick={(sender) => onFilter(changed(filters, { sender: literal(sender) }))}
        />
      </Panel>
      <Panel id="health" title="The watcher" empty="Asking the service …" size={health?.lines.length}>
        <ul class="health">
          {health?.lines.map(({ level, text }) => (
            <li key={text} class={level}>
              <span role="img" aria-label={level === 'bad' ? 'problem:' : 'good:'} />
              <Sentence text={text} />
            </li>
          ))}
        </ul>
      </Panel>
      <Panel id="services" title="Most deaths" empty="No service died." size={overview?.services.length}>
        <Bars
          counts={overview?.services ?? []}
          onPick={(service) => onFilter(changed(filters, { service: literal(service) }))}
        />
      </Panel>
    </aside>
  );
}

interface PanelProps {
  readonly id: string;
  readonly title: string;
  readonly empty: string;
  readonly size: number | undefined;
  readonly children: ComponentChildren;
}

function Panel({ id, title, empty, size, children }: PanelProps) {
  return (
    <section class="panel" id={id} aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>{title}</h2>
      {(size ?? 0) > 0 ? children : <p class="muted">{empty}</p>}
    </section>
  );
}

function Bars({ counts, onPick }: { readonly counts: readonly Count[]; readonly onPick: (name: string) => void }) {
  const most = Math.max(...counts.map(({ count }) => count), 1);
  return (
    <ul class="bars">
      {counts.map(({ name, count }) => (
        <li key={name}>
          <button type="button" class="link" onClick={() => onPick(name)}>
            {name}
          </button>
          <b>{count.toLocaleString()}</b>
          <svg aria-hidden="true" width="100%" height="4">
            <rect width={`${(count / most) * 100}%`} height="4" />
          </svg>
        </li>
      ))}
    </ul>
  );
}
