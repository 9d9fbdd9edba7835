// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/record"
)

const (
	// resultsBytesMax of stacks are kept for records that no client has read yet. Then the oldest go of the origin that has most.
	resultsBytesMax = 8 << 20
	// resultBytes are added for what is kept beside the frames.
	resultBytes = 1024
)

// results are stacks by the sequence of their crash. A nil crash is not unwound yet.
type results struct {
	crashes map[uint64]result
	of      map[abi.Origin]*kept
	bytes   int
}

type result struct {
	crash *record.Crash
	bytes int
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
	added := result{crash, bytes + resultBytes}
	r.crashes[sequence] = added
	own.bytes, r.bytes = own.bytes+added.bytes-known.bytes, r.bytes+added.bytes-known.bytes
	for r.bytes > resultsBytesMax {
		r.dropOldest()
	}
}

func (r *results) dropOldest() {
	var most abi.Origin
	for origin, own := range r.of {
		if found := r.of[most]; found == nil || own.bytes > found.bytes {
			most = origin
		}
	}
	own := r.of[most]
	dropped := r.crashes[own.order[0]]
	delete(r.crashes, own.order[0])
	own.order, own.bytes, r.bytes = own.order[1:], own.bytes-dropped.bytes, r.bytes-dropped.bytes
	if len(own.order) == 0 {
		delete(r.of, most)
	}
}

func (r *results) get(sequence uint64) (crash *record.Crash, known bool) {
	found, known := r.crashes[sequence]
	return found.crash, known
}
