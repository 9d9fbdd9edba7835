// SPDX-License-Identifier: Apache-2.0
// The checkout of the demo shop never frees a basket. Its cgroup has a memory limit (docker-compose.yml), so the kernel's
// out-of-memory killer kills it: SIGKILL, nothing in its log, and exit code 137 in Docker.
const BASKET_BYTES = 1024 * 1024;
const BASKETS_A_PACE = 128;

const paceMs = Number(process.env.SHOP_PACE_SECONDS ?? 20) * 1000;
const baskets = [];

console.log('checkout: open');
setInterval(
  // Filled, so that the kernel has to allocate the pages.
  () => baskets.push(Buffer.alloc(BASKET_BYTES, baskets.length)),
  paceMs / BASKETS_A_PACE,
);
