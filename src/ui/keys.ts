// SPDX-License-Identifier: Apache-2.0
// The keys: j and k go through the list, Enter opens (the link has the focus), Escape closes, / goes to the filters.
import { useEffect } from 'preact/hooks';

export function useKeys(onClose: () => void): void {
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === 'Escape') return onClose();
      const action = isField(event.target) ? undefined : ACTIONS[event.key];
      if (action === undefined) return;
      event.preventDefault();
      action();
    };
    addEventListener('keydown', listen);
    return () => removeEventListener('keydown', listen);
  }, [onClose]);
}

const ACTIONS: Readonly<Record<string, () => void>> = { j: () => move(1), k: () => move(-1), '/': toFilters };

function isField(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches('input, select, textarea');
}

function move(by: number): void {
  const links = [...document.querySelectorAll<HTMLElement>('.list a')];
  const at = links.indexOf(document.activeElement as HTMLElement);
  links[Math.min(Math.max(at + by, 0), links.length - 1)]?.focus();
}

function toFilters(): void {
  const filters = document.querySelector<HTMLDetailsElement>('.filters');
  if (filters === null) return;
  filters.open = true;
  filters.querySelector<HTMLElement>('input')?.focus();
}
