// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// unmapped masks an address: what is below can never be read (mmap_min_addr, copy_from_kernel_nofault_allowed()). A constant would cost the verifier
// more: it follows each branch that it decides.
const unmapped = 0xfff

// readAbsentAsZero lets the programs read 0 where these types do not have a field: the address of such a read becomes 0, which
// bpf_probe_read_kernel() refuses, as if a pointer on the way were NULL. Without that, CO-RE replaces the instruction by one that the verifier
// rejects. What it cannot replace stays as it is.
func readAbsentAsZero(spec *ebpf.CollectionSpec, kernel *btf.Spec) error {
	for name, program := range spec.Programs {
		original := slices.Clone(program.Instructions)
		absent := map[int]bool{} // instructions that set the offset of a field that does not exist
		for i := range original {
			fixup, err := fixupOf(original[i], kernel)
			if err != nil {
				return fmt.Errorf("find what the program %s reads: %w", name, err)
			}
			switch {
			case fixup == "byte_off=poison":
				absent[i] = true
			case strings.HasSuffix(fixup, "=poison"):
				zero(&program.Instructions[i])
			}
		}
		before := predecessors(original)
		for at := range absent {
			zeroAddress(program.Instructions, original, before, absent, at)
		}
	}
	return nil
}

// aboveStack is where no program may write: its stack has 512 bytes (MAX_BPF_STACK).
const aboveStack = -516

// rejectAbsent replaces what CO-RE would replace by a call that no kernel has: by an instruction that the verifier rejects if it can be reached. Where it
// cannot, a kernel crashes on that call while it loads the program: fixup_bpf_calls() follows the missing prototype, and before 4.15 nothing removes
// code that is never run (c131187db2d3).
func rejectAbsent(spec *ebpf.CollectionSpec, kernel *btf.Spec) error {
	for name, program := range spec.Programs {
		for i, one := range program.Instructions {
			fixup, err := fixupOf(one, kernel)
			if err != nil {
				return fmt.Errorf("find what the program %s reads: %w", name, err)
			}
			if strings.HasSuffix(fixup, "=poison") {
				program.Instructions[i] = asm.StoreImm(asm.RFP, aboveStack, 0, asm.Word).WithSymbol(one.Symbol()).WithSource(one.Source())
			}
		}
	}
	return nil
}

// fixupOf returns how these types determine the immediate value of the instruction; "": it is none, or is not relocated.
func fixupOf(instruction asm.Instruction, kernel *btf.Spec) (string, error) {
	relocation := btf.CORERelocationMetadata(&instruction)
	class := instruction.OpCode.Class()
	if relocation == nil || class != asm.ALUClass && class != asm.ALU64Class {
		return "", nil
	}
	fixups, err := btf.CORERelocate([]*btf.CORERelocation{relocation}, []*btf.Spec{kernel}, binary.LittleEndian, func(btf.Type) (btf.TypeID, error) { return 0, nil })
	if err != nil {
		return "", err
	}
	return fixups[0].String(), nil
}

// zero replaces the immediate value by 0.
func zero(instruction *asm.Instruction) {
	replaced := asm.Instruction{OpCode: instruction.OpCode, Dst: instruction.Dst}
	*instruction = replaced.WithSymbol(instruction.Symbol()).WithSource(instruction.Source())
}

// zeroAddress replaces an offset by 0, and each address of which it is a part. It leaves both where the offset of a field that exists may be a part
// of the same address: the compiler makes one read of the two branches that choose by bpf_core_field_exists(), and only the other branch is taken.
func zeroAddress(program, original asm.Instructions, before [][]int, absent map[int]bool, at int) {
	uses, known := usesOf(original, at)
	if !known || slices.ContainsFunc(uses, func(use int) bool { return !isAlways(absent, original, before, use) }) {
		return
	}
	for _, use := range uses {
		one := original[use]
		program[use] = asm.And.Imm(one.Dst, unmapped).WithSymbol(one.Symbol()).WithSource(one.Source())
	}
	zero(&program[at])
}

// place is an instruction before which a register has the value that is followed.
type place struct {
	at       int
	register asm.Register
}

// usesOf returns the sums and differences in which the value that is set at an instruction is used, on all paths until it is gone. known is false
// if it is used otherwise.
func usesOf(program asm.Instructions, at int) (uses []int, known bool) {
	seen := map[place]bool{}
	var waiting []place
	follow := func(from int, register asm.Register) {
		for _, i := range successors(program, from) {
			waiting = append(waiting, place{i, register})
		}
	}
	for follow(at, program[at].Dst); len(waiting) > 0; {
		here := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		if here.at >= len(program) || seen[here] {
			continue
		}
		seen[here] = true
		switch useOf(program[here.at], here.register) {
		case addend:
			uses = append(uses, here.at)
			follow(here.at, here.register)
		case sum:
			uses = append(uses, here.at)
		case copied:
			follow(here.at, program[here.at].Dst)
			follow(here.at, here.register)
		case unused:
			follow(here.at, here.register)
		case other:
			return nil, false
		case set:
		}
	}
	return uses, true
}

// isAlways reports whether one of these instructions has set one of the registers of a sum, on each path that leads to it.
func isAlways(these map[int]bool, program asm.Instructions, before [][]int, sum int) bool {
	one := program[sum]
	return areAllAmong(these, program, before, place{sum, one.Src}) || areAllAmong(these, program, before, place{sum, one.Dst})
}

// areAllAmong reports whether these have all instructions that may have set the register before an instruction.
func areAllAmong(these map[int]bool, program asm.Instructions, before [][]int, end place) bool {
	seen := map[place]bool{}
	for waiting := []place{end}; len(waiting) > 0; {
		here := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		if seen[here] {
			continue
		}
		seen[here] = true
		if len(before[here.at]) == 0 {
			return false // an argument of the function
		}
		for _, at := range before[here.at] {
			one := program[at]
			switch useOf(one, here.register) {
			case set:
				switch {
				case these[at]:
				case useOf(one, one.Src) == copied:
					waiting = append(waiting, place{at, one.Src})
				default:
					return false
				}
			case sum, other:
				return false
			case unused, addend, copied:
				waiting = append(waiting, place{at, here.register})
			}
		}
	}
	return true
}

// use is how an instruction uses a register.
type use int

const (
	unused use = iota
	set        // to another value
	addend     // of a sum or difference in another register
	sum        // which replaces the value
	copied     // to another register
	other
)

func useOf(one asm.Instruction, register asm.Register) use {
	class, op := one.OpCode.Class(), one.OpCode.ALUOp()
	isALU := class == asm.ALUClass || class == asm.ALU64Class
	fromRegister := one.OpCode.Source() == asm.RegSource
	reads := one.Src == register && (class == asm.StXClass || class == asm.LdXClass || (isALU || class.IsJump()) && fromRegister)
	sums := class == asm.ALU64Class && fromRegister
	switch {
	case class.IsJump() && one.OpCode.JumpOp() == asm.Call:
		if register <= asm.R5 {
			return set
		}
		return unused
	case class.IsJump() && one.OpCode.JumpOp() == asm.Ja, class.IsJump() && one.OpCode.JumpOp() == asm.Exit:
		return unused
	case reads && sums && (op == asm.Add || op == asm.Sub) && one.Dst != register:
		return addend
	case reads && isALU && op == asm.Mov:
		return copied
	case reads:
		return other
	case one.Dst != register:
		return unused
	case class == asm.LdXClass, class == asm.LdClass, isALU && op == asm.Mov:
		return set
	case sums && op == asm.Add:
		return sum
	}
	return other
}

// successors returns the instructions that may run after one.
func successors(program asm.Instructions, at int) []int {
	one := program[at]
	if !one.OpCode.Class().IsJump() {
		return []int{at + 1}
	}
	switch one.OpCode.JumpOp() {
	case asm.Exit:
		return nil
	case asm.Call:
		return []int{at + 1}
	case asm.Ja:
		return []int{target(program, at)}
	}
	return []int{at + 1, target(program, at)}
}

// predecessors returns, for each instruction, those after which it may run.
func predecessors(program asm.Instructions) [][]int {
	before := make([][]int, len(program))
	for at := range program {
		for _, next := range successors(program, at) {
			if next < len(program) {
				before[next] = append(before[next], at)
			}
		}
	}
	return before
}

// target returns the instruction to which one jumps.
func target(program asm.Instructions, at int) int {
	left := int(program[at].Offset) // in words of 8 bytes, of which some instructions have two
	for at++; left > 0 && at < len(program); at++ {
		left -= int(program[at].Width())
	}
	for ; left < 0 && at > 0; at-- {
		left += int(program[at-1].Width())
	}
	return at
}
