// SPDX-License-Identifier: Apache-2.0
// The list of records, newest first.
import type { Row } from '../core/page/answers.ts';
import { causeClass, causeName, exactly, when } from './words.ts';

interface Props {
  readonly rows: readonly Row[];
  readonly selected: string | null;
  /** The URL of a report. */
  readonly href: (id: string) => string;
  readonly onOpen: (id: string) => void;
}

export function RowLink({ row, href, onOpen, children }: Omit<Props, 'rows' | 'selected'> & LinkProps) {
  const open = (event: MouseEvent) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return; // another tab or window
    event.preventDefault();
    onOpen(row.id);
  };
  return (
    <a href={href(row.id)} onClick={open} data-id={row.id}>
      {children}
    </a>
  );
}

interface LinkProps {
  readonly row: Row;
  readonly children: string;
}

export function List({ rows, selected, href, onOpen }: Props) {
  return (
    <table class="list">
      <thead>
        <tr>
          <th scope="col">When</th>
          <th scope="col">Process</th>
          <th scope="col">Why</th>
          <th scope="col">Who</th>
          <th scope="col">Where</th>
          <th scope="col">Id</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.id} class={row.id === selected ? 'selected' : ''}>
            <td class="when" title={exactly(row.timeMs)}>
              <RowLink row={row} href={href} onOpen={onOpen}>
                {when(row.timeMs)}
              </RowLink>
            </td>
            <td class="process">
              <b>{row.name}</b> <span class="muted">{row.pid}</span>
            </td>
            <td class="why">
              <span class={causeClass(row.cause)} />
              {row.kind === 'termination' ? why(row) : row.body}
            </td>
            <td class="who">
              {row.sender}
              {row.requester !== null && <span class="muted"> for {row.requester}</span>}
            </td>
            <td class="where">{row.where}</td>
            <td class="muted id">{row.uid.slice(0, 8)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function why({ cause, how }: Row): string {
  return [cause === null ? null : causeName(cause), how].filter((part) => part !== null).join(' · ');
}

/** A few records that belong to a report. */
export function ShortList({ rows, href, onOpen }: Omit<Props, 'selected'>) {
  return (
    <ul class="short">
      {rows.map((row) => (
        <li key={row.id}>
          <RowLink row={row} href={href} onOpen={onOpen}>
            {when(row.timeMs)}
          </RowLink>{' '}
          {row.body}
        </li>
      ))}
    </ul>
  );
}
