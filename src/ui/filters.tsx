// SPDX-License-Identifier: Apache-2.0
// The filters, as fields. Enter applies them.
import { useEffect, useState } from 'preact/hooks';
import { ALL_FILTER_NAMES } from '../core/history/filter-names.ts';
import { changed, type Filters, type PageFilter } from './address.ts';
import { CAUSES, causeName } from './words.ts';

const HINTS: Readonly<Partial<Record<PageFilter, string>>> = {
  since: '1 hour ago',
  until: 'now',
  service: 'checkout',
  unit: 'nginx.service',
  signal: 'SIGKILL',
  sender: 'bash',
  user: 'root',
  executable: '/usr/bin/python3',
};

interface Props {
  readonly filters: Filters;
  readonly onFilter: (filters: Filters) => void;
}

export function FilterForm({ filters, onFilter }: Props) {
  const [draft, setDraft] = useState<Filters>(filters);
  useEffect(() => setDraft(filters), [filters]);
  const given = Object.keys(filters).length;
  const submit = (event: Event) => {
    event.preventDefault();
    onFilter(changed(draft, {}));
  };
  return (
    <details class="panel filters" open={given > 0}>
      <summary>
        Filters{given > 0 && <b> · {given}</b>} <kbd>/</kbd>
      </summary>
      <form onSubmit={submit}>
        {ALL_FILTER_NAMES.map((name) => (
          <div key={name} class="field">
            <label for={`filter-${name}`}>{name}</label>
            {name === 'cause' ? (
              <CauseField value={draft.cause ?? ''} onChange={(cause) => onFilter(changed(draft, { cause }))} />
            ) : (
              <input
                id={`filter-${name}`}
                name={name}
                value={draft[name] ?? ''}
                placeholder={HINTS[name] ?? ''}
                autocomplete="off"
                spellcheck={false}
                onInput={(event) => setDraft({ ...draft, [name]: event.currentTarget.value.trim() })}
              />
            )}
          </div>
        ))}
        <div class="buttons">
          <button type="submit">Apply</button>
          <button type="button" onClick={() => onFilter({})}>
            Clear
          </button>
        </div>
      </form>
    </details>
  );
}

function CauseField({ value, onChange }: { readonly value: string; readonly onChange: (value: string) => void }) {
  return (
    <select id="filter-cause" name="cause" value={value} onChange={(event) => onChange(event.currentTarget.value)}>
      <option value="">any</option>
      {CAUSES.map((cause) => (
        <option key={cause} value={cause}>
          {causeName(cause)}
        </option>
      ))}
    </select>
  );
}
