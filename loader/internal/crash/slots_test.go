// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/record"
)

// newMaps makes maps as those of bpf/crash_maps.h.
func newMaps(t *testing.T) (slots, directory, free *ebpf.Map, pages pageSets) {
	t.Helper()
	of := func(spec ebpf.MapSpec) *ebpf.Map {
		made, err := ebpf.NewMap(&spec)
		if err != nil {
			t.Skipf("SKIPPED, no map can be made: %v", err)
		}
		t.Cleanup(func() { made.Close() })
		return made
	}
	slots = of(ebpf.MapSpec{Type: ebpf.Array, Flags: unix.BPF_F_MMAPABLE, KeySize: 4, ValueSize: uint32(slotBytes), MaxEntries: uint32(slotsCount)})
	directory = of(ebpf.MapSpec{Type: ebpf.Array, Flags: unix.BPF_F_MMAPABLE, KeySize: 4, ValueSize: uint32(unsafe.Sizeof(abi.CrashDirectory{})), MaxEntries: 1})
	free = of(ebpf.MapSpec{Type: ebpf.Queue, ValueSize: 4, MaxEntries: uint32(slotsCount)})
	pages.sets = of(ebpf.MapSpec{Type: ebpf.Array, Flags: unix.BPF_F_MMAPABLE, KeySize: 4, ValueSize: uint32(pagesBytes), MaxEntries: 2})
	pages.free = of(ebpf.MapSpec{Type: ebpf.Queue, ValueSize: 4, MaxEntries: 2})
	return slots, directory, free, pages
}

func setPC(slot *abi.CrashSlot, pc uint64) {
	if runtime.GOARCH == "arm64" {
		slot.Crashed.Words[32] = pc
		return
	}
	slot.Crashed.Words[16] = pc
}

func setStackPointer(slot *abi.CrashSlot, stackPointer uint64) {
	if runtime.GOARCH == "arm64" {
		slot.Crashed.Words[31] = stackPointer
		return
	}
	slot.Crashed.Words[19] = stackPointer
}

func TestACopyHasWhatIsUsedOfASlotAndNoMore(t *testing.T) {
	var from, to abi.CrashSlot
	from.Address, from.ModulesCount, from.PathsBytes = 1, 1<<40, 3
	copy(BytesOf(from.Paths[:]), "libc")
	from.Mappings[abi.MappingPlaceMAPPING_OF_MODULES].Start = 5
	from.Regions[0].Present, from.Regions[2].Present = 1<<1, 1
	from.Stack[0], from.Stack[PageBytes], from.Stack[(16+8)*PageBytes] = 1, 2, 3
	from.Work.Words[0] = 9
	copySlot(&to, &from)
	if modules := uint64(len(to.Mappings)) - uint64(abi.MappingPlaceMAPPING_OF_MODULES); to.Address != 1 || to.ModulesCount != modules || to.Work.Words[0] != 0 {
		t.Errorf("address %d, %d modules, work %d", to.Address, to.ModulesCount, to.Work.Words[0])
	}
	if paths := string(BytesOf(to.Paths[:5])); paths != "lib\x00\x00" {
		t.Errorf("paths %q", paths)
	}
	if to.Stack[0] != 0 || to.Stack[PageBytes] != 2 || to.Stack[(16+8)*PageBytes] != 3 {
		t.Errorf("stack %d %d %d", to.Stack[0], to.Stack[PageBytes], to.Stack[(16+8)*PageBytes])
	}
}

// loaded is a crash at 0x1010 of a file that is mapped at base; the caller is at the offset of the same file.
func loaded(base, caller uint64) *abi.CrashSlot {
	slot := &abi.CrashSlot{ModulesCount: 1}
	slot.Crashed.Signo = 11
	slot.Mappings[abi.MappingPlaceMAPPING_OF_MODULES] = abi.CrashMapping{Start: base, End: base + 0x5000, Inode: 3, FileBytes: 4, CtimeS: 5, Device: 6}
	setPC(slot, base+0x1010)
	setStackPointer(slot, 4*base+16)
	slot.Regions[0].Start, slot.Regions[0].Present = 4*base, 1
	*(*uint64)(unsafe.Pointer(&slot.Stack[24])) = base + caller
	return slot
}

func TestWhichCrashesAreEqual(t *testing.T) {
	origin := abi.Origin{Uid: 1000}
	for _, other := range []struct {
		name   string
		origin abi.Origin
		change func(*abi.CrashSlot)
		later  time.Duration
		want   bool
	}{
		{name: "the same, mapped elsewhere", origin: origin, change: func(*abi.CrashSlot) {}, want: true},
		{name: "another fault address", origin: origin, change: func(s *abi.CrashSlot) { s.Address = 1 }, want: true},
		{name: "another word of the stack that is no address", origin: origin, change: func(s *abi.CrashSlot) { s.Stack[32] = 1 }, want: true},
		{name: "of another origin", origin: abi.Origin{Uid: 1001}, change: func(*abi.CrashSlot) {}},
		{name: "another signal", origin: origin, change: func(s *abi.CrashSlot) { s.Crashed.Signo = 6 }},
		{name: "at another instruction", origin: origin, change: func(s *abi.CrashSlot) { setPC(s, 0x801014) }},
		{name: "another caller", origin: origin, change: func(s *abi.CrashSlot) { s.Stack[24]++ }},
		{name: "another message", origin: origin, change: func(s *abi.CrashSlot) { s.Message[0], s.MessageBytes = 'x', 2 }},
		{name: "another file", origin: origin, change: func(s *abi.CrashSlot) { s.Mappings[abi.MappingPlaceMAPPING_OF_MODULES].Inode++ }},
		{name: "another file, with the number of one that was removed", origin: origin, change: func(s *abi.CrashSlot) { s.Mappings[abi.MappingPlaceMAPPING_OF_MODULES].Generation++ }},
		{name: "the file was changed", origin: origin, change: func(s *abi.CrashSlot) { s.Mappings[abi.MappingPlaceMAPPING_OF_MODULES].CtimeS++ }},
		{name: "later", origin: origin, change: func(*abi.CrashSlot) {}, later: repeatTime},
		{name: "with numbers that are not valid", origin: origin, change: func(s *abi.CrashSlot) { s.ModulesCount, s.MessageBytes = 1<<40, 1<<40; setStackPointer(s, 0) }},
	} {
		t.Run(other.name, func(t *testing.T) {
			all, first := newRepeats(), &request{}
			now := time.Now()
			if found := all.find(all.keyOf(loaded(0x400000, 0x2000), origin), first, now); found != nil {
				t.Error("the first one was found")
			}
			second := loaded(0x800000, 0x2000)
			other.change(second)
			if found := all.find(all.keyOf(second, other.origin), &request{}, now.Add(other.later)); (found == first) != other.want || (found != nil) != other.want {
				t.Errorf("found %v", found)
			}
		})
	}
}

func TestFirstCrashesAreBounded(t *testing.T) {
	all := newRepeats()
	for i := range uint64(2 * repeatsMax) {
		all.find(all.keyOf(loaded(0x400000, i), abi.Origin{}), &request{}, time.Now())
	}
	if len(all.first) > repeatsMax {
		t.Errorf("%d first crashes are kept; the limit is %d", len(all.first), repeatsMax)
	}
}

func TestTheOldestResultsOfTheOriginWithMostGo(t *testing.T) {
	var all results
	mallory, alice := abi.Origin{Uid: 1}, abi.Origin{Uid: 2}
	all.add(alice, 1, record.NoStack(record.CrashUnwound, 1, ""), ReplyBytesMax)
	const more = 2 * resultsBytesMax / ReplyBytesMax
	for sequence := uint64(2); sequence < more; sequence++ {
		all.add(mallory, sequence, nil, 0)
		all.add(mallory, sequence, record.NoStack(record.CrashUnwound, sequence, ""), ReplyBytesMax)
	}
	for sequence, want := range map[uint64]bool{1: true, 2: false, more - 1: true} {
		if _, known := all.get(sequence); known != want {
			t.Errorf("result %d is known: %v", sequence, known)
		}
	}
	if all.bytes > resultsBytesMax || len(all.crashes) != len(all.of[mallory].order)+1 {
		t.Errorf("%d bytes, %d results, %d of one origin", all.bytes, len(all.crashes), len(all.of[mallory].order))
	}
}

// Each crash is of another user, and the newest is the largest: it stays until its record was written with it.
func TestTheResultsOfReadRecordsGoFirst(t *testing.T) {
	var all results
	const more = 4 * resultsBytesMax / ReplyBytesMax
	for sequence := uint64(1); sequence < more; sequence++ {
		bytes := ReplyBytesMax/2 + int(sequence) // the newest is always the largest
		all.add(abi.Origin{Uid: uint32(sequence)}, sequence, record.NoStack(record.CrashUnwound, sequence, ""), bytes)
		if _, known := all.get(sequence); !known {
			t.Fatalf("result %d was forgotten before it was read", sequence)
		}
		all.markRead(sequence)
		all.markRead(sequence)
	}
	if all.bytes > resultsBytesMax || len(all.read) != len(all.crashes) || len(all.of) != len(all.crashes) {
		t.Errorf("%d bytes, %d results, %d read, of %d origins", all.bytes, len(all.crashes), len(all.read), len(all.of))
	}
}

func TestDescribe(t *testing.T) {
	slot := loaded(0x400000, 0x2000)
	slot.Crashed.Tid, slot.Address, slot.CodeBytes, slot.Code[0] = 7, 0x10, 1<<40, 0x0f
	slot.MessageBytes = uint64(copy(BytesOf(slot.Message[:]), "a.c:3: \xff failed\n\x00"))
	paths := copy(BytesOf(slot.Paths[:]), "libx.so\x00lib\x00usr\x00")
	slot.Mappings[abi.MappingPlaceMAPPING_ABOVE] = abi.CrashMapping{
		Start: 0x1000, End: 0x2000, Flags: vmRead | vmExec | vmGrowsDown, Inode: 1, Offset: 4096, FileBytes: 9, PathBytes: uint32(paths),
	}
	got := Describe(slot)
	if got.Tid != 7 || got.Signo != 11 || *got.InstructionPointer != "0x401010" || *got.Address != "0x10" || *got.Message != "a.c:3: \ufffd failed\n" || (*got.Code)[:4] != "0f00" {
		t.Errorf("%+v, %q, %q", got, *got.Message, *got.Code)
	}
	if got.Mapping != nil || !got.Valid() {
		t.Errorf("mapping %+v, valid %v", got.Mapping, got.Valid())
	}
	want := record.Mapping{Start: "0x1000", End: "0x2000", Access: "r-xp", Path: got.NextMapping.Path, Offset: 4096, FileBytes: 9, Deleted: true, GrowsDown: true}
	if *got.NextMapping != want || *want.Path != "/usr/lib/libx.so" {
		t.Errorf("%+v, %q", got.NextMapping, *got.NextMapping.Path)
	}
}

func TestAPathOutsideOfTheSlotIsCut(t *testing.T) {
	slot := &abi.CrashSlot{}
	for _, mapping := range []abi.CrashMapping{{PathAt: ^uint32(0), PathBytes: ^uint32(0)}, {PathBytes: ^uint32(0)}, {PathAt: uint32(len(slot.Paths)) - 1, PathBytes: 9}} {
		if path := PathOf(slot, &mapping); path == "" || path[0] != '/' {
			t.Errorf("%+v: %q", mapping, path)
		}
	}
}
