// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"errors"
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"whodunit/loader/internal/abi"
)

const (
	slotsCount = len(abi.CrashDirectory{}.Claims)
	// settleTime is longer than a probe needs from taking a slot to marking it.
	settleTime = 5 * time.Millisecond
	// fillTime is longer than a probe needs to fill a slot.
	fillTime = 100 * time.Millisecond
)

// PageBytes is the size of the pages of a region, also where the machine's are larger (CRASH_PAGE of bpf/crash_slot.h).
const PageBytes = 4096

// RegionPages are the pages of each region, which lie one after the other in a slot's stack.
var RegionPages = [...]int{16, 8, 8}

// Slots are the kernel's copies of crashes (bpf/crash_slot.h). Only the directory stays mapped: mapped slots would count as the loader's memory.
type Slots struct {
	slots, free   *ebpf.Map
	pages         pageSets
	directoryPage []byte
	directory     *abi.CrashDirectory
}

// openSlots maps the directory, and zeroes and frees what an earlier loader left.
func openSlots(slots, directory, free *ebpf.Map, pages pageSets) (*Slots, error) {
	size := (int(unsafe.Sizeof(abi.CrashDirectory{})) + unix.Getpagesize() - 1) &^ (unix.Getpagesize() - 1)
	page, err := unix.Mmap(directory.FD(), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the directory of crash slots: %w", err)
	}
	s := &Slots{slots: slots, free: free, pages: pages, directoryPage: page, directory: (*abi.CrashDirectory)(unsafe.Pointer(&page[0]))}
	if err := s.recover(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *Slots) state(slot int) *uint32 { return &s.directory.Claims[slot].State }

// recover zeroes the slots that are full, and makes every slot that no probe is filling a free one. It takes the free ones out of the queue to know
// them. A slot that is in no state for longer than a probe needs was lost with a loader that was killed while it freed it.
func (s *Slots) recover() error {
	isFree := [slotsCount]bool{}
	for {
		var slot uint32
		err := s.free.LookupAndDelete(nil, &slot)
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			break
		}
		if err != nil {
			return fmt.Errorf("read the free crash slots: %w", err)
		}
		isFree[slot%uint32(slotsCount)] = true
	}
	time.Sleep(settleTime)
	deadline := time.Now().Add(fillTime)
	for slot := range slotsCount {
		for atomic.LoadUint32(s.state(slot)) == uint32(abi.CrashSlotStateSLOT_FILLING) && time.Now().Before(deadline) {
			time.Sleep(settleTime)
		}
		s.directory.Claims[slot].PageSet = 0
	}
	if err := s.pages.recover(); err != nil {
		return err
	}
	for slot := range slotsCount {
		if isFree[slot] {
			if err := s.release(slot); err != nil {
				return err
			}
		} else if err := s.take(slot, nil); err != nil {
			return err
		}
	}
	return nil
}

// take calls use, unless it is nil, with the slot's content, and the pages that go with it, if there are any. Then it zeroes and frees both. The
// content is valid during the call.
func (s *Slots) take(slot int, use func(*abi.CrashSlot, *abi.CrashPages)) error {
	memory, err := unix.Mmap(s.slots.FD(), int64(slot)*int64(slotBytes), slotBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map a crash slot: %w", err)
	}
	if use == nil {
		use = func(*abi.CrashSlot, *abi.CrashPages) {}
	}
	var pagesErr error
	content := (*abi.CrashSlot)(unsafe.Pointer(&memory[0]))
	if set := s.directory.Claims[slot].PageSet; set != 0 {
		pagesErr = s.pages.take(set-1, func(pages *abi.CrashPages) { use(content, pages) })
	} else {
		use(content, nil)
	}
	clear(memory)
	if err := errors.Join(pagesErr, unix.Munmap(memory)); err != nil {
		return fmt.Errorf("empty a crash slot: %w", err)
	}
	return s.release(slot)
}

// release makes a slot that is zeroed a free one.
func (s *Slots) release(slot int) error {
	s.directory.Claims[slot].PageSet = 0
	atomic.StoreUint32(s.state(slot), uint32(abi.CrashSlotStateSLOT_FREE))
	if err := s.free.Update(nil, uint32(slot), ebpf.UpdateAny); err != nil {
		return fmt.Errorf("free a crash slot: %w", err)
	}
	return nil
}

// isFull reports whether a probe has filled the slot.
func (s *Slots) isFull(slot int) bool {
	return atomic.LoadUint32(s.state(slot)) == uint32(abi.CrashSlotStateSLOT_FULL)
}

func (s *Slots) close() error { return unix.Munmap(s.directoryPage) }

// usedBytes returns how much of a slot copySlot copies.
func usedBytes(slot *abi.CrashSlot) int {
	used := int(unsafe.Offsetof(slot.Mappings)) + int(unsafe.Sizeof(slot.Mappings[0]))*int(min(slot.ModulesCount, uint64(len(slot.Mappings))))
	used += int(min(slot.PathsBytes, uint64(len(slot.Paths))))
	for i, region := range slot.Regions {
		used += PageBytes * bits.OnesCount64(region.Present&(1<<RegionPages[i]-1))
	}
	return used
}

// copySlot copies what is used of a slot to an entry that is zero. The limits are checked: the kernel's memory is not trusted more than a file.
func copySlot(to, from *abi.CrashSlot) {
	const head = unsafe.Offsetof(from.Mappings)
	*(*[head]byte)(unsafe.Pointer(to)) = *(*[head]byte)(unsafe.Pointer(from))
	const modulesAt = int(abi.MappingPlaceMAPPING_OF_MODULES)
	to.ModulesCount = min(from.ModulesCount, uint64(len(from.Mappings)-modulesAt))
	to.PathsBytes = min(from.PathsBytes, uint64(len(from.Paths)))
	copy(to.Mappings[:], from.Mappings[:modulesAt+int(to.ModulesCount)])
	copy(to.Paths[:], from.Paths[:to.PathsBytes])
	at := 0
	for i, region := range from.Regions {
		for page := range RegionPages[i] {
			if region.Present>>page&1 == 1 {
				copy(to.Stack[at:][:PageBytes], from.Stack[at:])
			}
			at += PageBytes
		}
	}
}
