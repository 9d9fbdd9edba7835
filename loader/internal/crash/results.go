// SPDX-License-Identifier: Apache-2.0

package crash

import "whodunit/loader/internal/record"

// resultsMax stacks are kept for clients that have not read their records yet; the oldest go first.
const resultsMax = 512

// results are stacks by the sequence of their crash. A nil crash is not unwound yet.
type results struct {
	crashes map[uint64]*record.Crash
	order   []uint64 // of arrival
}

func (r *results) add(sequence uint64, crash *record.Crash) {
	if r.crashes == nil {
		r.crashes = map[uint64]*record.Crash{}
	}
	if _, known := r.crashes[sequence]; !known {
		r.order = append(r.order, sequence)
	}
	r.crashes[sequence] = crash
	if len(r.order) > resultsMax {
		delete(r.crashes, r.order[0])
		r.order = r.order[1:]
	}
}

func (r *results) get(sequence uint64) (crash *record.Crash, known bool) {
	crash, known = r.crashes[sequence]
	return crash, known
}
