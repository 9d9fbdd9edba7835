// SPDX-License-Identifier: Apache-2.0
// Requester → carrier → victim, as a graph: boxes with arrows. The style sheet turns it upright on a phone.
import type { Chain, Link } from '../core/page/chain.ts';

const ROLES: Readonly<Record<Link['role'], string>> = {
  requester: 'asked by',
  trigger: 'cause',
  sender: 'sender',
  kernel: 'sender',
  victim: 'victim',
};

export function ChainGraph({ chain }: { readonly chain: Chain }) {
  return (
    <ol class="chain">
      {chain.map((link) => (
        <li key={`${link.role}/${link.pid}`} class={link.role}>
          <div class="node">
            <span class="role">{ROLES[link.role]}</span>
            <b>{link.name}</b>
            <span class="muted">{whoOf(link)}</span>
            {link.command !== null && <code>{link.command}</code>}
            {link.ancestors.length > 0 && <span class="muted">started by {link.ancestors.join(' ← ')}</span>}
          </div>
          {link.role !== 'victim' && (
            <div class="arrow">
              <span>{link.act}</span>
            </div>
          )}
        </li>
      ))}
    </ol>
  );
}

function whoOf({ pid, user }: Link): string {
  return [pid === null ? null : `pid ${pid}`, user].filter((part) => part !== null).join(', ');
}
