// SPDX-License-Identifier: Apache-2.0

// The memory that the loader shares with the probes (struct shared of bpf/event.h): flags that they read, and counts that outlive a
// loader.
package main

import (
	"fmt"
	"os"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// mapShared gives the map's only value as memory. The page is to be unmapped.
func mapShared(pinned *ebpf.Map) (shared *bpfShared, page []byte, err error) {
	page, err = unix.Mmap(pinned.FD(), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("map the memory that the probes share: %w", err)
	}
	return (*bpfShared)(unsafe.Pointer(&page[0])), page, nil
}
