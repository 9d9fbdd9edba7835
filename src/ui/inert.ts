// SPDX-License-Identifier: Apache-2.0
// Names on the page are chosen by processes. Preact makes text of them, never markup; here, control characters and bidirectional
// controls are made visible in every text and title, wherever a component puts it.
import { options } from 'preact';
import { visible } from '../core/words/visible.ts';

const TEXTS = ['children', 'title', 'aria-label', 'value', 'placeholder'] as const;

export function makeInert(): void {
  const before = options.vnode;
  options.vnode = (vnode) => {
    if (typeof vnode.type === 'string') {
      const props = vnode.props as Record<string, unknown>;
      for (const name of TEXTS) if (props[name] !== undefined) props[name] = inert(props[name]);
    }
    before?.(vnode);
  };
}

function inert(value: unknown): unknown {
  if (typeof value === 'string') return visible(value);
  return Array.isArray(value) ? value.map(inert) : value;
}
