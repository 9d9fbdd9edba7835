// SPDX-License-Identifier: Apache-2.0
// A sentence of ours, with `commands` in it.

export function Sentence({ text }: { readonly text: string }) {
  return <>{text.split('`').map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))}</>;
}
