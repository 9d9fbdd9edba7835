// SPDX-License-Identifier: Apache-2.0

package cfi

import "fmt"

// calculate replaces one or two entries of the stack by the result of an operation.
func (e *evaluator) calculate(operation uint8) {
	top := e.pop()
	switch operation {
	case 0x19: // DW_OP_abs
		if int64(top) < 0 {
			top = -top
		}
		e.push(top)
		return
	case 0x1f: // DW_OP_neg
		e.push(-top)
		return
	case 0x20: // DW_OP_not
		e.push(^top)
		return
	}
	second := e.pop()
	if result, ok := combine(operation, second, top); ok {
		e.push(result)
		return
	}
	if holds, ok := compare(operation, int64(second), int64(top)); ok {
		e.push(holds)
		return
	}
	e.err = fmt.Errorf("expression: operation %#x is unknown, or divides by 0", operation)
}

func combine(operation uint8, a, b uint64) (uint64, bool) {
	switch operation {
	case 0x1a:
		return a & b, true
	case 0x1b: // DW_OP_div is signed, DW_OP_mod is not
		if b == 0 {
			return 0, false
		}
		return uint64(int64(a) / int64(b)), true
	case 0x1c:
		return a - b, true
	case 0x1d:
		if b == 0 {
			return 0, false
		}
		return a % b, true
	case 0x1e:
		return a * b, true
	case 0x21:
		return a | b, true
	case 0x22:
		return a + b, true
	case 0x24:
		return a << b, true
	case 0x25:
		return a >> b, true
	case 0x26:
		return uint64(int64(a) >> b), true
	case 0x27:
		return a ^ b, true
	}
	return 0, false
}

// compare returns 1 if the comparison holds, else 0.
func compare(operation uint8, a, b int64) (uint64, bool) {
	holds := false
	switch operation {
	case 0x29:
		holds = a == b
	case 0x2a:
		holds = a >= b
	case 0x2b:
		holds = a > b
	case 0x2c:
		holds = a <= b
	case 0x2d:
		holds = a < b
	case 0x2e:
		holds = a != b
	default:
		return 0, false
	}
	if holds {
		return 1, true
	}
	return 0, true
}
