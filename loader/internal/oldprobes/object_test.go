// SPDX-License-Identifier: Apache-2.0

package oldprobes

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// instructionsMax is BPF_MAXINSNS of include/uapi/linux/bpf_common.h, which limits a program up to Linux 5.1 (c04c0d2b968a of 5.2 lifts it).
const instructionsMax = 4096

// What an object for Linux 4.17 may use, each with the release and the commit that added it. A helper that newer kernels have is refused, even if
// it is never called: their verifiers know no other way to find out.
var (
	helpersOfOldKernels = map[asm.BuiltinFunc]string{
		asm.FnMapLookupElem:     "3.19, 9c399760c04c",
		asm.FnMapUpdateElem:     "3.19, 9c399760c04c",
		asm.FnMapDeleteElem:     "3.19, 9c399760c04c",
		asm.FnProbeRead:         "4.1, 2541517c32be",
		asm.FnKtimeGetNs:        "4.1, d9847d310ab4",
		asm.FnGetSmpProcessorId: "4.1, c04167ce2ca0",
		asm.FnGetCurrentComm:    "4.2, ffeedafbf023",
		asm.FnGetStackid:        "4.6, d5a3b1f69186; of raw tracepoints 4.17, c4f6699dfcb8",
		asm.FnGetCurrentTask:    "4.8, 606274c5abd8",
		asm.FnProbeReadStr:      "4.11, a5e8c07059d0",
	}
	mapsOfOldKernels = map[ebpf.MapType]string{
		ebpf.Hash:        "3.19, 0f8e4bd8a1fc",
		ebpf.Array:       "3.19, 28fbcfa08d8e",
		ebpf.PerCPUArray: "4.6, a10423b87a7e",
		ebpf.StackTrace:  "4.6, d5a3b1f69186",
		ebpf.LRUHash:     "4.10, 29ba732acbee",
	}
	// Those of the classic instruction set, and comparisons with a sign (3.18). JLT, JLE and theirs with a sign came with 4.14 (92b31a9af73b), and
	// jumps that compare 32 bits with 5.1 (092ed0968bb6).
	jumpsOfOldKernels = []asm.JumpOp{asm.Ja, asm.JEq, asm.JGT, asm.JGE, asm.JSet, asm.JNE, asm.JSGT, asm.JSGE, asm.Call, asm.Exit}
)

func TestTheProgramsOfOldKernelsUseOnlyWhatThoseHave(t *testing.T) {
	spec, err := loadOld()
	if err != nil {
		t.Fatal(err)
	}
	if len(spec.Programs) != len(hooks()) {
		t.Errorf("%d programs for %d hooks", len(spec.Programs), len(hooks()))
	}
	for name, program := range spec.Programs {
		if program.Type != ebpf.RawTracepoint {
			t.Errorf("%s is of type %v", name, program.Type)
		}
		var raw bytes.Buffer
		if err := program.Instructions.Marshal(&raw, binary.LittleEndian); err != nil {
			t.Fatal(err)
		}
		if slots := raw.Len() / asm.InstructionSize; slots > instructionsMax {
			t.Errorf("%s has %d instructions; the limit is %d", name, slots, instructionsMax)
		}
		for i := range program.Instructions {
			if why := notOld(&program.Instructions[i]); why != "" {
				t.Errorf("%s, instruction %d, %v: %s", name, i, program.Instructions[i], why)
			}
		}
		refuseLoops(t, name, program.Instructions)
	}
	for name, one := range spec.Maps {
		if mapsOfOldKernels[one.Type] == "" {
			t.Errorf("map %s is of type %v", name, one.Type)
		}
		// Global variables, which are in maps, came with 5.2 (d8eca5bbb2be); memory that user space maps with 5.5 (fc9702273e2e).
		if strings.HasPrefix(name, ".") || one.Flags != 0 {
			t.Errorf("map %s has the flags %#x", name, one.Flags)
		}
	}
}

// notOld says what of an instruction old kernels lack; "": nothing.
func notOld(instruction *asm.Instruction) string {
	var raw bytes.Buffer
	plain := *instruction
	if _, err := plain.Marshal(&raw, binary.LittleEndian); err != nil {
		return err.Error()
	}
	offset, immediate := int16(binary.LittleEndian.Uint16(raw.Bytes()[2:])), binary.LittleEndian.Uint32(raw.Bytes()[4:])
	switch class := instruction.OpCode.Class(); {
	case class == asm.Jump32Class:
		return "a jump that compares 32 bits"
	case class == asm.JumpClass && !isOldJump(instruction.OpCode.JumpOp()):
		return "a jump of 4.14"
	case instruction.IsFunctionCall(), instruction.IsKfuncCall(), instruction.IsLoadOfFunctionPointer():
		return "a call of a function" // 4.16 (cc8b0b92a169)
	case instruction.IsBuiltinCall() && helpersOfOldKernels[asm.BuiltinFunc(instruction.Constant)] == "":
		return "a helper that is not in the table"
	case instruction.IsConstantLoad(asm.DWord) && instruction.Src != 0 && instruction.Src != asm.PseudoMapFD:
		return "an address of 5.2" // of a value in a map (d8eca5bbb2be)
	case class.IsALU() && offset != 0:
		return "an instruction of 6.6" // moves and divisions with a sign (1f9a1ea821ff)
	case class == asm.StXClass && instruction.OpCode.Mode() == asm.AtomicMode && immediate != 0:
		return "an atomic instruction of 5.12" // 5ffa25502b5a
	case class == asm.LdXClass && instruction.OpCode.Mode() != asm.MemMode:
		return "a load of 6.6"
	}
	return ""
}

func isOldJump(op asm.JumpOp) bool {
	for _, old := range jumpsOfOldKernels {
		if op == old {
			return true
		}
	}
	return false
}

// Verifiers before 5.3 (2589726d12a1) reject every loop, also one that ends. A jump back alone is none.
func refuseLoops(t *testing.T, name string, instructions asm.Instructions) {
	t.Helper()
	next := map[asm.RawInstructionOffset][]asm.RawInstructionOffset{}
	for at := instructions.Iterate(); at.Next(); {
		after := at.Offset + asm.RawInstructionOffset(at.Ins.Width())
		isJump := at.Ins.OpCode.Class() == asm.JumpClass && !at.Ins.IsBuiltinCall()
		if isJump && at.Ins.OpCode.JumpOp() != asm.Exit {
			next[at.Offset] = append(next[at.Offset], after+asm.RawInstructionOffset(at.Ins.Offset))
		}
		if !isJump || at.Ins.OpCode.JumpOp() != asm.Ja && at.Ins.OpCode.JumpOp() != asm.Exit {
			next[at.Offset] = append(next[at.Offset], after)
		}
	}
	const entered, left = 1, 2
	state := map[asm.RawInstructionOffset]int{}
	var visit func(at asm.RawInstructionOffset) bool
	visit = func(at asm.RawInstructionOffset) bool {
		state[at] = entered
		for _, to := range next[at] {
			if state[to] == entered || state[to] == 0 && !visit(to) {
				return false
			}
		}
		state[at] = left
		return true
	}
	if !visit(0) {
		t.Errorf("%s has a loop", name)
	}
}
