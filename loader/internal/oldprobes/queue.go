// SPDX-License-Identifier: Apache-2.0

package oldprobes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/cilium/ebpf"
)

const (
	// pollInterval is how often the loader looks whether the probes wrote anything: nothing wakes it. hurriedInterval replaces it after something
	// was found.
	pollInterval    = 20 * time.Millisecond
	hurriedInterval = 4 * time.Millisecond
	// roundMax limits the slots of each CPU that are read in one round.
	roundMax = 64
	// shares is OLD_SHARES of bpf/old_maps.h.
	shares = 256
)

// given is a slot whose record the mirror has.
type given struct {
	cpu   int
	share uint32
	end   uint64 // the position past its record
}

// queue copies the records of the slots to the mirror, and gives slots back when the mirror's reader has acknowledged their records. The probes
// write the heads, the queue writes the tails.
type queue struct {
	slots, heads, tails, returned, stackMap, texts, gapMap *ebpf.Map

	mirror   *mirror
	slotsOf  uint64   // slots of one CPU
	acked    []uint64 // by CPU: the tails
	copied   []uint64 // what the mirror has
	written  []uint64 // the heads, as they were read last
	given    []given  // in the order of the mirror
	gaps     []waitingGap
	gapsPut  []gapPut // those in the mirror
	keepSeq  func(position uint64) error
	stackMem map[uint32][]uint64
}

// run copies until the context ends, and gives back what was acknowledged by then: the next loader would copy it again. Only run uses the queue
// meanwhile.
func (q *queue) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return q.giveBack()
		case <-timer.C:
		}
		busy, err := q.round()
		if err != nil {
			return err
		}
		next := pollInterval
		if busy {
			next = hurriedInterval
		}
		timer.Reset(next)
	}
}

// round gives back what was acknowledged, copies what was written before the last round, and reads the heads. A slot is read one round after its
// head: processors of some architectures make the two writes visible in any order, and a program of these kernels cannot order them. busy: there
// is more.
func (q *queue) round() (busy bool, err error) {
	if err := q.giveBack(); err != nil {
		return false, err
	}
	if err := q.copy(); err != nil {
		return false, err
	}
	if err := q.heads.Lookup(uint32(0), &q.written); err != nil {
		return false, fmt.Errorf("read the heads of the queue: %w", err)
	}
	if !slices.Equal(q.written, q.copied) {
		return true, nil
	}
	return false, q.putGaps(math.MaxUint64)
}

// giveBack moves the tails past the records that are acknowledged, and returns their slots to the shares. The shares come last: a loader that is
// killed in between leaves users with less, never with more.
func (q *queue) giveBack() error {
	acked := q.mirror.Acked()
	moved, returned := map[int]bool{}, map[uint32]uint64{}
	for len(q.given) > 0 && q.given[0].end <= acked {
		first := q.given[0]
		q.acked[first.cpu]++
		moved[first.cpu] = true
		returned[uint32(first.cpu)*shares+first.share]++
		q.given = q.given[1:]
	}
	if err := q.removeGaps(acked); err != nil {
		return err
	}
	if err := q.moveTails(moved); err != nil {
		return err
	}
	for index, slots := range returned {
		var before uint64
		err := q.returned.Lookup(index, &before)
		if err == nil {
			err = q.returned.Update(index, before+slots, ebpf.UpdateExist)
		}
		if err != nil {
			return fmt.Errorf("return slots of the queue: %w", err)
		}
	}
	return nil
}

func (q *queue) moveTails(moved map[int]bool) error {
	for cpu := range moved {
		tail := oldTail{Acknowledged: q.acked[cpu], Slots: q.slotsOf}
		if err := q.tails.Update(uint32(cpu), &tail, ebpf.UpdateExist); err != nil {
			return fmt.Errorf("move a tail of the queue: %w", err)
		}
	}
	return nil
}

// copy copies slots in the order of time, as far as the mirror has room.
func (q *queue) copy() error {
	type waiting struct {
		cpu  int
		slot *oldSlot
	}
	var round []waiting
	for cpu := range q.copied {
		for number := q.copied[cpu]; number < min(q.written[cpu], q.copied[cpu]+roundMax); number++ {
			slot := new(oldSlot)
			index := uint32(uint64(cpu)*q.slotsOf + number&(q.slotsOf-1))
			if err := q.slots.Lookup(index, slot); err != nil {
				return fmt.Errorf("read slot %d of the queue: %w", index, err)
			}
			round = append(round, waiting{cpu, slot})
		}
	}
	if len(round) == 0 {
		return nil
	}
	slices.SortStableFunc(round, func(a, b waiting) int { return cmp.Compare(a.slot.Event.TimeNs, b.slot.Event.TimeNs) })
	for _, next := range round {
		if err := q.putGaps(next.slot.Event.TimeNs); err != nil {
			return err
		}
		position, ok := q.mirror.put(recordOf(next.slot, lookups{q.stackOf, q.programOf}))
		if !ok {
			break
		}
		q.copied[next.cpu]++
		q.given = append(q.given, given{next.cpu, next.slot.Share, position})
	}
	return q.publish()
}

// publish keeps the position past what was put into the mirror, and wakes its reader.
func (q *queue) publish() error { return errors.Join(q.keepSeq(q.mirror.Written()), q.mirror.wake()) }

// stackOf looks a kernel stack up. Few differ: they are remembered.
func (q *queue) stackOf(number uint32) []uint64 {
	if frames, known := q.stackMem[number]; known {
		return frames
	}
	raw, err := q.stackMap.LookupBytes(number)
	if err != nil || raw == nil {
		return nil
	}
	q.stackMem[number] = framesOf(raw)
	return q.stackMem[number]
}

// programOf looks up what a process executes: one that was found in /proc has its start as that has it (text_of() of bpf/old_texts.h).
func (q *queue) programOf(key oldKey) (program oldProgram) {
	key.Kind = oldKindOLD_EXE
	if q.texts.Lookup(&key, &program.Exe) != nil {
		key.StartBoottimeNs -= key.StartBoottimeNs % procTickNs
		if q.texts.Lookup(&key, &program.Exe) != nil {
			return oldProgram{}
		}
	}
	for i := range program.Args {
		key.Kind = oldKindOLD_ARGS + oldKind(i)
		if q.texts.Lookup(&key, &program.Args[i]) != nil || program.Args[i].Truncated == 0 {
			break
		}
	}
	return program
}
