// SPDX-License-Identifier: Apache-2.0

package cfi

// DWARF 5, section 7.24, and GNU's and Arm's extensions.
const (
	opNop                = 0x00
	opSetLoc             = 0x01
	opAdvanceLoc1        = 0x02
	opAdvanceLoc2        = 0x03
	opAdvanceLoc4        = 0x04
	opOffsetExtended     = 0x05
	opRestoreExtended    = 0x06
	opUndefined          = 0x07
	opSameValue          = 0x08
	opRegister           = 0x09
	opRememberState      = 0x0a
	opRestoreState       = 0x0b
	opDefCFA             = 0x0c
	opDefCFARegister     = 0x0d
	opDefCFAOffset       = 0x0e
	opDefCFAExpression   = 0x0f
	opExpression         = 0x10
	opOffsetExtendedSf   = 0x11
	opDefCFASf           = 0x12
	opDefCFAOffsetSf     = 0x13
	opValOffset          = 0x14
	opValOffsetSf        = 0x15
	opValExpression      = 0x16
	opNegateRAStateAndPC = 0x2c // arm64: whether return addresses are signed. They are always stripped.
	opNegateRAState      = 0x2d
	opArgsSize           = 0x2e // GNU: for landing pads
	opNegativeOffset     = 0x2f // GNU
)

// extended runs an operation that is not primary. It returns false if it knows none of this number, or its operands make no sense.
func (m *machine) extended(c *cursor, operation uint8) bool {
	switch operation {
	case opNop, opNegateRAState, opNegateRAStateAndPC:
	case opArgsSize:
		c.uleb()
	case opSetLoc:
		m.location = c.pointer(m.common.encoding, 0)
	case opAdvanceLoc1:
		m.advance(uint64(c.u8()))
	case opAdvanceLoc2:
		m.advance(uint64(c.u16()))
	case opAdvanceLoc4:
		m.advance(uint64(c.u32()))
	case opRememberState:
		if len(m.remembered) == rememberedMax {
			return false
		}
		m.remembered = append(m.remembered, m.now)
	case opRestoreState:
		if len(m.remembered) == 0 {
			return false
		}
		last := len(m.remembered) - 1
		m.now, m.remembered = m.remembered[last], m.remembered[:last]
	default:
		return m.frame(c, operation) || m.register(c, operation)
	}
	return !c.failed
}

// frame runs an operation that sets the CFA.
func (m *machine) frame(c *cursor, operation uint8) bool {
	switch operation {
	case opDefCFA:
		register := c.uleb()
		m.setFrame(register, int64(c.uleb()))
	case opDefCFASf:
		register := c.uleb()
		m.setFrame(register, c.sleb()*m.common.dataAlign)
	case opDefCFARegister:
		m.setFrame(c.uleb(), m.now.offset)
	case opDefCFAOffset: // leaves an expression in force, as in GCC's execute_cfa_program()
		m.now.offset = int64(c.uleb())
	case opDefCFAOffsetSf:
		m.now.offset = c.sleb() * m.common.dataAlign
	case opDefCFAExpression:
		m.now.expression = c.take(c.uleb())
	default:
		return false
	}
	return !c.failed
}

// register runs an operation that sets the rule of a register.
func (m *machine) register(c *cursor, operation uint8) bool {
	align := m.common.dataAlign
	column := c.uleb()
	switch operation {
	case opOffsetExtended:
		m.set(column, rule{kind: atOffset, offset: int64(c.uleb()) * align})
	case opOffsetExtendedSf:
		m.set(column, rule{kind: atOffset, offset: c.sleb() * align})
	case opNegativeOffset:
		m.set(column, rule{kind: atOffset, offset: -int64(c.uleb()) * align})
	case opValOffset:
		m.set(column, rule{kind: isOffset, offset: int64(c.uleb()) * align})
	case opValOffsetSf:
		m.set(column, rule{kind: isOffset, offset: c.sleb() * align})
	case opRegister:
		m.set(column, rule{kind: inRegister, register: c.uleb()})
	case opExpression:
		m.set(column, rule{kind: atExpression, expression: c.take(c.uleb())})
	case opValExpression:
		m.set(column, rule{kind: isExpression, expression: c.take(c.uleb())})
	case opUndefined:
		m.set(column, rule{kind: undefined})
	case opSameValue:
		m.set(column, rule{kind: same})
	case opRestoreExtended:
		m.restore(column)
	default:
		return false
	}
	return !c.failed
}
