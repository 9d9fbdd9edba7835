// SPDX-License-Identifier: Apache-2.0
// The page of `whodunit ui`.
import './style/base.css';
import './style/page.css';
import './style/report.css';
import './style/causes.css';
import './style/narrow.css';
import { render } from 'preact';
import { useCallback, useEffect } from 'preact/hooks';
import { literal } from '../core/page/literal.ts';
import { type Filters, searchOf } from './address.ts';
import { Detail } from './detail.tsx';
import { FilterForm } from './filters.tsx';
import { makeInert } from './inert.ts';
import { useKeys } from './keys.ts';
import { List } from './list.tsx';
import { useAddress, useDetail, useHealth, useLive, useRecords } from './model.ts';
import { Panels } from './panels.tsx';
import { Sentence } from './sentence.tsx';
import { Timeline } from './timeline.tsx';

const NONE_YET =
  'No death is in the history yet. To see one: `sleep 100 & sleep 1; kill -9 $!`. If none appears, the panel “The watcher” says why, and `whodunit doctor` checks each step.';

function Page() {
  const { address, go } = useAddress();
  const { filters, id } = address;
  const { connected, version, news } = useLive();
  const { overview, list, more } = useRecords(filters, version);
  const detail = useDetail(id, version);
  const health = useHealth();
  const open = useCallback((opened: string | null) => go({ filters, id: opened }), [go, filters]);
  const filter = useCallback((wanted: Filters) => go({ filters: wanted, id: null }), [go]);
  const close = useCallback(() => {
    if (id === null) return;
    open(null);
    requestAnimationFrame(() => document.querySelector<HTMLElement>(`a[data-id="${CSS.escape(id)}"]`)?.focus());
  }, [id, open]);
  useKeys(close);
  useEffect(() => {
    if (list !== null) performance.mark('whodunit:list');
  }, [list]);
  const href = (to: string) => searchOf({ filters, id: to });
  const error = list?.ok === false ? list.error : overview?.ok === false ? overview.error : null;
  return (
    <>
      <header class="top">
        <h1>whodunit</h1>
        <span class={connected ? 'live' : 'live off'}>{connected ? 'live' : 'not connected'}</span>
        <span class="muted keys">
          <kbd>j</kbd> <kbd>k</kbd> move · <kbd>Enter</kbd> opens · <kbd>Esc</kbd> closes · <kbd>/</kbd> filters
        </span>
      </header>
      <main>
        {error !== null && (
          <p class="panel error" role="alert">
            <Sentence text={error} />
          </p>
        )}
        {overview === null && <div class="panel timeline" aria-busy="true" />}
        {overview?.ok && <Timeline overview={overview.value} filters={filters} onFilter={filter} />}
        <FilterForm filters={filters} onFilter={filter} />
        <section class="panel records" aria-label="Records" aria-busy={list === null}>
          {list?.ok && list.value.rows.length > 0 && (
            <List rows={list.value.rows} selected={id} href={href} onOpen={open} />
          )}
          {list?.ok && list.value.rows.length === 0 && <Empty filters={filters} onFilter={filter} />}
          {list?.ok && list.value.next !== null && (
            <button type="button" class="more" onClick={more}>
              Show older records
            </button>
          )}
        </section>
        {detail?.ok === false && (
          <p class="panel error" role="alert">
            <Sentence text={detail.error} />
          </p>
        )}
        {detail?.ok && (
          <Detail
            detail={detail.value}
            href={href}
            onOpen={open}
            onClose={close}
            onIncident={(incident) => filter({ incident: literal(incident) })}
          />
        )}
        <Panels
          overview={overview?.ok ? overview.value : null}
          health={health}
          filters={filters}
          onFilter={filter}
          href={href}
          onOpen={open}
        />
      </main>
      <p class="hidden" aria-live="polite">
        {news}
      </p>
    </>
  );
}

function Empty({ filters, onFilter }: { readonly filters: Filters; readonly onFilter: (filters: Filters) => void }) {
  if (Object.keys(filters).length === 0)
    return (
      <p class="empty">
        <Sentence text={NONE_YET} />
      </p>
    );
  return (
    <p class="empty">
      No record matches these filters.{' '}
      <button type="button" onClick={() => onFilter({})}>
        Clear the filters
      </button>
    </p>
  );
}

makeInert();
const place = document.getElementById('page');
if (place !== null) render(<Page />, place);
