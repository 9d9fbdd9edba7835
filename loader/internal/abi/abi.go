// SPDX-License-Identifier: Apache-2.0

// Package abi has what the probes and the loader share: the types and constants of bpf/event.h, generated (abi_bpfel.go). It does not import
// cilium/ebpf, so that package record does not depend on it.
package abi

// OldestABI is the oldest ABI whose records and pins this loader can read. All ABIs from it to EVENT_ABI have the same layouts.
const OldestABI = 4
