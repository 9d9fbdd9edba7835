// SPDX-License-Identifier: Apache-2.0

// Package abi has what the probes and the loader share: the types and constants of bpf/event.h, generated (abi_bpfel.go). It does not import
// cilium/ebpf, so that package record does not depend on it.
package abi

// OldestABI is the oldest ABI whose records and pins this loader can read. Up to ABI 5, a description has no credentials.
const OldestABI = 4
