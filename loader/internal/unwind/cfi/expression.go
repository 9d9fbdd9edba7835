// SPDX-License-Identifier: Apache-2.0

package cfi

import (
	"errors"
	"fmt"
)

const (
	expressionOperationsMax = 512
	expressionStackMax      = 64
)

// DWARF 5, section 7.7.1. Left out is what makes no sense in call frame information (7.24: calls, objects) and what no compiler writes there.
const (
	exprAddr   = 0x03
	exprDeref  = 0x06
	exprConst  = 0x08 // to 0x0f: 1, 2, 4 and 8 bytes, each unsigned and signed
	exprConstU = 0x10
	exprConstS = 0x11
	exprDup    = 0x12
	exprDrop   = 0x13
	exprOver   = 0x14
	exprPick   = 0x15
	exprSwap   = 0x16
	exprRot    = 0x17
	exprPlusU  = 0x23
	exprBra    = 0x28
	exprSkip   = 0x2f
	exprLit    = 0x30 // to 0x4f
	exprBreg   = 0x70 // to 0x8f
	exprBregx  = 0x92
	exprNop    = 0x96
)

// evaluator runs a DWARF expression.
type evaluator struct {
	cursor
	registers *Registers
	memory    Memory
	stack     []uint64
	err       error
}

// evaluate returns what lies on top of the stack at the end of the expression.
func evaluate(expression []byte, registers *Registers, memory Memory, initial ...uint64) (uint64, error) {
	e := evaluator{cursor: cursor{bytes: expression}, registers: registers, memory: memory, stack: append(make([]uint64, 0, 16), initial...)}
	for n := 0; e.left() && e.err == nil; n++ {
		if n == expressionOperationsMax {
			return 0, fmt.Errorf("expression of more than %d operations", expressionOperationsMax)
		}
		e.operate(e.u8())
	}
	value := e.pop()
	if e.failed && e.err == nil {
		e.err = errors.New("expression: malformed")
	}
	return value, e.err
}

func (e *evaluator) push(value uint64) {
	if len(e.stack) == expressionStackMax {
		e.failed = true
		return
	}
	e.stack = append(e.stack, value)
}

func (e *evaluator) pop() uint64 {
	if len(e.stack) == 0 {
		e.failed = true
		return 0
	}
	value := e.stack[len(e.stack)-1]
	e.stack = e.stack[:len(e.stack)-1]
	return value
}

// pick copies the entry that lies below n others.
func (e *evaluator) pick(n int) {
	if n >= len(e.stack) {
		e.failed = true
		return
	}
	e.push(e.stack[len(e.stack)-1-n])
}

func (e *evaluator) operate(operation uint8) {
	switch {
	case operation >= exprLit && operation < exprLit+32:
		e.push(uint64(operation - exprLit))
	case operation >= exprBreg && operation < exprBreg+32:
		e.pushRegister(uint64(operation-exprBreg), e.sleb())
	case operation == exprBregx:
		e.pushRegister(e.uleb(), e.sleb())
	case operation == exprAddr || (operation >= exprConst && operation <= exprConstS):
		e.push(e.constant(operation))
	case operation == exprDeref:
		value, err := word(e.memory, e.pop())
		e.err = err
		e.push(value)
	case operation == exprPlusU:
		e.push(e.pop() + e.uleb())
	case operation == exprBra:
		if offset := int16(e.u16()); e.pop() != 0 {
			e.jump(offset)
		}
	case operation == exprSkip:
		e.jump(int16(e.u16()))
	case operation == exprNop:
	default:
		e.arrange(operation)
	}
}

func (e *evaluator) pushRegister(register uint64, offset int64) {
	value, known := e.registers.Get(register)
	if !known {
		e.err = fmt.Errorf("register %d: %w", register, errUnknown)
	}
	e.push(value + uint64(offset))
}

func (e *evaluator) constant(operation uint8) uint64 {
	switch operation {
	case exprConst:
		return uint64(e.u8())
	case exprConst + 1:
		return uint64(int64(int8(e.u8())))
	case exprConst + 2:
		return uint64(e.u16())
	case exprConst + 3:
		return uint64(int64(int16(e.u16())))
	case exprConst + 4:
		return uint64(e.u32())
	case exprConst + 5:
		return uint64(int64(int32(e.u32())))
	case exprConstU:
		return e.uleb()
	case exprConstS:
		return uint64(e.sleb())
	}
	return e.u64()
}

func (e *evaluator) jump(offset int16) {
	to := e.at + int(offset)
	if to < 0 || to > len(e.bytes) {
		e.failed = true
		return
	}
	e.at = to
}

// arrange runs the operations that only move entries of the stack; the rest is arithmetic.
func (e *evaluator) arrange(operation uint8) {
	switch operation {
	case exprDup:
		e.pick(0)
	case exprDrop:
		e.pop()
	case exprOver:
		e.pick(1)
	case exprPick:
		e.pick(int(e.u8()))
	case exprSwap:
		top, second := e.pop(), e.pop()
		e.push(top)
		e.push(second)
	case exprRot:
		top, second, third := e.pop(), e.pop(), e.pop()
		e.push(top)
		e.push(third)
		e.push(second)
	default:
		e.calculate(operation)
	}
}
