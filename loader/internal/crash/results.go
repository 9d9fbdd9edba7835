// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"slices"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/record"
)

const (
	// resultsBytesMax of stacks are kept. Then those go first whose records were read; else the oldest of the origin that has most.
	resultsBytesMax = 8 << 20
	// resultBytes are added for what is kept beside the frames.
	resultBytes = 1024
)

// results are stacks by the sequence of their crash. A nil crash is not unwound yet.
type results struct {
	crashes map[uint64]result
	of      map[abi.Origin]*kept
	read    []uint64 // those that a record was written with, in order
	bytes   int
}

type result struct {
	origin abi.Origin
	crash  *record.Crash
	bytes  int
	read   bool
}

// kept are the results of an origin, in order of arrival.
type kept struct {
	order []uint64
	bytes int
}

// add keeps a result, or replaces it. bytes: of its frames, unless they are those of another one.
func (r *results) add(origin abi.Origin, sequence uint64, crash *record.Crash, bytes int) {
	if r.crashes == nil {
		r.crashes, r.of = map[uint64]result{}, map[abi.Origin]*kept{}
	}
	own := r.of[origin]
	if own == nil {
		own = &kept{}
		r.of[origin] = own
	}
	known, found := r.crashes[sequence]
	if !found {
		own.order = append(own.order, sequence)
	}
	added := result{origin, crash, bytes + resultBytes, known.read}
	r.crashes[sequence] = added
	own.bytes, r.bytes = own.bytes+added.bytes-known.bytes, r.bytes+added.bytes-known.bytes
	for r.bytes > resultsBytesMax {
		r.forget(r.next())
	}
}

// next returns what is forgotten next. A stack that its record was written with is only needed by clients that read late.
func (r *results) next() uint64 {
	if len(r.read) > 0 {
		return r.read[0]
	}
	var most abi.Origin
	for origin, own := range r.of {
		if found := r.of[most]; found == nil || own.bytes > found.bytes {
			most = origin
		}
	}
	return r.of[most].order[0]
}

func (r *results) forget(sequence uint64) {
	gone := r.crashes[sequence]
	delete(r.crashes, sequence)
	own := r.of[gone.origin]
	own.order = without(own.order, sequence)
	own.bytes, r.bytes = own.bytes-gone.bytes, r.bytes-gone.bytes
	if len(own.order) == 0 {
		delete(r.of, gone.origin)
	}
	if gone.read {
		r.read = without(r.read, sequence)
	}
}

// without removes the sequence, which is mostly the first.
func without(order []uint64, sequence uint64) []uint64 {
	if order[0] == sequence {
		return order[1:]
	}
	at := slices.Index(order, sequence)
	return slices.Delete(order, at, at+1)
}

func (r *results) get(sequence uint64) (crash *record.Crash, known bool) {
	found, known := r.crashes[sequence]
	return found.crash, known
}

// markRead says that a record was written with the stack.
func (r *results) markRead(sequence uint64) {
	if found := r.crashes[sequence]; !found.read {
		found.read = true
		r.crashes[sequence] = found
		r.read = append(r.read, sequence)
	}
}
