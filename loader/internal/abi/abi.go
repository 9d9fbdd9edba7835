// SPDX-License-Identifier: Apache-2.0

// Package abi is what the probes and the loader share: the types and constants of bpf/event.h, generated (abi_bpfel.go). It imports no
// code, so that package record can decode a record without depending on cilium/ebpf.
package abi

// OldestABI is the oldest one whose records and pins this loader can read. All from there to EVENT_ABI have the same layouts.
const OldestABI = 4
