// SPDX-License-Identifier: Apache-2.0

package cfi

import (
	"errors"
	"fmt"
	"slices"
)

// kind is how a register of the caller is found.
type kind uint8

const (
	same         kind = iota // it is the callee's
	undefined                // it is lost; of the return address: there is no caller
	atOffset                 // in memory at CFA + offset
	isOffset                 // CFA + offset itself
	inRegister               // in another register
	atExpression             // in memory at the expression's value
	isExpression             // the expression's value itself
)

// rule says how one register of the caller is found.
type rule struct {
	kind       kind
	column     uint8 // whose rule it is
	register   uint64
	offset     int64
	expression []byte
}

// Row is what holds at one instruction: where the canonical frame address is, and the caller's registers.
type Row struct {
	register      uint64 // the CFA is register + offset, or the value of the expression
	offset        int64
	expression    []byte
	rules         []rule // of the columns that are not the same
	returnAddress uint64
}

// Bytes is how much memory the row holds.
func (r *Row) Bytes() int { return 96 + len(r.rules)*64 }

// state is the row while a program runs.
type state struct {
	register   uint64
	offset     int64
	expression []byte
	rules      [Columns]rule
}

const (
	// operationsMax bounds a program with that of its CIE. The longest of Debian's libraries has 1,300.
	operationsMax = 16 << 10
	// rememberedMax bounds the stack of DW_CFA_remember_state. Compilers use one level.
	rememberedMax = 32
)

// machine runs the programs of an entry up to one address.
type machine struct {
	common     *common
	location   uint64
	now        state
	initial    state
	remembered []state
	operations int
}

// Row computes what holds at pc, which the entry covers.
func (e *Entry) Row(pc uint64) (Row, error) {
	m := machine{common: &e.common, location: e.Begin}
	if err := m.run(&cursor{bytes: e.common.program, address: e.common.programAt}, ^uint64(0)); err != nil {
		return Row{}, fmt.Errorf("CIE of the entry at %#x: %w", e.Begin, err)
	}
	m.initial, m.location = m.now, e.Begin
	if err := m.run(&cursor{bytes: e.program, address: e.programAt}, pc); err != nil {
		return Row{}, fmt.Errorf("entry at %#x: %w", e.Begin, err)
	}
	row := Row{register: m.now.register, offset: m.now.offset, expression: slices.Clone(m.now.expression), returnAddress: e.common.returnAddress}
	for column, rule := range m.now.rules {
		if rule.kind != same {
			rule.column, rule.expression = uint8(column), slices.Clone(rule.expression)
			row.rules = append(row.rules, rule)
		}
	}
	return row, nil
}

func (m *machine) run(c *cursor, pc uint64) error {
	for c.left() {
		if m.operations++; m.operations > operationsMax {
			return fmt.Errorf("more than %d operations", operationsMax)
		}
		at, operation := c.at, c.u8()
		if !m.primary(c, operation) && !m.extended(c, operation) {
			return fmt.Errorf("operation %#x at byte %d is unknown or malformed", operation, at)
		}
		if m.location > pc {
			return nil
		}
	}
	if c.failed {
		return errors.New("cut off")
	}
	return nil
}

// primary runs the three operations that have an operand in their low six bits.
func (m *machine) primary(c *cursor, operation uint8) bool {
	operand := uint64(operation & 0x3f)
	switch operation >> 6 {
	case 1: // DW_CFA_advance_loc
		m.advance(operand)
	case 2: // DW_CFA_offset
		m.set(operand, rule{kind: atOffset, offset: int64(c.uleb()) * m.common.dataAlign})
	case 3: // DW_CFA_restore
		m.restore(operand)
	default:
		return false
	}
	return true
}

func (m *machine) advance(units uint64) { m.location += units * m.common.codeAlign }

func (m *machine) set(column uint64, rule rule) {
	if column < Columns {
		m.now.rules[column] = rule
	}
}

func (m *machine) restore(column uint64) {
	if column < Columns {
		m.now.rules[column] = m.initial.rules[column]
	}
}

// setFrame sets the CFA to register + offset.
func (m *machine) setFrame(register uint64, offset int64) {
	m.now.register, m.now.offset, m.now.expression = register, offset, nil
}
