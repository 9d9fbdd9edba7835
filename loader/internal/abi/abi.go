// SPDX-License-Identifier: Apache-2.0

// Package abi is what the probes and the loader share: the types of bpf/event.h, generated (abi_bpfel.go), and its macros, which BTF
// does not carry. It imports no code, so that package record can decode a record without depending on cilium/ebpf.
package abi

// Macros of bpf/event.h.
const (
	EventABI           = 4 // EVENT_ABI
	EventFlagShrunk    = 1 // EVENT_FLAG_SHRUNK
	EventFlagOomVictim = 2 // EVENT_FLAG_OOM_VICTIM
	EventFlagRestart   = 4 // EVENT_FLAG_RESTART
	PartFlagTruncated  = 1 // PART_FLAG_TRUNCATED
)
