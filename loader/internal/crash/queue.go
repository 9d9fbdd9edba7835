// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"slices"

	"whodunit/loader/internal/abi"
)

// queue has the crashes that wait for the helper. Origins take turns: one that crashes often, or whose files take long, delays another one by a
// single crash.
type queue struct {
	turns []abi.Origin // those with waiting crashes
	of    map[abi.Origin][]*request
}

func (q *queue) add(waiting *request) {
	if q.of == nil {
		q.of = map[abi.Origin][]*request{}
	}
	if len(q.of[waiting.origin]) == 0 {
		q.turns = append(q.turns, waiting.origin)
	}
	q.of[waiting.origin] = append(q.of[waiting.origin], waiting)
}

// next removes the first crash of the origin whose turn it is; nil: none waits.
func (q *queue) next() *request {
	if len(q.turns) == 0 {
		return nil
	}
	origin := q.turns[0]
	waiting := q.of[origin]
	q.turns = q.turns[1:]
	if len(waiting) == 1 {
		delete(q.of, origin)
	} else {
		q.of[origin] = waiting[1:]
		q.turns = append(q.turns, origin)
	}
	return waiting[0]
}

// removeBefore removes the crashes with a lower sequence, whose records wait no longer.
func (q *queue) removeBefore(sequence uint64) (removed []*request) {
	for origin, waiting := range q.of {
		late := 0
		for late < len(waiting) && waiting[late].sequence < sequence {
			late++
		}
		removed = append(removed, waiting[:late]...)
		if q.of[origin] = waiting[late:]; late == len(waiting) {
			delete(q.of, origin)
			q.turns = slices.DeleteFunc(q.turns, func(turn abi.Origin) bool { return turn == origin })
		}
	}
	return removed
}
