// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// recordARM64 records testdata/arm64 anew. It needs aarch64-linux-gnu-gcc and qemu-aarch64, of which tests of other machines need neither.
const recordARM64 = "WHODUNIT_RECORD_ARM64"

const programARM64 = "testdata/arm64/program"

// recorded is what a core dump has of a crash.
type recorded struct {
	Registers []uint64 // x0 to x30, sp, pc
	StackAt   uint64
	Stack     []byte
}

func TestStacksOfARM64(t *testing.T) {
	for _, test := range []struct {
		how     string
		wanted  []string
		foundBy []FoundBy
	}{
		{"chain", []string{"leaf", "three", "two", "one", "outer", "program", "_start"}, []FoundBy{FoundByPC, FoundByCFI}},
		{
			"handler",
			[]string{"leaf", "three", "two", "one", "handler", SignalHandlerCalled, "interrupted", "outer", "program", "_start"},
			[]FoundBy{FoundByPC, FoundByCFI, FoundBySignal},
		},
		{"jump", []string{"", "jump_to", "outer", "program", "_start"}, []FoundBy{FoundByPC, FoundByReturnAddress, FoundByCFI}},
	} {
		t.Run(test.how, func(t *testing.T) {
			path := filepath.Join("testdata", "arm64", test.how+".json")
			if os.Getenv(recordARM64) != "" {
				record(t, test.how, path)
			}
			stack := mustUnwind(t, testLimits, crashOf(t, path))
			var names []string
			var ways []FoundBy
			for _, frame := range stack.Frames {
				names = append(names, frame.Function)
				if !slices.Contains(ways, frame.FoundBy) {
					ways = append(ways, frame.FoundBy)
				}
				if frame.Guess {
					t.Errorf("a guess: %v", frame)
				}
			}
			if !slices.Equal(names, test.wanted) || !slices.Equal(ways, test.foundBy) || !stack.Complete() {
				t.Errorf("%q by %q, end %q, %v", names, ways, stack.End, stack.Problems)
			}
		})
	}
}

// crashOf reads what was recorded.
func crashOf(t *testing.T, path string) *Crash {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r recorded
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	crash := &Crash{Architecture: ARM64, Stack: []Region{{Start: r.StackAt, Data: r.Stack, Present: 1<<(len(r.Stack)/pageBytes) - 1}}}
	for column, value := range r.Registers {
		crash.Registers.Set(uint64(column), value)
	}
	file, err := elf.Open(programARM64)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_LOAD && segment.Flags&elf.PF_X != 0 {
			start := segment.Vaddr &^ (pageBytes - 1)
			crash.Modules = append(crash.Modules, Module{
				Start: start, End: segment.Vaddr + segment.Memsz, Offset: segment.Off &^ (pageBytes - 1), Path: "/bin/program", File: FileID{Inode: 1},
				Open: func() (File, error) { return os.Open(programARM64) },
			})
		}
	}
	return crash
}

// record builds the program, lets it crash in an emulator, and writes what its core dump has.
func record(t *testing.T, how, path string) {
	t.Helper()
	program, err := filepath.Abs(programARM64)
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	build := exec.Command("aarch64-linux-gnu-gcc", "-O2", "-fomit-frame-pointer", "-fasynchronous-unwind-tables", "-nostdlib", "-static", "-fno-builtin",
		"-mno-outline-atomics", "-Wl,--build-id", "-Wl,-z,max-page-size=4096", "-o", program, program+".c")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	// Paths and variables of who records lie on the stack.
	shell := exec.Command("sh", "-c", `ulimit -c unlimited; cp "$0" program; env -i qemu-aarch64 ./program "$1"`, program, how)
	shell.Dir = directory
	shell.Run() // it crashes
	cores, _ := filepath.Glob(filepath.Join(directory, "qemu_*.core"))
	if len(cores) != 1 {
		t.Fatalf("core dumps: %q", cores)
	}
	r, err := fromCore(cores[0])
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(raw, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// fromCore reads the registers of struct elf_prstatus, and the pages around the stack pointer.
func fromCore(path string) (r recorded, err error) {
	file, err := elf.Open(path)
	if err != nil {
		return r, err
	}
	defer file.Close()
	const noteHead, registersAt, count = 12 + 8, 112, 33
	for _, segment := range file.Progs {
		if segment.Type != elf.PT_NOTE {
			continue
		}
		notes := make([]byte, segment.Filesz)
		if _, err := segment.ReadAt(notes, 0); err != nil {
			return r, err
		}
		r.Registers = make([]uint64, count)
		if _, err := binary.Decode(notes[noteHead+registersAt:], binary.LittleEndian, r.Registers); err != nil {
			return r, err
		}
	}
	if len(r.Registers) == 0 {
		return r, fmt.Errorf("no registers")
	}
	sp := r.Registers[31]
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_LOAD && sp >= segment.Vaddr && sp < segment.Vaddr+segment.Filesz {
			r.StackAt = (sp - 128) &^ (pageBytes - 1)
			r.Stack = make([]byte, min(3*pageBytes, segment.Vaddr+segment.Filesz-r.StackAt))
			_, err = segment.ReadAt(r.Stack, int64(r.StackAt-segment.Vaddr))
		}
	}
	return r, err
}
