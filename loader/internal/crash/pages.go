// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"whodunit/loader/internal/abi"
)

const pagesBytes = int(unsafe.Sizeof(abi.CrashPages{}))

// pageSets are the kernel's copies of files that may be out of reach once the process is gone (bpf/crash_files.h). A set belongs to a slot, whose
// claim names it.
type pageSets struct{ sets, free *ebpf.Map }

// recover zeroes all sets, and makes them free. No probe may be using one: the caller has taken all slots.
func (p pageSets) recover() error {
	for {
		var set uint32
		err := p.free.LookupAndDelete(nil, &set)
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			break
		}
		if err != nil {
			return fmt.Errorf("read the free sets of pages: %w", err)
		}
	}
	for set := range p.sets.MaxEntries() {
		if err := p.take(set, func(*abi.CrashPages) {}); err != nil {
			return err
		}
	}
	return nil
}

// take calls use with a set, then zeroes and frees it. The content is valid during the call.
func (p pageSets) take(set uint32, use func(*abi.CrashPages)) error {
	memory, err := unix.Mmap(p.sets.FD(), int64(set)*int64(pagesBytes), pagesBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map a set of pages: %w", err)
	}
	use((*abi.CrashPages)(unsafe.Pointer(&memory[0])))
	clear(memory)
	if err := unix.Munmap(memory); err != nil {
		return fmt.Errorf("unmap a set of pages: %w", err)
	}
	if err := p.free.Update(nil, set, ebpf.UpdateAny); err != nil {
		return fmt.Errorf("free a set of pages: %w", err)
	}
	return nil
}

// copyPages copies what is used of a set to an entry that is zero.
func copyPages(to, from *abi.CrashPages) {
	to.Count = min(from.Count, uint64(len(from.Places)))
	copy(to.Places[:], from.Places[:to.Count])
	copy(to.Bytes[:to.Count*PageBytes], from.Bytes[:])
}
