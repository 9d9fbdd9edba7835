// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"testing"
	"time"

	"golang.org/x/arch/x86/x86asm"

	"whodunit/loader/internal/unwind/image/imagetest"
)

const (
	callerAt  = 0x1200 // of the file: it calls the function
	codeAt    = 0x1000
	codeBegin = imagetest.Base + codeAt
)

// withoutTables is a crash after n bytes of the code, a function without call frame information, which the instruction before callerAt calls.
func withoutTables(code []byte, n int, words ...uint64) *Crash {
	table, texts := imagetest.Symbols(
		imagetest.Symbol{Name: "f", Value: codeBegin, Size: 0x100, Binding: 1, Type: 2},
		imagetest.Symbol{Name: "caller", Value: imagetest.Base + callerAt - 0x10, Size: 0x100, Binding: 1, Type: 2},
	)
	file := imagetest.File{BuildID: []byte{1}, Sections: map[string][]byte{".symtab": table, ".strtab": texts, "z": make([]byte, 0x2000)}}.Bytes()
	copy(file[codeAt:][:0x100], code)
	file[callerAt-5] = 0xe8
	back := codeAt - callerAt
	binary.LittleEndian.PutUint32(file[callerAt-4:], uint32(int32(back)))
	crash := recursion(1, file)
	crash.Modules[0].Open = func() (File, error) { return inMemory{bytes.NewReader(file)}, nil }
	for i, word := range words {
		binary.LittleEndian.PutUint64(crash.Stack[0].Data[8*i:], word)
	}
	crash.Registers.Set(16, moduleAt+codeAt+uint64(n))
	return crash
}

func TestTheCallerIsWhereTheInstructionsHaveIt(t *testing.T) {
	const caller, stale = moduleAt + callerAt, moduleAt + callerAt
	for _, test := range []struct {
		name  string
		code  string
		at    int
		words []uint64
		base  uint64 // of the frame pointer, above the stack pointer
		want  bool
	}{
		{"at its beginning", "\x90", 0, []uint64{caller}, 0, true},
		{"after a push", "\x53\x90", 1, []uint64{7, caller}, 0, true},
		{"after room", "\x48\x83\xec\x18\x90", 4, []uint64{1, 2, 3, caller}, 0, true},
		{"a stale address in the room", "\x48\x83\xec\x18\x90", 4, []uint64{stale, 2, 3, 4}, 0, false},
		{"after a branch", "\x74\x02\x53\x5b\x90", 4, []uint64{caller}, 0, true},
		{"behind a return", "\x53\x74\x02\x5b\xc3\x90", 5, []uint64{7, caller}, 0, true},
		{"where two ways differ", "\x74\x01\x53\x90", 3, []uint64{7, caller}, 0, false},
		{"aligned, with a frame pointer", "\x55\x48\x89\xe5\x48\x83\xe4\xf0\x90", 8, []uint64{1, 2, 3, caller}, 16, true},
		{"aligned, without a frame pointer", "\x48\x83\xe4\xf0\x90", 4, []uint64{caller}, 0, false},
		{"a return address that was moved", "\x58\x53\x50\x90", 3, []uint64{caller, 7}, 0, true},
		{"where nothing leads", "\xc3\x90\x90", 2, []uint64{caller}, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			crash := withoutTables([]byte(test.code), test.at, test.words...)
			crash.Registers.Set(6, stackAt+test.base)
			stack := mustUnwind(t, testLimits, crash)
			sure := len(stack.Frames) > 1 && stack.Frames[1].FoundBy == FoundByInstructions && !stack.Frames[1].Guess
			if sure = sure || (test.at == 0 && len(stack.Frames) > 1 && !stack.Frames[1].Guess); sure != test.want {
				t.Errorf("%+v", stack.Frames)
			}
		})
	}
}

// noMemory has nothing.
type noMemory struct{}

func (noMemory) Word(uint64) (uint64, bool) { return 0, true }

// walkerIn follows the code of the module, without limits.
func walkerIn(module Module) walker {
	unlimited := meter{deadline: time.Now().Add(time.Hour), bytes: 1 << 40, reads: 1 << 40}
	read := &files{modules: []Module{module}, machine: elf.EM_X86_64, cache: &cache{}, meter: unlimited}
	return walker{crash: &Crash{}, convention: conventions[AMD64], files: read}
}

func registersOf(stackPointer, framePointer uint64) *Registers {
	var registers Registers
	registers.Set(7, stackPointer)
	registers.Set(6, framePointer)
	return &registers
}

// The instructions of functions that have tables say the same as these.
func TestInstructionsAgreeWithTables(t *testing.T) {
	const path = "/lib/x86_64-linux-gnu/libc.so.6"
	const stackPointer, framePointer = 1 << 40, 1 << 44
	file, err := os.Open(path)
	if err != nil {
		t.Skip(err)
	}
	library, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	text := library.Section(".text")
	module := Module{Start: text.Addr, End: text.Addr + text.Size, Offset: text.Offset, File: FileID{Inode: 1}, Open: func() (File, error) { return file, nil }}
	w := walkerIn(module)
	loaded := w.files.load(&module)
	symbols, err := library.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	followed, known := 0, 0
	for _, symbol := range symbols {
		if elf.ST_TYPE(symbol.Info) != elf.STT_FUNC || symbol.Value < text.Addr {
			continue
		}
		for pc := symbol.Value; pc < symbol.Value+min(symbol.Size, 400); {
			code, ok := loaded.code(&module, pc+16, 16)
			instruction, err := x86asm.Decode(code, 64)
			if !ok || err != nil {
				break
			}
			pc += uint64(instruction.Len)
			if instruction.Op != x86asm.CALL {
				continue
			}
			entry, err := loaded.image.Frame(loaded, pc-1)
			if err != nil || entry.Begin != symbol.Value {
				continue
			}
			row, err := entry.Row(pc - 1)
			caller, _, stepErr := row.Step(registersOf(stackPointer, framePointer), 7, noMemory{})
			frame, _ := caller.Get(7)
			w.followed = 0
			state, ok := w.follow(&place{pc: pc, loaded: loaded, module: &module}, symbol.Value)
			known++
			if err != nil || stepErr != nil || !ok {
				continue
			}
			followed++
			byStack, byBase := state.depthKnown && frame == uint64(stackPointer+state.depth+8), state.baseKnown && frame == uint64(framePointer+state.base+8)
			if !byStack && !byBase {
				t.Errorf("%s+%#x: the CFA is %#x, the instructions have %+v", symbol.Name, pc-symbol.Value, frame, state)
			}
		}
	}
	t.Logf("%d of %d places were followed", followed, known)
	if followed < known*8/10 {
		t.Errorf("only %d of %d places were followed", followed, known)
	}
}

func FuzzInstructions(f *testing.F) {
	f.Add([]byte("\x55\x48\x89\xe5\x53\x48\x83\xec\x18\x74\x02\xeb\xf0\x90"), []byte{1, 2, 3}, uint8(13))
	f.Add([]byte("\xeb\xfe"), []byte{}, uint8(2))
	f.Fuzz(func(t *testing.T, code, stack []byte, n uint8) {
		crash := withoutTables(code, int(n))
		copy(crash.Stack[0].Data, stack)
		unwinder := New(Limits{Time: time.Second, Bytes: 1 << 20, Reads: 10_000, Frames: 64, Cache: 1 << 20})
		if result, err := unwinder.unwind(crash); err != nil || len(result.Frames) == 0 {
			t.Errorf("%+v, %v", result, err)
		}
	})
}
