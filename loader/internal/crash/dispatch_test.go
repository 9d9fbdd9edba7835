// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"testing"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/record"
)

func TestOneOriginLeavesHalfOfTheEntriesToOthers(t *testing.T) {
	s := newStage(t)
	mallory, alice := abi.Origin{Uid: 1}, abi.Origin{Uid: 2}
	pc := uint64(0)
	differently := func(slot *abi.CrashSlot) { pc++; abortedAt(pc)(slot) }
	for range entriesMax / 2 {
		s.crashOf(mallory, differently)
	}
	s.wantState(s.crashOf(mallory, differently), record.CrashBusy)
	hers := s.crashOf(alice, differently)
	if crash, wait := s.Of(hers); crash != nil || wait == 0 {
		t.Fatalf("%+v: the crash of another origin does not wait for its stack", crash)
	}
	// Her turn is next but one, after what the helper already has.
	for range sentMax + 1 {
		s.answer(s.request(), reply(t, "f"))
	}
	asked := s.request()
	if found, _ := PCAndStackPointer(s.arena.Slot(int(asked.Entry))); found != pc {
		t.Errorf("the helper gets the crash at %d, want %d", found, pc)
	}
	s.answer(asked, reply(t, "f"))
	s.wantState(hers, record.CrashUnwound)
}

func TestTheBytesOfCopiesAreShared(t *testing.T) {
	entries := newEntries()
	mallory, alice := abi.Origin{Uid: 1}, abi.Origin{Uid: 2}
	const bytes = 1 << 20
	taken := 0
	for ; ; taken++ {
		if _, found := entries.take(mallory, bytes); !found {
			break
		}
	}
	if _, found := entries.take(alice, bytes); taken != copiesBytesMax/2/bytes || !found {
		t.Errorf("%d MiB were taken, another origin finds memory: %v", taken, found)
	}
}

func TestACrashThatWaitsTooLongIsGivenUp(t *testing.T) {
	s := newStage(t)
	for pc := range uint64(sentMax) {
		s.crash(abortedAt(pc + 1))
	}
	late := s.crash(abortedAt(1 << 20))
	removed := s.waiting.removeBefore(late.Sequence + 1)
	if len(removed) != 1 || s.waiting.next() != nil {
		t.Fatalf("%d crashes were removed", len(removed))
	}
	s.end(removed[0], record.NoStack(record.CrashBusy, 0, ""), 0)
	s.wantState(late, record.CrashBusy)
}

func TestAnEqualCrashHasTheFramesOfTheFirstAndItsOwnRegisters(t *testing.T) {
	s := newStage(t)
	fill := func(address uint64) func(*abi.CrashSlot) {
		return func(slot *abi.CrashSlot) { abortedAt(7)(slot); slot.Address = address }
	}
	first := s.crash(fill(1))
	meanwhile := s.crash(fill(2))
	if crash, wait := s.Of(meanwhile); crash != nil || wait == 0 {
		t.Errorf("%+v does not wait for the stack of the first", crash)
	}
	s.answer(s.request(), reply(t, "leaf"))
	s.wantState(first, record.CrashUnwound)
	s.wantAllFree()
	for _, equal := range []struct {
		record.CrashReference
		address string
	}{{meanwhile, "0x2"}, {s.crash(fill(3)), "0x3"}} {
		s.wantState(equal.CrashReference, record.CrashRepeated)
		if crash, _ := s.Of(equal.CrashReference); len(crash.Frames) != 1 || *crash.Frames[0].Function != "leaf" || *crash.Address != equal.address {
			t.Errorf("%+v", crash)
		}
	}
}

func TestAFailureIsThatOfTheCrashesThatWaitedForItAndOfNoLaterOne(t *testing.T) {
	s := newStage(t)
	first, meanwhile := s.crash(abortedAt(7)), s.crash(abortedAt(7))
	s.answer(s.request(), "{}")
	s.wantState(first, record.CrashFailed)
	s.wantState(meanwhile, record.CrashFailed)
	next, last := s.crash(abortedAt(7)), s.crash(abortedAt(7))
	s.answer(s.request(), reply(t, "leaf"))
	s.wantState(next, record.CrashUnwound)
	s.wantState(last, record.CrashRepeated)
}
