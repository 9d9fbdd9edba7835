// SPDX-License-Identifier: Apache-2.0

package cfi

import (
	"errors"
	"fmt"
)

var (
	// ErrNotCopied means that a step needs memory that was not copied.
	ErrNotCopied = errors.New("memory that is needed was not copied")
	errUnknown   = errors.New("a register that is needed is not known")
)

// Step returns the registers of the caller, its stack pointer (column stackPointer) and return address among them. outermost means that there
// is no caller, by what the tables say.
func (r *Row) Step(registers *Registers, stackPointer uint64, memory Memory) (caller Registers, outermost bool, err error) {
	frame, err := r.frame(registers, memory)
	if err != nil {
		return caller, false, fmt.Errorf("CFA: %w", err)
	}
	caller = *registers
	caller.Set(stackPointer, frame)
	if r.returnAddress >= Columns {
		return caller, false, fmt.Errorf("column %d of the return address: %w", r.returnAddress, errUnknown)
	}
	for i := range r.rules {
		rule := &r.rules[i]
		value, err := rule.value(frame, registers, memory)
		if uint64(rule.column) == r.returnAddress {
			if rule.kind == undefined {
				return caller, true, nil
			}
			if err != nil {
				return caller, false, fmt.Errorf("return address: %w", err)
			}
		}
		if err != nil {
			caller.Forget(uint64(rule.column))
			continue
		}
		caller.Set(uint64(rule.column), value)
	}
	return caller, false, nil
}

// frame returns the CFA.
func (r *Row) frame(registers *Registers, memory Memory) (uint64, error) {
	if r.expression != nil {
		return evaluate(r.expression, registers, memory)
	}
	base, known := registers.Get(r.register)
	if !known {
		return 0, fmt.Errorf("register %d: %w", r.register, errUnknown)
	}
	return base + uint64(r.offset), nil
}

// value returns the caller's value of the register. An error means that it is not known.
func (r *rule) value(frame uint64, registers *Registers, memory Memory) (uint64, error) {
	switch r.kind {
	case isOffset:
		return frame + uint64(r.offset), nil
	case atOffset:
		return word(memory, frame+uint64(r.offset))
	case inRegister:
		if value, known := registers.Get(r.register); known {
			return value, nil
		}
	case isExpression:
		return evaluate(r.expression, registers, memory, frame)
	case atExpression:
		address, err := evaluate(r.expression, registers, memory, frame)
		if err != nil {
			return 0, err
		}
		return word(memory, address)
	case same, undefined:
	}
	return 0, errUnknown
}

func word(memory Memory, address uint64) (uint64, error) {
	if value, ok := memory.Word(address); ok {
		return value, nil
	}
	return 0, ErrNotCopied
}
