// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"errors"
	"testing"

	"whodunit/loader/internal/abi"
)

// fillSet does what the probes do: it takes a slot and a set, fills a page, and names the set in the claim.
func fillSet(t *testing.T, slots *Slots) (slot, set uint32) {
	t.Helper()
	if err := errors.Join(slots.free.LookupAndDelete(nil, &slot), slots.pages.free.LookupAndDelete(nil, &set)); err != nil {
		t.Fatal(err)
	}
	pages := abi.CrashPages{Count: 1}
	pages.Bytes[0] = 7
	if err := slots.pages.sets.Put(set, &pages); err != nil {
		t.Fatal(err)
	}
	slots.directory.Claims[slot].PageSet = set + 1
	return slot, set
}

// isZero reports whether nothing is left in a set.
func isZero(t *testing.T, slots *Slots, set uint32) bool {
	t.Helper()
	var pages abi.CrashPages
	if err := slots.pages.sets.Lookup(set, &pages); err != nil {
		t.Fatal(err)
	}
	return pages == abi.CrashPages{}
}

func TestASetOfPagesGoesWithItsSlotAndIsZeroed(t *testing.T) {
	slots, err := openSlots(newMaps(t))
	if err != nil {
		t.Fatal(err)
	}
	defer slots.close()
	slot, set := fillSet(t, slots)
	copied := &abi.CrashPages{}
	if err := slots.take(int(slot), func(_ *abi.CrashSlot, pages *abi.CrashPages) { copyPages(copied, pages) }); err != nil {
		t.Fatal(err)
	}
	if copied.Count != 1 || copied.Bytes[0] != 7 || !isZero(t, slots, set) || slots.directory.Claims[slot].PageSet != 0 {
		t.Errorf("%d pages, the claim has %d", copied.Count, slots.directory.Claims[slot].PageSet)
	}
	for range slots.pages.sets.MaxEntries() {
		fillSet(t, slots) // All are free again.
	}
}

func TestSetsOfPagesOfALoaderThatWasKilledAreZeroedAndFreed(t *testing.T) {
	bySlots, directory, free, pages := newMaps(t)
	killed, err := openSlots(bySlots, directory, free, pages)
	if err != nil {
		t.Fatal(err)
	}
	slot, set := fillSet(t, killed)
	if err := killed.close(); err != nil {
		t.Fatal(err)
	}
	slots, err := openSlots(bySlots, directory, free, pages)
	if err != nil {
		t.Fatal(err)
	}
	defer slots.close()
	if !isZero(t, slots, set) || slots.directory.Claims[slot].PageSet != 0 {
		t.Errorf("the set has bytes, or the claim has %d", slots.directory.Claims[slot].PageSet)
	}
	for range pages.sets.MaxEntries() {
		fillSet(t, slots)
	}
}
