// SPDX-License-Identifier: Apache-2.0

package helper

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/crash"
	"whodunit/loader/internal/record"
	"whodunit/loader/internal/unwind"
)

func frames(n int) (out []unwind.Frame) {
	for i := range n {
		out = append(out, unwind.Frame{PC: uint64(i + 1), Function: fmt.Sprintf("f%d", i), Module: "/lib/x.so", FoundBy: unwind.FoundByCFI})
	}
	return out
}

func TestALongStackIsCutInTheMiddle(t *testing.T) {
	if got := framesOf(frames(framesMax)); len(got) != framesMax || *got[framesMax-1].Function != fmt.Sprintf("f%d", framesMax-1) {
		t.Errorf("%d frames", len(got))
	}
	got := framesOf(frames(1000))
	cut := framesMax - outermostFrames - 1
	if len(got) != framesMax || *got[cut-1].Function != fmt.Sprintf("f%d", cut-1) || *got[framesMax-1].Function != "f999" {
		t.Errorf("%d frames, the last is %s", len(got), *got[len(got)-1].Function)
	}
	if want := fmt.Sprintf("<%d frames left out>", 1000-framesMax+1); *got[cut].Function != want || got[cut].FoundBy != "cut" {
		t.Errorf("%+v, want %s", got[cut], want)
	}
	if first := *got[cut+1].Function; first != fmt.Sprintf("f%d", 1000-outermostFrames) {
		t.Errorf("after the cut: %s", first)
	}
}

func TestTheMiddleOfARecursionSaysSo(t *testing.T) {
	recursion := frames(1000)
	for i := range recursion {
		recursion[i].Begin = uint64(0x100 + 0x10*(i%3))
	}
	want := fmt.Sprintf("<%d frames of the recursion left out>", 1000-framesMax+1)
	cut := framesMax - outermostFrames - 1
	if got := *framesOf(recursion)[cut].Function; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	recursion[500].Begin = 0x1000
	if got := *framesOf(recursion)[cut].Function; got == want {
		t.Errorf("with another function: %s", got)
	}
}

func TestAnAnswerFitsAndIsValid(t *testing.T) {
	slot := &abi.CrashSlot{}
	for _, name := range []string{strings.Repeat("a", 2*functionBytesMax), strings.Repeat("\x01", functionBytesMax), strings.Repeat("\xff", functionBytesMax)} {
		stack := unwind.Stack{Frames: frames(1000), Fault: frames(1000), End: unwind.EndFrames}
		for i := range stack.Frames {
			stack.Frames[i].Function, stack.Fault[i].Function, stack.Frames[i].Module = name, name, name
		}
		stack.Problems = []error{errors.New(strings.Repeat("é", problemBytesMax))}
		described := crash.Describe(slot)
		addStack(described, &stack)
		reply := make([]byte, 64<<10)
		length := encode(reply, described)
		var read record.Crash
		if err := json.Unmarshal(reply[:length], &read); err != nil || length > crash.ReplyBytesMax || !read.Valid() || len(read.Frames) == 0 {
			t.Fatalf("%d bytes, %d frames: %v", length, len(read.Frames), err)
		}
		if read.Complete || len(*read.Frames[0].Function) > 3*functionBytesMax || len(read.Problems[0]) > problemBytesMax {
			t.Errorf("complete %v, a function of %d bytes, a problem of %d", read.Complete, len(*read.Frames[0].Function), len(read.Problems[0]))
		}
	}
}

func TestAFailureIsSaid(t *testing.T) {
	described := crash.Describe(&abi.CrashSlot{})
	addFailure(described, err32)
	if described.State != record.CrashFailed || described.End != err32.Error() {
		t.Errorf("%+v", described)
	}
}

// of64Bits marks registers as those of a 64-bit process.
func of64Bits(registers *abi.ThreadRegisters) {
	registers.Signo = 11
	if runtime.GOARCH == "amd64" {
		registers.Words[codeSegmentX86] = codeSegmentX86_64
	}
}

func TestACrashHasWhatTheSlotHas(t *testing.T) {
	slot := &abi.CrashSlot{ModulesCount: 1 << 40, CodeBytes: 1 << 40}
	of64Bits(&slot.Crashed)
	slot.Regions[0] = abi.StackRegion{Start: 0x10000, Present: 3}
	slot.Regions[2] = abi.StackRegion{Start: 0x50000, Present: 1}
	slot.Stack[0], slot.Stack[24*crash.PageBytes] = 1, 2
	modules := slot.Mappings[abi.MappingPlaceMAPPING_OF_MODULES:]
	modules[0] = abi.CrashMapping{Start: 1, End: 2, Flags: vmExec, Inode: 3, Device: 4, Generation: 5, FileBytes: 6, CtimeS: 7}
	modules[1] = abi.CrashMapping{Start: 3, End: 4, Flags: vmExec | vmDontExpand}
	modules[2] = abi.CrashMapping{Start: 5, End: 6, Flags: vmExec}
	got, err := crashOf(slot, &abi.CrashPages{}, &opener{})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Stack) != 2 || got.Stack[0].Data[0] != 1 || got.Stack[1].Data[0] != 2 || got.Stack[1].Start != 0x50000 || len(got.Stack[1].Data) != 8*crash.PageBytes {
		t.Errorf("%d regions", len(got.Stack))
	}
	want := unwind.FileID{Device: 4, Inode: 3, Generation: 5, Bytes: 6, ChangedNs: 7e9}
	if len(got.Modules) != len(modules) || got.Modules[0].File != want || got.Modules[0].Open == nil {
		t.Errorf("%d modules, %+v", len(got.Modules), got.Modules[0])
	}
	if got.Modules[1].File != unwind.VDSO || got.Modules[1].Open == nil || got.Modules[2].Open != nil {
		t.Errorf("%+v", got.Modules[1:3])
	}
	if got.Fault != nil || len(got.Code) != len(slot.Code) {
		t.Errorf("fault %+v, %d bytes of code", got.Fault, len(got.Code))
	}
	of64Bits(&slot.Handled)
	if got, err := crashOf(slot, &abi.CrashPages{}, &opener{}); err != nil || got.Fault == nil {
		t.Errorf("the handled fault is missing: %v", err)
	}
}

func TestA32BitProcessIsNotUnwound(t *testing.T) {
	slot := &abi.CrashSlot{}
	if runtime.GOARCH == "arm64" {
		slot.Crashed.Words[pstateARM] = pstate32
	}
	if _, err := crashOf(slot, &abi.CrashPages{}, &opener{}); !errors.Is(err, err32) {
		t.Errorf("%v", err)
	}
}

//go:noinline
func crashes() {}

// The slot says that this test crashed in crashes(): its name is in Go's table of this very executable.
func TestTheWorkerNamesFunctions(t *testing.T) {
	arena, err := crash.NewArena()
	if err != nil {
		t.Fatal(err)
	}
	defer arena.Close()
	pc := uint64(reflect.ValueOf(crashes).Pointer())
	slot := arena.Slot(1)
	of64Bits(&slot.Crashed)
	setPC(&slot.Crashed, pc)
	mapOwnText(t, slot, pc)
	w := worker{arena: arena, unwinder: unwind.New(limits), opener: newOpener()}
	var got record.Crash
	if err := json.Unmarshal(arena.Reply(1)[:w.answer(1)], &got); err != nil {
		t.Fatal(err)
	}
	if got.State != record.CrashUnwound || len(got.Frames) == 0 || got.Frames[0].Function == nil || !strings.HasSuffix(*got.Frames[0].Function, "helper.crashes") {
		t.Errorf("%+v", got)
	}
}
