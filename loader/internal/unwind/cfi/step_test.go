// SPDX-License-Identifier: Apache-2.0

package cfi

import (
	"bytes"
	"errors"
	"testing"
)

// words is a Memory.
type words map[uint64]uint64

func (w words) Word(address uint64) (uint64, bool) {
	value, ok := w[address]
	return value, ok
}

func TestExpressions(t *testing.T) {
	var registers Registers
	registers.Set(7, 0x1000)
	registers.Set(16, 0x40b)
	memory := words{0x1008: 42}
	for _, test := range []struct {
		name       string
		expression string
		value      uint64
		fails      bool
	}{
		// DW_OP_breg7 8; breg16 0; lit15; and; lit11; ge; lit3; shl; plus
		{"what linkers write for .plt", "\x77\x08\x80\x00\x3f\x1a\x3b\x2a\x33\x24\x22", 0x1010, false},
		{"a word of memory", "\x77\x08\x06", 42, false},
		{"memory that was not copied", "\x77\x10\x06", 0, true},
		{"a register that is not known", "\x73\x00", 0, true},
		{"signed comparison", "\x11\x7f\x31\x2d", 1, false},
		{"a branch", "\x31\x28\x01\x00\x3f\x35", 5, false},
		{"a loop without end", "\x31\x2f\xfc\xff", 0, true},
		{"a jump out of the expression", "\x2f\x10\x00", 0, true},
		{"nothing on the stack", "\x22", 0, true},
		{"too much on the stack", string(bytes.Repeat([]byte{0x31}, expressionStackMax+1)), 0, true},
		{"a division by 0", "\x31\x30\x1b", 0, true},
		{"swap, over, rot and pick", "\x31\x32\x16\x14\x33\x17\x15\x02", 3, false},
		{"cut off", "\x0c\x01", 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			value, err := evaluate([]byte(test.expression), &registers, memory)
			if (err != nil) != test.fails || (!test.fails && value != test.value) {
				t.Errorf("%#x, %v", value, err)
			}
		})
	}
}

func TestStep(t *testing.T) {
	var registers Registers
	registers.Set(3, 5)
	registers.Set(7, 0x1000)
	frame := func(rules ...rule) Row { return Row{register: 7, offset: 16, rules: rules, returnAddress: 16} }
	returns := rule{kind: atOffset, column: 16, offset: -8}
	for _, test := range []struct {
		name      string
		row       Row
		memory    words
		outermost bool
		err       error
	}{
		{"a return address in memory", frame(returns), words{0x1008: 0x400}, false, nil},
		{"a return address that was not copied", frame(returns), words{}, false, ErrNotCopied},
		{"an undefined return address", frame(rule{kind: undefined, column: 16}), words{}, true, nil},
		{"a register that was not copied is no error", frame(returns, rule{kind: atOffset, column: 3, offset: -16}), words{0x1008: 0x400}, false, nil},
		{"a CFA whose register is not known", Row{register: 12, returnAddress: 16}, words{}, false, errUnknown},
		{"a return address in a column that is not followed", Row{register: 7, returnAddress: 99}, words{}, false, errUnknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			caller, outermost, err := test.row.Step(&registers, 7, test.memory)
			if !errors.Is(err, test.err) || outermost != test.outermost {
				t.Fatalf("outermost %v, %v", outermost, err)
			}
			if err != nil || outermost {
				return
			}
			if pc, _ := caller.Get(16); pc != 0x400 {
				t.Errorf("return address %#x", pc)
			}
			if sp, _ := caller.Get(7); sp != 0x1010 {
				t.Errorf("stack pointer %#x", sp)
			}
			if _, known := caller.Get(3); known != (len(test.row.rules) == 1) {
				t.Errorf("rbx is known: %v", known)
			}
		})
	}
}
