// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
	"sort"
	"time"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/record"
)

const (
	// repeatTime is how long the stack of a crash stands for equal ones of its origin.
	repeatTime = 10 * time.Second
	repeatsMax = 256
	// callerBytes of the stack are searched for return addresses.
	callerBytes = 2048
)

// repeats finds crashes that are equal to one that was unwound shortly before: the same signal at the same instruction of the same file, with the
// same return addresses and the same message. The callers count, since every abort is at the same instruction of the C library.
type repeats struct {
	seed  maphash.Seed
	first map[repeatKey]firstCrash
}

type repeatKey struct {
	origin abi.Origin
	crash  uint64
}

type firstCrash struct {
	request *request
	at      time.Time
}

func newRepeats() repeats {
	return repeats{maphash.MakeSeed(), map[repeatKey]firstCrash{}}
}

// find returns an equal crash, which may not be unwound yet. nil: there is none; then this one stands for those that follow.
func (r *repeats) find(key repeatKey, crash *request, now time.Time) *request {
	if first, known := r.first[key]; known && now.Sub(first.at) < repeatTime {
		return first.request
	}
	for key, first := range r.first {
		if len(r.first) >= repeatsMax || now.Sub(first.at) >= repeatTime {
			delete(r.first, key)
		}
	}
	r.replace(key, crash, now)
	return nil
}

// replace makes this crash the first one of those that are equal.
func (r *repeats) replace(key repeatKey, crash *request, now time.Time) {
	r.first[key] = firstCrash{crash, now}
}

// keyOf returns what is equal in equal crashes.
func (r *repeats) keyOf(slot *abi.CrashSlot, origin abi.Origin) repeatKey {
	return repeatKey{origin, r.hash(slot)}
}

// hash names what is equal in equal crashes, wherever their modules lie.
func (r *repeats) hash(slot *abi.CrashSlot) uint64 {
	var hash maphash.Hash
	hash.SetSeed(r.seed)
	pc, stackPointer := PCAndStackPointer(slot)
	maphash.WriteComparable(&hash, slot.Crashed.Signo)
	hash.Write(BytesOf(slot.Message[:min(slot.MessageBytes, uint64(len(slot.Message)))]))
	modules := slot.Mappings[abi.MappingPlaceMAPPING_OF_MODULES:]
	modules = modules[:min(slot.ModulesCount, uint64(len(modules)))]
	writePlace(&hash, modules, pc)
	if executable := slices.IndexFunc(modules, func(m abi.CrashMapping) bool { return m.IsExecutable != 0 }); executable >= 0 {
		writePlace(&hash, modules, modules[executable].Start)
	}
	stack := BytesOf(slot.Stack[:RegionPages[0]*PageBytes])
	from := min(stackPointer-slot.Regions[0].Start, uint64(len(stack)))
	for words := stack[from:min(from+callerBytes, uint64(len(stack)))]; len(words) >= 8; words = words[8:] {
		writePlace(&hash, modules, binary.LittleEndian.Uint64(words))
	}
	return hash.Sum64()
}

// writePlace writes which place of which file an address is, if it is one.
func writePlace(hash *maphash.Hash, modules []abi.CrashMapping, address uint64) {
	i := sort.Search(len(modules), func(i int) bool { return modules[i].End > address })
	if i == len(modules) || address < modules[i].Start {
		return
	}
	module := &modules[i]
	maphash.WriteComparable(hash, [6]uint64{
		uint64(module.Device), module.Inode, uint64(module.Generation), uint64(module.CtimeS), uint64(module.FileBytes), address - module.Start + module.Offset,
	})
}

// withStackOf adds the stack of an equal crash, or why that has none.
func withStackOf(crash, first *record.Crash) *record.Crash {
	crash.State, crash.Frames, crash.End, crash.Complete = record.CrashRepeated, first.Frames, first.End, first.Complete
	crash.HandledFrames, crash.HandledEnd, crash.Problems = first.HandledFrames, first.HandledEnd, first.Problems
	crash.ExecutableHTLHash = first.ExecutableHTLHash
	if first.State != record.CrashUnwound {
		crash.State = first.State
	}
	return crash
}
