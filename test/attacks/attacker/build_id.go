// Forging the build id of a running program.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bytes"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// forgeBuildID overwrites the build id of Go's linker in the memory of this process with x, and exits with that code. `forgeBuildId CODE`.
func forgeBuildID(args []string) error {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return err
	}
	var begin uintptr
	if _, err := fmt.Sscanf(string(maps), "%x-", &begin); err != nil {
		return fmt.Errorf("the first mapping: %w", err)
	}
	page := unsafe.Slice((*byte)(unsafe.Add(nil, begin)), 4096)
	if err := unix.Mprotect(page, unix.PROT_READ|unix.PROT_WRITE); err != nil {
		return fmt.Errorf("mprotect: %w", err)
	}
	at := bytes.Index(page, []byte("Go\x00\x00"))
	if at < 0 {
		return fmt.Errorf("the first page has no build id of Go")
	}
	for i := at + 4; i < at+24; i++ {
		page[i] = 'x'
	}
	os.Exit(number(args[0]))
	return nil
}
