// SPDX-License-Identifier: Apache-2.0
// Memory beside its limit, as a bar.
import type { MemoryUse } from '../core/page/memory.ts';
import { size } from '../core/words/units.ts';

export function MemoryBar({ use: { title, parts, limitBytes, limitName } }: { readonly use: MemoryUse }) {
  const used = parts.reduce((sum, { bytes }) => sum + bytes, 0);
  const whole = Math.max(used, limitBytes ?? 0, 1);
  const percent = (bytes: number) => `${(bytes / whole) * 100}%`;
  const text = `${parts.map(({ name, bytes }) => `${size(bytes)} ${name}`).join(', ')}${limitBytes === null ? '' : `; ${limitName} ${size(limitBytes)}`}`;
  let start = 0;
  return (
    <section class="memory">
      <h3>{title}</h3>
      <svg role="img" aria-label={text} width="100%" height="18">
        <rect class="whole" width="100%" height="18" />
        {parts.map(({ name, bytes }, index) => {
          const x = start;
          start += bytes;
          return <rect key={name} class={`part-${index}`} x={percent(x)} width={percent(bytes)} height="18" />;
        })}
        {limitBytes !== null && <rect class="limit" x={percent(limitBytes - whole / 200)} width="0.5%" height="18" />}
      </svg>
      <p>{text}</p>
    </section>
  );
}
