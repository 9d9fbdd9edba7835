// SPDX-License-Identifier: Apache-2.0

package oldprobes

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/host"
	"whodunit/loader/internal/wire"
)

// Gaps: the times in which no probe was attached, as no loader ran. They are kept in a map until the service has acknowledged them, and are
// records of the ring, so that each of them is reported once.

// waitingGap is a gap that is not in the mirror yet.
type waitingGap struct {
	index uint32 // in the map
	gap   oldGap
}

// gapPut is a gap whose record the mirror has.
type gapPut struct {
	index uint32
	end   uint64 // the position past its record
}

// noteGap keeps that no probe was attached from the end of the former loader until now.
func (p *Probes) noteGap(formerNs uint64) error {
	gap := oldGap{FromNs: formerNs, ToNs: host.BoottimeNs()}
	if err := keepGap(p.gaps, gap); err != nil {
		return fmt.Errorf("keep when no probe was attached: %w", err)
	}
	p.Gap = &wire.Gap{FromNs: gap.FromNs, ToNs: gap.ToNs}
	return nil
}

// keepGap adds a gap. The last place is for all that find no other, as one gap with what is between them.
func keepGap(gaps *ebpf.Map, gap oldGap) error {
	var known oldGap
	last := gaps.MaxEntries() - 1
	for index := uint32(0); ; index++ {
		if err := gaps.Lookup(index, &known); err != nil {
			return err
		}
		if known.ToNs == 0 {
			return gaps.Update(index, &gap, ebpf.UpdateExist)
		}
		if index == last {
			known.ToNs = gap.ToNs
			return gaps.Update(index, &known, ebpf.UpdateExist)
		}
	}
}

// readGaps reads the gaps that the service has not acknowledged.
func (q *queue) readGaps() error {
	for index := range q.gapMap.MaxEntries() {
		var gap oldGap
		if err := q.gapMap.Lookup(index, &gap); err != nil {
			return fmt.Errorf("read when no probe was attached: %w", err)
		}
		if gap.ToNs != 0 {
			q.gaps = append(q.gaps, waitingGap{index, gap})
		}
	}
	slices.SortFunc(q.gaps, func(a, b waitingGap) int { return cmp.Compare(a.gap.ToNs, b.gap.ToNs) })
	return nil
}

// putGaps puts the gaps into the mirror that ended until then, as far as it has room.
func (q *queue) putGaps(untilNs uint64) error {
	for len(q.gaps) > 0 && q.gaps[0].gap.ToNs <= untilNs {
		first := q.gaps[0]
		position, ok := q.mirror.put(gapRecord(first.gap, host.ClockOffsetNs()))
		if !ok {
			break
		}
		q.gaps, q.gapsPut = q.gaps[1:], append(q.gapsPut, gapPut{first.index, position})
		if err := q.publish(); err != nil {
			return err
		}
	}
	return nil
}

// removeGaps removes those up to the position, which the service has acknowledged.
func (q *queue) removeGaps(acked uint64) error {
	for len(q.gapsPut) > 0 && q.gapsPut[0].end <= acked {
		if err := q.gapMap.Update(q.gapsPut[0].index, &oldGap{}, ebpf.UpdateExist); err != nil {
			return fmt.Errorf("remove an acknowledged gap: %w", err)
		}
		q.gapsPut = q.gapsPut[1:]
	}
	return nil
}

func gapRecord(gap oldGap, clockOffsetNs int64) []byte {
	event := abi.Event{Abi: uint32(abi.EventAbiEVENT_ABI), Flags: uint32(abi.EventFlagEVENT_FLAG_GAP), TimeNs: gap.ToNs, ClockOffsetNs: clockOffsetNs}
	return appendPart(bytesOf(&event)[:], abi.PartKindPART_GAP, 0, binary.NativeEndian.AppendUint64(nil, gap.FromNs))
}
