// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"whodunit/loader/internal/unwind/image/imagetest"
)

// testLimits are those of the helper, with more time for a busy machine.
var testLimits = Limits{Time: 10 * time.Second, Bytes: 512 << 20, Reads: 200_000, Frames: 2048, Cache: 8 << 20}

const (
	stackAt  = 0x7000_0000
	moduleAt = 0x40_0000 // where the file is mapped from its start
)

// program has one function, from imagetest.Base + 0x1000 to + 0x1100, whose frame has 16 bytes. It calls itself.
func program(function string) []byte {
	begin := uint64(imagetest.Base + 0x1000)
	table, texts := imagetest.Symbols(imagetest.Symbol{Name: function, Value: begin, Size: 0x100, Binding: 1, Type: 2})
	frames := []byte("\x14\x00\x00\x00\x00\x00\x00\x00\x01zR\x00\x01\x78\x10\x01\x04\x0c\x07\x10\x90\x01\x00\x00" + // CFA is rsp + 16
		"\x18\x00\x00\x00\x1c\x00\x00\x00")
	frames = binary.LittleEndian.AppendUint64(frames, begin)
	frames = binary.LittleEndian.AppendUint64(frames, 0x100)
	frames = append(frames, 0, 0, 0, 0)
	return imagetest.File{BuildID: []byte{1, 2, 3}, Sections: map[string][]byte{
		".eh_frame": frames, ".symtab": table, ".strtab": texts, "z": make([]byte, 0x2000),
	}}.Bytes()
}

// recursion is a crash in the program, with that many frames of its function. The last one returns to 0.
func recursion(frames int, file []byte) *Crash {
	region := Region{Start: stackAt, Data: make([]byte, 64<<10), Present: 1<<16 - 1}
	for i := range frames - 1 {
		binary.LittleEndian.PutUint64(region.Data[16*i+8:], moduleAt+0x1050)
	}
	crash := &Crash{Architecture: AMD64, Stack: []Region{region}, Modules: []Module{{
		Start: moduleAt, End: moduleAt + 0x3000, Path: "/bin/program", File: FileID{Inode: 1},
		Open: func() (File, error) { return inMemory{bytes.NewReader(file)}, nil },
	}}}
	crash.Registers.Set(7, stackAt)
	crash.Registers.Set(16, moduleAt+0x1010)
	return crash
}

func mustUnwind(t *testing.T, limits Limits, crash *Crash) Stack {
	t.Helper()
	stack, err := New(limits).Unwind(crash)
	if err != nil {
		t.Fatal(err)
	}
	return stack
}

func TestAFrameSaysWhereItIs(t *testing.T) {
	stack := mustUnwind(t, testLimits, recursion(2, program("f")))
	want := []Frame{
		{PC: moduleAt + 0x1010, Module: "/bin/program", BuildID: "010203", Address: imagetest.Base + 0x1010, Function: "f", Begin: imagetest.Base + 0x1000, Offset: 0x10, FoundBy: FoundByPC},
		{PC: moduleAt + 0x1050, Module: "/bin/program", BuildID: "010203", Address: imagetest.Base + 0x1050, Function: "f", Begin: imagetest.Base + 0x1000, Offset: 0x50, FoundBy: FoundByCFI},
	}
	if fmt.Sprint(stack.Frames) != fmt.Sprint(want) || stack.Frames[0] != want[0] || stack.Frames[1] != want[1] || stack.End != EndUnknown || len(stack.Problems) > 0 {
		t.Errorf("%+v", stack)
	}
}

func TestEachLimitEndsAStack(t *testing.T) {
	with := func(change func(*Limits)) Limits {
		limits := testLimits
		change(&limits)
		return limits
	}
	for _, test := range []struct {
		name   string
		limits Limits
		frames int
		end    End
	}{
		{"none", testLimits, 1000, EndUnknown},
		{"frames", with(func(l *Limits) { l.Frames = 100 }), 1000, EndFrames},
		{"reads", with(func(l *Limits) { l.Reads = 12 }), 1000, EndLimit},
		{"bytes", with(func(l *Limits) { l.Bytes = 2000 }), 1000, EndLimit},
		{"time", with(func(l *Limits) { l.Time = time.Nanosecond }), 1000, EndLimit},
	} {
		t.Run(test.name, func(t *testing.T) {
			crash := recursion(test.frames, program("f"))
			unwinder := New(test.limits)
			if test.limits.Time == time.Nanosecond { // Unwind would give up before the goroutine has begun
				stack, err := unwinder.recovered(crash)
				if err != nil || stack.End != test.end {
					t.Errorf("end %q, %v", stack.End, err)
				}
				return
			}
			stack, err := unwinder.Unwind(crash)
			if err != nil || stack.End != test.end || stack.Truncated() != (test.end != EndUnknown) {
				t.Errorf("end %q, %v", stack.End, err)
			}
		})
	}
}

func TestRecursionOverTheEndOfTheCopyIsTruncated(t *testing.T) {
	stack := mustUnwind(t, Limits{Time: time.Minute, Bytes: 1 << 30, Reads: 1 << 20, Frames: 1 << 20}, recursion(4097, program("f")))
	if stack.End != EndNotCopied || len(stack.Frames) != 4097 {
		t.Errorf("end %q, %d frames", stack.End, len(stack.Frames))
	}
	if first, last := stack.Frames[0].Function, stack.Frames[4096].Function; first != "f" || last != "f" {
		t.Errorf("functions %q and %q", first, last)
	}
}

func TestTablesAreKeptForTheSameFileOnly(t *testing.T) {
	unwinder := New(testLimits)
	opened := 0
	of := func(id FileID, file []byte) *Crash {
		crash := recursion(3, file)
		crash.Modules[0].File = id
		crash.Modules[0].Open = func() (File, error) { opened++; return inMemory{bytes.NewReader(file)}, nil }
		return crash
	}
	for i, step := range []struct {
		crash    *Crash
		function string
		opened   int
	}{
		{of(FileID{Inode: 1, ChangedNs: 1}, program("f")), "f", 1},
		{of(FileID{Inode: 1, ChangedNs: 1}, program("f")), "f", 1},
		{of(FileID{Inode: 1, ChangedNs: 2}, program("g")), "g", 2}, // another file with the same build id, such as an attacker may make
		{of(FileID{Inode: 1, ChangedNs: 1}, program("f")), "f", 2},
	} {
		stack, err := unwinder.Unwind(step.crash)
		if err != nil || stack.Frames[0].Function != step.function || opened != step.opened {
			t.Errorf("step %d: %q, opened %d times, %v", i, stack.Frames[0].Function, opened, err)
		}
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	limits := testLimits
	limits.Cache = 3 * imageBytes
	unwinder := New(limits)
	for i := range 10 {
		crash := recursion(3, program("f"))
		crash.Modules[0].File.Inode = uint64(i + 1)
		if _, err := unwinder.Unwind(crash); err != nil {
			t.Fatal(err)
		}
		if c := &unwinder.cache; c.bytes > limits.Cache || len(c.entries) > 3 {
			t.Fatalf("%d bytes, %d files", c.bytes, len(c.entries))
		}
	}
	if unwinder.cache.bytes == 0 {
		t.Error("nothing is kept")
	}
}

// failing is a File whose reads do what a test wants.
type failing struct{ read func() (int, error) }

func (f failing) ReadAt([]byte, int64) (int, error) { return f.read() }
func (failing) Close() error                        { return nil }

func TestAFileThatCannotBeReadCostsItsNames(t *testing.T) {
	crash := recursion(3, nil)
	crash.Modules[0].Open = func() (File, error) { return nil, os.ErrPermission }
	stack := mustUnwind(t, testLimits, crash)
	if len(stack.Frames) != 1 || stack.Frames[0].Module != "/bin/program" || stack.End != EndUnknown {
		t.Errorf("%+v", stack)
	}
	if len(stack.Problems) != 1 || !errors.Is(stack.Problems[0], os.ErrPermission) {
		t.Errorf("problems %v", stack.Problems)
	}
}

func TestAPanicCostsOneStack(t *testing.T) {
	crash := recursion(3, nil)
	crash.Modules[0].Open = func() (File, error) { return failing{func() (int, error) { panic("a mistake") }}, nil }
	unwinder := New(testLimits)
	if _, err := unwinder.Unwind(crash); err == nil || !strings.Contains(err.Error(), "a mistake") {
		t.Errorf("error %v", err)
	}
	if stack, err := unwinder.Unwind(recursion(3, program("f"))); err != nil || len(stack.Frames) != 3 {
		t.Errorf("the next one: %+v, %v", stack, err)
	}
}

func TestReadsThatHangAreLimited(t *testing.T) {
	limits := testLimits
	limits.Time = 5 * time.Millisecond
	unwinder := New(limits)
	hang := make(chan bool)
	for i := range stuckMax + 1 {
		crash := recursion(3, nil)
		crash.Modules[0].Open = func() (File, error) { return failing{func() (int, error) { <-hang; return 0, os.ErrClosed }}, nil }
		want := ErrStuck
		if i == stuckMax {
			want = ErrBusy
		}
		if _, err := unwinder.Unwind(crash); !errors.Is(err, want) {
			t.Errorf("stack %d: %v, want %v", i, err, want)
		}
	}
	close(hang)
	for unwinder.running.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
}

func TestAnArchitectureThatIsNotKnown(t *testing.T) {
	if _, err := New(testLimits).Unwind(&Crash{}); err == nil {
		t.Error("no error")
	}
}

func TestReadableNames(t *testing.T) {
	for name, want := range map[string]string{
		"main":                      "main",
		"aborts.cold":               "aborts",
		"f.constprop.0.isra.0":      "f",
		"_ZN3app6Worker3runEi":      "app::Worker::run(int)",
		"_ZN3app6Worker3runEi.cold": "app::Worker::run(int)",
		"_ZN4core9panicking5panic17h0123456789abcdefE":                        "core::panicking::panic",
		"_ZN3std9backtrace28__rust_begin_short_backtrace17h0123456789abcdefE": "std::backtrace::__rust_begin_short_backtrace",
		"_ZN36_$LT$T$u20$as$u20$core..any..Any$GT$4_one17h0123456789abcdefE":  "<T as core::any::Any>::_one",
		"memcpy@@GLIBC_2.14":                  "memcpy",
		"_RNvCs1234_7mycrate3foo":             "mycrate::foo",
		"_Z":                                  "_Z",
		"a\xffb":                              "a\uFFFDb",
		strings.Repeat("é", functionBytesMax): strings.Repeat("é", (functionBytesMax-len(cutOff))/2) + cutOff,
	} {
		if got := readable(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
