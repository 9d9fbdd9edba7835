// SPDX-License-Identifier: Apache-2.0

package oldprobes

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"whodunit/loader/internal/probes"
)

// What verifiers of 4.17 to 5.7 reject though the instructions are known there: what can be seen of an object is checked here.

const (
	// stepsMax is BPF_COMPLEXITY_LIMIT_INSNS of kernel/bpf/verifier.c up to Linux 5.1: the instructions on all paths that a verifier follows. 5.2 has a
	// million (c04c0d2b968a).
	stepsMax = 131_072
	// stepsFactor is how many more steps an old verifier may need than this one, which finds more states to be equal (5.3, b5dc0163d8fd).
	stepsFactor = 4
)

func TestAVerifierFollowsFewPaths(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root")
	}
	for _, object := range []object{oldObject(), classicObject(nil)} {
		followPaths(t, &Probes{object: object})
	}
}

func followPaths(t *testing.T, p *Probes) {
	t.Helper()
	spec, err := p.specOf(Options{RingBytes: queueBytes})
	if err != nil {
		t.Fatal(err)
	}
	options := probes.KernelTypes().Relocation()
	options.Programs.LogLevel = ebpf.LogLevelStats
	collection, err := ebpf.NewCollectionWithOptions(spec, options)
	if err != nil {
		t.Fatal(err)
	}
	defer collection.Close()
	for name, program := range collection.Programs {
		_, after, found := strings.Cut(program.VerifierLog, "processed ")
		steps, err := strconv.Atoi(strings.SplitN(after, " ", 2)[0])
		if !found || err != nil {
			t.Fatalf("%s: %v in %q", name, err, program.VerifierLog)
		}
		if steps > stepsMax/stepsFactor {
			t.Errorf("%s: the verifier makes %d steps; the limit of old ones is %d, and they may need %d times as many", name, steps, stepsMax, stepsFactor)
		}
	}
}

// check_func_arg() accepts a key and a value only on the stack of the program; also in the value of a map from 4.18 on (d71962f3e627).
func TestKeysAndValuesForMapsAreOnTheStack(t *testing.T) {
	arguments := map[asm.BuiltinFunc][]asm.Register{
		asm.FnMapLookupElem: {asm.R2}, asm.FnMapDeleteElem: {asm.R2}, asm.FnMapUpdateElem: {asm.R2, asm.R3},
	}
	forEachProgram(t, func(name string, instructions asm.Instructions) { checkOnStack(t, name, instructions, arguments) })
}

// Up to 4.10, a helper writes to the stack of the program only (5722569bb9c3 of 4.11).
func TestAHelperOfClassicProgramsWritesToTheStack(t *testing.T) {
	arguments := map[asm.BuiltinFunc][]asm.Register{asm.FnProbeRead: {asm.R1}, asm.FnGetCurrentComm: {asm.R1}}
	spec, err := loadClassic()
	if err != nil {
		t.Fatal(err)
	}
	for name, program := range spec.Programs {
		checkOnStack(t, name, program.Instructions, arguments)
	}
}

func checkOnStack(t *testing.T, name string, instructions asm.Instructions, arguments map[asm.BuiltinFunc][]asm.Register) {
	t.Helper()
	calls := 0
	for i := range instructions {
		if !instructions[i].IsBuiltinCall() {
			continue
		}
		for _, register := range arguments[asm.BuiltinFunc(instructions[i].Constant)] {
			calls++
			if !isOnStack(instructions[:i], register) {
				t.Errorf("%s, instruction %d, %v: %v is not an address on the stack", name, i, instructions[i], register)
			}
		}
	}
	if calls == 0 {
		t.Errorf("%s: no arguments found", name)
	}
}

// isOnStack reports whether the last instructions that set the register make it an address on the stack: `r2 = r10; r2 += -16`.
func isOnStack(before asm.Instructions, register asm.Register) bool {
	for i, instruction := range slices.Backward(before) {
		class := instruction.OpCode.Class()
		if instruction.Dst != register || class != asm.ALU64Class && class != asm.ALUClass && !class.IsLoad() {
			continue
		}
		operation, source := instruction.OpCode.ALUOp(), instruction.OpCode.Source()
		switch {
		case class == asm.ALU64Class && operation == asm.Add && source == asm.ImmSource && instruction.Constant < 0:
			continue
		case class == asm.ALU64Class && operation == asm.Mov && source == asm.RegSource:
			return instruction.Src == asm.RFP || isOnStack(before[:i], instruction.Src)
		default:
			return false
		}
	}
	return false
}

// Of a field that a kernel does not have, the branch is not followed that reads it: its instructions are invalid there. Up to 5.0, check_cond_jmp_op()
// follows one branch alone only for JEQ and JNE with a constant, and a constant that was on the stack in between is not known any more
// (f7cf25b2026d of 5.3).
func TestAnOldVerifierKnowsWhichFieldsExist(t *testing.T) {
	conditions := 0
	forEachProgram(t, func(name string, instructions asm.Instructions) {
		for i := range instructions {
			relocation := btf.CORERelocationMetadata(&instructions[i])
			if relocation == nil || !strings.Contains(relocation.String(), "_exists") {
				continue
			}
			conditions++
			if why := undecided(instructions[i+1:], instructions[i].Dst); why != "" {
				t.Errorf("%s, instruction %d, %v: %s", name, i, relocation, why)
			}
		}
	})
	if conditions < 50 {
		t.Errorf("only %d conditions found", conditions)
	}
}

// undecided says why an old verifier does not know which way the next jump on the register goes; "": it does.
func undecided(after asm.Instructions, register asm.Register) string {
	for _, instruction := range after {
		class, isJump := instruction.OpCode.Class(), instruction.OpCode.Class() == asm.JumpClass
		switch {
		case isJump && instruction.IsBuiltinCall() && register <= asm.R5:
			return fmt.Sprintf("%v before it is compared", instruction)
		case isJump && instruction.Dst == register && instruction.OpCode.Source() == asm.ImmSource:
			if operation := instruction.OpCode.JumpOp(); operation == asm.JEq || operation == asm.JNE {
				return ""
			}
			return fmt.Sprintf("compared by %v", instruction)
		case isJump:
			return fmt.Sprintf("%v before it is compared", instruction)
		case instruction.Src == register && class.IsALU() && instruction.OpCode.Source() == asm.RegSource:
			return fmt.Sprintf("used by %v", instruction)
		case instruction.Dst == register && (class.IsALU() || class.IsLoad()):
			return fmt.Sprintf("changed by %v", instruction)
		}
	}
	return "not compared"
}

func TestWhatAnOldVerifierRejectsIsFound(t *testing.T) {
	for _, test := range []struct {
		name string
		with asm.Instructions
		ok   bool
	}{
		{"an address on the stack", asm.Instructions{asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -16)}, true},
		{"one that was kept in a register", asm.Instructions{asm.Mov.Reg(asm.R6, asm.RFP), asm.Add.Imm(asm.R6, -16), asm.Mov.Reg(asm.R2, asm.R6)}, true},
		{"the value of a map", asm.Instructions{asm.Mov.Reg(asm.R2, asm.R0)}, false},
		{"an address from memory", asm.Instructions{asm.LoadMem(asm.R2, asm.RFP, -8, asm.DWord)}, false},
	} {
		if got := isOnStack(test.with, asm.R2); got != test.ok {
			t.Errorf("%s: on the stack is %v", test.name, got)
		}
	}
	for _, test := range []struct {
		name string
		with asm.Instructions
		ok   bool
	}{
		{"compared at once", asm.Instructions{asm.JEq.Imm(asm.R1, 0, "")}, true},
		{"compared after another instruction", asm.Instructions{asm.Mov.Imm(asm.R2, 3), asm.JNE.Imm(asm.R1, 0, "")}, true},
		{"compared by more than", asm.Instructions{asm.JGT.Imm(asm.R1, 0, "")}, false},
		{"compared with a register", asm.Instructions{asm.JEq.Reg(asm.R1, asm.R2, "")}, false},
		{"from the stack", asm.Instructions{asm.StoreMem(asm.RFP, -8, asm.R1, asm.DWord), asm.LoadMem(asm.R1, asm.RFP, -8, asm.DWord), asm.JEq.Imm(asm.R1, 0, "")}, false},
		{"part of a sum", asm.Instructions{asm.Or.Reg(asm.R2, asm.R1), asm.JEq.Imm(asm.R2, 0, "")}, false},
		{"after a call", asm.Instructions{asm.FnKtimeGetNs.Call(), asm.JEq.Imm(asm.R1, 0, "")}, false},
	} {
		if why := undecided(test.with, asm.R1); (why == "") != test.ok {
			t.Errorf("%s: %q", test.name, why)
		}
	}
}

func forEachProgram(t *testing.T, do func(name string, instructions asm.Instructions)) {
	t.Helper()
	for _, object := range []object{oldObject(), classicObject(nil)} {
		spec, err := object.load()
		if err != nil {
			t.Fatal(err)
		}
		for name, program := range spec.Programs {
			do(name, program.Instructions)
		}
	}
}
