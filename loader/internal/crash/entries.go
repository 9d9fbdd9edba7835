// SPDX-License-Identifier: Apache-2.0

package crash

import "whodunit/loader/internal/abi"

// entries are the entries of the arena that are free, and what the others hold, by origin. An origin has at most as much as is free: so half at
// most, and another one always finds an entry.
type entries struct {
	free []uint32
	held map[abi.Origin]holding
	sum  holding
}

type holding struct{ entries, bytes int }

func newEntries() entries {
	e := entries{held: map[abi.Origin]holding{}}
	for entry := range uint32(entriesMax) {
		e.free = append(e.free, entriesMax-1-entry) // The last one is taken first: the same few are used if there are few crashes.
	}
	return e
}

// take returns an entry for a copy of that many bytes; false: the origin has its share.
func (e *entries) take(origin abi.Origin, bytes int) (entry uint32, found bool) {
	own := e.held[origin]
	if own.entries >= len(e.free) || own.bytes+bytes > copiesBytesMax-e.sum.bytes {
		return 0, false
	}
	e.change(origin, holding{1, bytes})
	entry = e.free[len(e.free)-1]
	e.free = e.free[:len(e.free)-1]
	return entry, true
}

// giveBack makes an entry that is erased a free one.
func (e *entries) giveBack(entry uint32, origin abi.Origin, bytes int) {
	e.change(origin, holding{-1, -bytes})
	e.free = append(e.free, entry)
}

func (e *entries) change(origin abi.Origin, by holding) {
	own := e.held[origin]
	own.entries, own.bytes = own.entries+by.entries, own.bytes+by.bytes
	e.sum.entries, e.sum.bytes = e.sum.entries+by.entries, e.sum.bytes+by.bytes
	if e.held[origin] = own; own.entries == 0 {
		delete(e.held, origin)
	}
}
