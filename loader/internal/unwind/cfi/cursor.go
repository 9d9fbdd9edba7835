// SPDX-License-Identifier: Apache-2.0

package cfi

import "encoding/binary"

// cursor reads little-endian values. After the end it returns zeros and sets failed, so that a caller checks once.
type cursor struct {
	bytes   []byte
	address uint64 // of bytes[0], for values that are relative to where they lie
	at      int
	failed  bool
}

func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.bytes)-c.at) {
		c.failed = true
		return nil
	}
	c.at += int(n)
	return c.bytes[c.at-int(n) : c.at]
}

func (c *cursor) left() bool { return c.at < len(c.bytes) && !c.failed }

func (c *cursor) u8() uint8 {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if b := c.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if b := c.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// leb reads the bits of a LEB128 number and returns how many there are. Bits beyond 64 are dropped.
func (c *cursor) leb() (bits uint64, n uint, last byte) {
	for {
		last = c.u8()
		if n < 64 {
			bits |= uint64(last&0x7f) << n
		}
		n += 7
		if last&0x80 == 0 || c.failed {
			return bits, n, last
		}
	}
}

func (c *cursor) uleb() uint64 {
	bits, _, _ := c.leb()
	return bits
}

func (c *cursor) sleb() int64 {
	bits, n, last := c.leb()
	if n < 64 && last&0x40 != 0 {
		bits |= ^uint64(0) << n
	}
	return int64(bits)
}

// Pointer encodings (LSB core specification, "DWARF Exception Header Encoding"): a format in the low four bits, what the value is relative to
// above. Indirect pointers (0x80) point into memory that the file does not have; they occur for personality routines only.
const (
	encodingOmitted      = 0xff
	encodingFormat       = 0x0f
	encodingRelative     = 0x70
	encodingPCRelative   = 0x10
	encodingDataRelative = 0x30
	encodingSigned4      = 0x0b // DW_EH_PE_sdata4
)

// pointer reads a pointer; data is what data-relative ones are relative to.
func (c *cursor) pointer(encoding uint8, data uint64) uint64 {
	if encoding == encodingOmitted {
		return 0
	}
	here := c.address + uint64(c.at)
	value := c.formatted(encoding)
	switch encoding & encodingRelative {
	case 0:
	case encodingPCRelative:
		value += here
	case encodingDataRelative:
		value += data
	default:
		c.failed = true
	}
	return value
}

// formatted reads a value in the format of the encoding, whatever it is relative to.
func (c *cursor) formatted(encoding uint8) uint64 {
	switch encoding & encodingFormat {
	case 0x00, 0x04, 0x08, 0x0c:
		return c.u64()
	case 0x01:
		return c.uleb()
	case 0x02:
		return uint64(c.u16())
	case 0x03:
		return uint64(c.u32())
	case 0x09:
		return uint64(c.sleb())
	case 0x0a:
		return uint64(int64(int16(c.u16())))
	case encodingSigned4:
		return uint64(int64(int32(c.u32())))
	}
	c.failed = true
	return 0
}
