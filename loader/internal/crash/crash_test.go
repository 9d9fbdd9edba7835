// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/log"
	"whodunit/loader/internal/record"
)

// stage is Crashes with maps that are real and empty, and a helper that the test plays.
type stage struct {
	*Crashes
	t         *testing.T
	requested *os.File
}

func newStage(t *testing.T) *stage {
	t.Helper()
	arena, err := NewArena()
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	slots, err := openSlots(newMaps(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, end := range []func() error{read.Close, write.Close, slots.close, arena.Close} {
			if err := end(); err != nil {
				t.Error(err)
			}
		}
	})
	return &stage{newCrashes(slots, arena, &Helper{requests: write}, log.New(io.Discard), boottimeNs()), t, read}
}

// crash does what the probes do, and returns the reference in the record. Then the loader takes the slot, and sends what it may to the helper.
func (s *stage) crash(fill func(*abi.CrashSlot)) record.CrashReference {
	s.t.Helper()
	return s.crashOf(abi.Origin{}, fill)
}

func (s *stage) crashOf(origin abi.Origin, fill func(*abi.CrashSlot)) record.CrashReference {
	s.t.Helper()
	var slot uint32
	if err := s.slots.free.LookupAndDelete(nil, &slot); err != nil {
		s.t.Fatal(err)
	}
	reference := record.CrashReference{Slot: slot, Sequence: boottimeNs()}
	content := abi.CrashSlot{Sequence: reference.Sequence}
	fill(&content)
	if err := s.slots.slots.Put(slot, content); err != nil {
		s.t.Fatal(err)
	}
	s.slots.directory.Claims[slot] = abi.CrashClaim{Sequence: reference.Sequence, State: uint32(abi.CrashSlotStateSLOT_FULL), Origin: origin}
	if taken := s.takeSlots(); taken != 1 {
		s.t.Fatalf("%d slots were taken", taken)
	}
	s.dispatchOne(<-s.copied)
	s.sendNext()
	return reference
}

// request returns the next one that the helper gets.
func (s *stage) request() (request Message) {
	s.t.Helper()
	if err := binary.Read(s.requested, binary.NativeEndian, &request); err != nil {
		s.t.Fatal(err)
	}
	return request
}

func (s *stage) answer(asked Message, reply string) {
	asked.Bytes = uint32(copy(s.arena.Reply(int(asked.Entry)), reply))
	s.answered(asked)
}

func (s *stage) wantState(reference record.CrashReference, want record.CrashState) {
	s.t.Helper()
	if crash, wait := s.Of(reference); wait > 0 || crash.State != want || crash.Sequence != reference.Sequence {
		s.t.Errorf("%+v, wait %v; want %s", crash, wait, want)
	}
}

// passTime lets the time pass in which the helper has to answer.
func (s *stage) passTime() {
	for _, request := range s.sent {
		request.sent = request.sent.Add(-2 * answerTimeMax)
	}
	s.giveUpLate()
	s.sendNext()
}

// wantAllFree reports entries and slots that are in use.
func (s *stage) wantAllFree() {
	s.t.Helper()
	s.takeBack()
	if len(s.entries.free) != entriesMax || s.entries.sum != (holding{}) || len(s.entries.held) != 0 {
		s.t.Errorf("%d of %d entries are free, %+v is held", len(s.entries.free), entriesMax, s.entries.sum)
	}
	for slot := range slotsCount {
		if s.slots.isFull(slot) {
			s.t.Errorf("slot %d is full", slot)
		}
	}
}

func abortedAt(pc uint64) func(*abi.CrashSlot) {
	return func(slot *abi.CrashSlot) {
		slot.Crashed.Signo = 6
		slot.Mappings[abi.MappingPlaceMAPPING_OF_MODULES], slot.ModulesCount = abi.CrashMapping{End: 1 << 40}, 1
		setPC(slot, pc)
	}
}

func reply(t *testing.T, function string) string {
	t.Helper()
	crash := record.NoStack(record.CrashUnwound, 0, "outermost")
	crash.Frames = []record.Frame{{PC: "0x1", Function: &function, FoundBy: "pc"}}
	text, err := json.Marshal(crash)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestARecordWaitsForItsStackAndGetsIt(t *testing.T) {
	s := newStage(t)
	reference := s.crash(abortedAt(7))
	if crash, wait := s.Of(reference); crash != nil || wait <= 0 || wait > waitMax {
		t.Errorf("%+v, wait %v", crash, wait)
	}
	asked := s.request()
	if pc, _ := PCAndStackPointer(s.arena.Slot(int(asked.Entry))); pc != 7 {
		t.Errorf("the helper finds pc %#x", pc)
	}
	s.answer(asked, reply(t, "leaf"))
	s.wantState(reference, record.CrashUnwound)
	if pc, _ := PCAndStackPointer(s.arena.Slot(int(asked.Entry))); pc != 0 || s.arena.Reply(int(asked.Entry))[0] != 0 {
		t.Error("the copy was not erased")
	}
	s.wantAllFree()
}

func TestASlotIsZeroAndFreeOnceItIsCopied(t *testing.T) {
	s := newStage(t)
	reference := s.crash(func(slot *abi.CrashSlot) { slot.Stack[0], slot.Paths[0], slot.Work.Words[0] = 1, 1, 1 })
	var left abi.CrashSlot
	if err := s.slots.slots.Lookup(reference.Slot, &left); err != nil {
		t.Fatal(err)
	}
	if left != (abi.CrashSlot{}) {
		t.Error("the slot is not zero")
	}
	for range slotsCount {
		var slot uint32
		if err := s.slots.free.LookupAndDelete(nil, &slot); err != nil {
			t.Fatalf("a slot is not free: %v", err)
		}
	}
}

func TestARecordSaysWhyItHasNoStack(t *testing.T) {
	s := newStage(t)
	s.wantState(record.CrashReference{}, record.CrashNoSlot)
	s.wantState(record.CrashReference{Sequence: s.startNs - 1}, record.CrashLost)

	for _, malformed := range []string{"", "{}", "null", "[", strings.Replace(reply(t, "f"), `"0x1"`, `"0x1\n"`, 1)} {
		reference := s.crash(abortedAt(uint64(len(malformed) + 1)))
		s.answer(s.request(), malformed)
		s.wantState(reference, record.CrashFailed)
	}

	tooLong := s.crash(abortedAt(1 << 20))
	asked := s.request()
	asked.Bytes = ^uint32(0)
	s.answered(asked)
	s.wantState(tooLong, record.CrashFailed)

	lost, next := s.crash(abortedAt(2<<20)), s.crash(abortedAt(3<<20))
	s.request()
	s.answer(s.request(), reply(t, "f")) // of the second: the helper was restarted between them
	s.wantState(lost, record.CrashFailed)
	s.wantState(next, record.CrashUnwound)

	late := s.crash(abortedAt(4 << 20))
	s.request()
	s.passTime()
	s.wantState(late, record.CrashTimeout)
	s.wantAllFree()
}

func TestAnAnswerThatWasGivenUpChangesNothing(t *testing.T) {
	s := newStage(t)
	late := s.crash(abortedAt(1))
	asked := s.request()
	s.passTime()
	s.answer(asked, reply(t, "f"))
	s.wantState(late, record.CrashTimeout)
}

func TestTheLoaderThatTakesOverErasesWhatTheLastOneLeft(t *testing.T) {
	slots, directory, free, pages := newMaps(t)
	first, err := openSlots(slots, directory, free, pages)
	if err != nil {
		t.Fatal(err)
	}
	var full, filling, taken uint32
	for _, slot := range []*uint32{&full, &filling, &taken} {
		if err := free.LookupAndDelete(nil, slot); err != nil {
			t.Fatal(err)
		}
		if err := slots.Put(*slot, abi.CrashSlot{Address: 1}); err != nil {
			t.Fatal(err)
		}
	}
	*first.state(int(full)), *first.state(int(filling)) = uint32(abi.CrashSlotStateSLOT_FULL), uint32(abi.CrashSlotStateSLOT_FILLING)
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	second, err := openSlots(slots, directory, free, pages)
	if err != nil {
		t.Fatal(err)
	}
	defer second.close()
	if took := time.Since(started); took > 10*fillTime {
		t.Errorf("it took %v", took)
	}
	seen := map[uint32]bool{}
	for range slotsCount {
		var slot uint32
		var left abi.CrashSlot
		if err := free.LookupAndDelete(nil, &slot); err != nil || slots.Lookup(slot, &left) != nil || left.Address != 0 || seen[slot] {
			t.Fatalf("slot %d: %v, address %#x, twice: %v", slot, err, left.Address, seen[slot])
		}
		seen[slot] = true
	}
}
