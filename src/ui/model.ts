// SPDX-License-Identifier: Apache-2.0
// The state of the page: what the URL asks for, what the server answered, and new records as they come.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { DetailAnswer, HealthAnswer, ListAnswer, LiveEvent, OverviewAnswer } from '../core/page/answers.ts';
import { type Address, type Filters, queryOf, readAddress, searchOf } from './address.ts';
import { type Asked, ask } from './ask.ts';

const HEALTH_EVERY_MS = 5_000;
/** During a storm, the page asks once in this time for what it shows. */
const REFRESH_EVERY_MS = 500;

export function useAddress() {
  const [address, setAddress] = useState<Address>(() => readAddress(location.search));
  useEffect(() => {
    const listen = () => setAddress(readAddress(location.search));
    addEventListener('popstate', listen);
    return () => removeEventListener('popstate', listen);
  }, []);
  const go = useCallback((to: Address) => {
    history.pushState(null, '', searchOf(to));
    setAddress(readAddress(location.search));
  }, []);
  return { address, go };
}

/** The answer to the newest question. null: there is none yet; an older answer stays until the new one comes. */
function useAsked<T>(path: string, query: string | null, version: number): Asked<T> | null {
  const [answer, setAnswer] = useState<Asked<T> | null>(null);
  useEffect(() => {
    if (query === null) return setAnswer(null);
    const stop = new AbortController();
    void ask<T>(path, new URLSearchParams(query), stop.signal).then((asked) => {
      if (!stop.signal.aborted) setAnswer(asked);
    });
    return () => stop.abort();
  }, [path, query, version]);
  return answer;
}

export interface Records {
  readonly overview: Asked<OverviewAnswer> | null;
  readonly list: Asked<ListAnswer> | null;
  readonly more: () => void;
}

/** `version`: raised by new records. */
export function useRecords(filters: Filters, version: number): Records {
  const query = String(queryOf(filters));
  const first = useAsked<ListAnswer>('list', query, version);
  // Sums over all records take longer than one page of them: the first list does not wait for them.
  const overview = useAsked<OverviewAnswer>('overview', first === null ? null : query, version);
  const [added, setAdded] = useState<ListAnswer | null>(null);
  useEffect(() => setAdded(null), [query, first]);
  const list = first?.ok && added !== null ? { ok: true as const, value: joined(first.value, added) } : first;
  const next = list?.ok ? list.value.next : null;
  const more = useCallback(() => {
    if (next === null) return;
    void ask<ListAnswer>('list', new URLSearchParams(`${query}&before=${encodeURIComponent(next)}`)).then((asked) => {
      if (asked.ok) setAdded((before) => (before === null ? asked.value : joined(before, asked.value)));
    });
  }, [query, next]);
  return { overview, list, more };
}

function joined(before: ListAnswer, after: ListAnswer): ListAnswer {
  return { rows: [...before.rows, ...after.rows], next: after.next };
}

export function useDetail(id: string | null, version: number): Asked<DetailAnswer> | null {
  return useAsked<DetailAnswer>('record', id === null ? null : String(new URLSearchParams({ id })), version);
}

export function useHealth(): HealthAnswer | null {
  const [health, setHealth] = useState<HealthAnswer | null>(null);
  useEffect(() => {
    const look = async () => {
      const asked = await ask<HealthAnswer>('health', new URLSearchParams());
      setHealth(asked.ok ? asked.value : { lines: [{ level: 'bad', text: asked.error }] });
    };
    void look();
    const timer = setInterval(look, HEALTH_EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  return health;
}

export interface Live {
  readonly connected: boolean;
  /** Raised when there are new records: at once, then at most once in REFRESH_EVERY_MS. */
  readonly version: number;
  /** The newest record in words, for those who listen. */
  readonly news: string;
}

export function useLive(): Live {
  const [connected, setConnected] = useState(true);
  const [version, setVersion] = useState(0);
  const [news, setNews] = useState('');
  const last = useRef(0);
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  useEffect(() => {
    const events = new EventSource('api/live');
    const refresh = () => {
      timer.current = null;
      last.current = performance.now();
      setVersion((before) => before + 1);
    };
    events.onopen = () => {
      setConnected(true);
      if (last.current > 0) refresh(); // what came while there was no connection
      last.current ||= performance.now() - REFRESH_EVERY_MS;
    };
    events.onerror = () => setConnected(false);
    events.onmessage = ({ data }: MessageEvent<string>) => {
      const event: LiveEvent = JSON.parse(data);
      setNews(event.kind === 'error' ? event.message : (event.newest?.body ?? ''));
      const wait = Math.max(0, last.current + REFRESH_EVERY_MS - performance.now());
      timer.current ??= setTimeout(refresh, wait);
    };
    return () => events.close();
  }, []);
  return { connected, version, news };
}
