// SPDX-License-Identifier: Apache-2.0

package oldprobes

import (
	"fmt"
	"testing"

	"github.com/cilium/ebpf/asm"
)

// Up to 4.9, a comparison with NULL decides about the value of a map in the register that is compared alone: a copy of it cannot be used after it
// (57a09bf0a416 of 4.10).
func TestTheValueOfAMapIsUsedAsLinux48Can(t *testing.T) {
	spec, err := loadClassic()
	if err != nil {
		t.Fatal(err)
	}
	values := 0
	for name, program := range spec.Programs {
		for i := range program.Instructions {
			if one := &program.Instructions[i]; one.IsBuiltinCall() && asm.BuiltinFunc(one.Constant) == asm.FnMapLookupElem {
				values++
				if use := useOfCopy(program.Instructions, i); use != "" {
					t.Errorf("%s: the value of instruction %d %s", name, i, use)
				}
				if sum := sumOfValue(program.Instructions, i); sum != "" {
					t.Errorf("%s: the value of instruction %d %s", name, i, sum)
				}
			}
		}
	}
	if values < 10 {
		t.Errorf("only %d values found", values)
	}
}

// sumOfValue says which instruction adds a number to the address of a value, before a register or word that had it may have something else; "": none
// does. 4.8 does not know where the sum points (48461135d0b8 of 4.9).
func sumOfValue(program asm.Instructions, call int) string {
	return search(program, call, func(at int, in holders) (string, holders) {
		one := program[at]
		if one.OpCode.Class() == asm.ALU64Class && one.OpCode.ALUOp() == asm.Add && one.OpCode.Source() == asm.ImmSource && in&bit(one.Dst) != 0 {
			return fmt.Sprintf("is added to by instruction %d, %v, %v", at, one, one.Source()), 0
		}
		if isComparison(one) {
			return "", in
		}
		return "", after(one, in)
	})
}

// holders has a bit for each register, and then one for each word of the stack, that has the value.
type holders uint64

func bit(register asm.Register) holders { return 1 << register }

func word(offset int16) holders { return 1 << (holders(-offset)/8%52 + 11) }

// useOfCopy says which instruction uses what a call returned where that was not compared itself; "": none does.
func useOfCopy(program asm.Instructions, call int) string {
	return search(program, call, func(at int, in holders) (string, holders) {
		if reads(program[at], in) {
			return fmt.Sprintf("is used by instruction %d, %v, %v", at, program[at], program[at].Source()), 0
		}
		return "", after(program[at], in)
	})
}

// search follows what a call returned on all paths, until a step finds something.
func search(program asm.Instructions, call int, step func(at int, in holders) (found string, next holders)) string {
	type state struct {
		at int
		in holders
	}
	seen := map[state]bool{}
	for waiting := []state{{call + 1, bit(asm.R0)}}; len(waiting) > 0; {
		here := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		if here.in == 0 || here.at >= len(program) || seen[here] {
			continue
		}
		seen[here] = true
		found, in := step(here.at, here.in)
		if found != "" {
			return found
		}
		for _, next := range following(program, here.at) {
			waiting = append(waiting, state{next, in})
		}
	}
	return ""
}

func isComparison(one asm.Instruction) bool {
	op := one.OpCode.JumpOp()
	return one.OpCode.Class().IsJump() && op != asm.Call && op != asm.Ja && op != asm.Exit
}

// reads reports whether the instruction uses one of the registers as an address.
func reads(one asm.Instruction, in holders) bool {
	class := one.OpCode.Class()
	switch {
	case class == asm.LdXClass:
		return in&bit(one.Src) != 0
	case class == asm.StClass, class == asm.StXClass:
		return in&bit(one.Dst) != 0
	case class.IsALU():
		return one.OpCode.ALUOp() != asm.Mov && in&bit(one.Dst) != 0
	}
	return false
}

// after returns what has the value after the instruction, and was not compared by it.
func after(one asm.Instruction, in holders) holders {
	class := one.OpCode.Class()
	moved := func(from, to holders) holders {
		if in&from != 0 {
			return in | to
		}
		return in &^ to
	}
	switch {
	case one.IsBuiltinCall():
		return in &^ (1<<(asm.R5+1) - 1)
	case isComparison(one):
		return in &^ bit(one.Dst)
	case class == asm.StXClass && one.Dst == asm.RFP && one.OpCode.Size() == asm.DWord:
		return moved(bit(one.Src), word(one.Offset))
	case class == asm.LdXClass && one.Src == asm.RFP && one.OpCode.Size() == asm.DWord:
		return moved(word(one.Offset), bit(one.Dst))
	case class == asm.ALU64Class && one.OpCode.ALUOp() == asm.Mov && one.OpCode.Source() == asm.RegSource:
		return moved(bit(one.Src), bit(one.Dst))
	case class.IsALU(), class.IsLoad():
		return in &^ bit(one.Dst)
	}
	return in
}

// following returns the instructions that may run after one.
func following(program asm.Instructions, at int) (next []int) {
	one := program[at]
	isJump := one.OpCode.Class().IsJump()
	if isJump && one.OpCode.JumpOp() == asm.Exit {
		return nil
	}
	if !isJump || one.OpCode.JumpOp() != asm.Ja {
		next = append(next, at+1)
	}
	if isJump && one.OpCode.JumpOp() != asm.Call {
		next = append(next, targetOf(program, at))
	}
	return next
}

// targetOf returns the instruction to which one jumps. None jumps back: old verifiers allow no loops.
func targetOf(program asm.Instructions, at int) int {
	words := int(program[at].Offset)
	for at++; words > 0; at++ {
		words -= int(program[at].Width())
	}
	return at
}
