// SPDX-License-Identifier: Apache-2.0
// The checkout of the demo shop keeps every basket that it has ever seen. Its cgroup has a memory limit (docker-compose.yml), and
// one day the kernel's out-of-memory killer comes: SIGKILL, no word in the log, and 137 in docker inspect.
const BASKET_BYTES = 1024 * 1024;
const BASKETS_A_PACE = 128;

const paceMs = Number(process.env.SHOP_PACE_SECONDS ?? 20) * 1000;
const baskets = [];

console.log('checkout: open');
setInterval(
  // Written, so that the kernel has to give the memory.
  () => baskets.push(Buffer.alloc(BASKET_BYTES, baskets.length)),
  paceMs / BASKETS_A_PACE,
);
