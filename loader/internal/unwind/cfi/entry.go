// SPDX-License-Identifier: Apache-2.0

package cfi

import (
	"encoding/binary"
	"fmt"
)

// common is a CIE: what several FDEs share.
type common struct {
	codeAlign     uint64
	dataAlign     int64
	returnAddress uint64 // the column
	encoding      uint8  // of the FDE's addresses
	augmented     bool
	signal        bool
	program       []byte
	programAt     uint64 // its address
}

// Entry is an FDE: the call frame information of one function, or of a part of it.
type Entry struct {
	Begin, End uint64
	common     common
	program    []byte
	programAt  uint64
}

// Signal reports whether the function is one to which signal handlers return.
func (e *Entry) Signal() bool { return e.common.signal }

// ReturnAddress returns the column of the return address.
func (e *Entry) ReturnAddress() uint64 { return e.common.returnAddress }

// body returns the bytes of the entry at the address, without its length, and where they begin.
func body(source Source, address uint64) (bytes []byte, at uint64, err error) {
	head, err := source.Bytes(address, 4)
	if err != nil {
		return nil, 0, err
	}
	if len(head) < 4 {
		return nil, 0, fmt.Errorf("entry at %#x: cut off", address)
	}
	length := binary.LittleEndian.Uint32(head)
	if length < 4 || length > entryBytesMax {
		return nil, 0, fmt.Errorf("entry at %#x: %d bytes; 4 to %d are read", address, length, entryBytesMax)
	}
	bytes, err = source.Bytes(address+4, int(length))
	if err == nil && len(bytes) < int(length) {
		err = fmt.Errorf("entry at %#x: cut off", address)
	}
	return bytes, address + 4, err
}

// readEntry reads the FDE at the address, with its CIE.
func readEntry(source Source, address uint64) (Entry, error) {
	bytes, at, err := body(source, address)
	if err != nil {
		return Entry{}, err
	}
	c := &cursor{bytes: bytes, address: at}
	back := uint64(c.u32())
	if back == 0 {
		return Entry{}, fmt.Errorf("FDE at %#x: it is a CIE", address)
	}
	common, err := readCommon(source, at-back)
	if err != nil {
		return Entry{}, err
	}
	entry := Entry{common: common, Begin: c.pointer(common.encoding, 0)}
	entry.End = entry.Begin + c.formatted(common.encoding)
	if common.augmented {
		c.take(c.uleb())
	}
	if c.failed || entry.End < entry.Begin {
		return Entry{}, fmt.Errorf("FDE at %#x: malformed", address)
	}
	entry.program, entry.programAt = bytes[c.at:], at+uint64(c.at)
	return entry, nil
}

// readCommon reads the CIE at the address.
func readCommon(source Source, address uint64) (common, error) {
	bytes, at, err := body(source, address)
	if err != nil {
		return common{}, err
	}
	c := &cursor{bytes: bytes, address: at}
	if c.u32() != 0 {
		return common{}, fmt.Errorf("CIE at %#x: it is an FDE", address)
	}
	version := c.u8()
	var augmentation []byte
	for b := c.u8(); b != 0; b = c.u8() {
		augmentation = append(augmentation, b)
	}
	if version == 4 {
		c.take(2) // sizes of addresses and of segment selectors
	}
	result := common{codeAlign: c.uleb(), dataAlign: c.sleb()}
	if version == 1 {
		result.returnAddress = uint64(c.u8())
	} else {
		result.returnAddress = c.uleb()
	}
	result.augment(c, augmentation)
	if c.failed || (version != 1 && version != 3 && version != 4) {
		return common{}, fmt.Errorf("CIE at %#x: malformed, or of unknown version %d", address, version)
	}
	result.program, result.programAt = bytes[c.at:], at+uint64(c.at)
	return result, nil
}

// augment reads the augmentation. It begins with z, which says how long the data is, in all that compilers have written since 2002. After a
// letter that is not known, nothing is known of the data.
func (m *common) augment(c *cursor, augmentation []byte) {
	if len(augmentation) == 0 {
		return
	}
	if augmentation[0] != 'z' {
		c.failed = true
		return
	}
	m.augmented = true
	length := c.uleb()
	data := &cursor{address: c.address + uint64(c.at), bytes: c.take(length)}
	for _, letter := range augmentation[1:] {
		switch letter {
		case 'R':
			m.encoding = data.u8()
		case 'L':
			data.u8()
		case 'P':
			data.formatted(data.u8())
		case 'S':
			m.signal = true
		case 'B', 'G': // arm64: return addresses are signed with key B; stack of memory tags
		default:
			return
		}
	}
	c.failed = c.failed || data.failed
}
