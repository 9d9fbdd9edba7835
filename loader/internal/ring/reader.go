// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// windowBytes of the ring are mapped for each reader: a whole ring would be the largest part of the loader's memory. A window is longer than
// the longest record (struct record in bpf/, 25 KB) and a page.
const windowBytes = 128 << 10

// Reader reads the records of a ring through a mapped window. Not for concurrent use.
type Reader struct {
	ring     *Ring
	window   []byte // empty at first
	windowAt uint64 // where in the data it begins
}

// Reader returns a new reader, which the caller closes.
func (r *Ring) Reader() *Reader { return &Reader{ring: r} }

// Next returns the record at position, nil if it is discarded, and where the next record begins. ok is false if it is not committed yet.
// The bytes are the ring's own: they are valid until the next call, and the kernel may overwrite them once they are acknowledged. An error
// means that the window could not be mapped.
func (r *Reader) Next(position uint64) (record []byte, next uint64, ok bool, err error) {
	if position >= r.ring.Written() {
		return nil, position, false, nil
	}
	head, err := r.at(position, HeaderBytes)
	if err != nil {
		return nil, position, false, err
	}
	header := atomic.LoadUint32((*uint32)(unsafe.Pointer(&head[0])))
	length := uint64(header &^ (Busy | Discard))
	// A reader that was overtaken may read any length.
	if header&Busy != 0 || length > min(r.ring.size, windowBytes/2) {
		return nil, position, false, nil
	}
	next = position + (length+HeaderBytes+7)&^7
	if header&Discard != 0 {
		return nil, next, true, nil
	}
	whole, err := r.at(position, HeaderBytes+length)
	if err != nil {
		return nil, position, false, err
	}
	return whole[HeaderBytes:], next, true, nil
}

// at returns the bytes at the position. It moves the window if it does not contain all of them. The kernel maps the data twice in a row, so
// each record is contiguous.
func (r *Reader) at(position, bytes uint64) ([]byte, error) {
	offset := position & (r.ring.size - 1)
	if offset < r.windowAt || offset+bytes > r.windowAt+uint64(len(r.window)) {
		page := uint64(os.Getpagesize())
		if err := r.Close(); err != nil {
			return nil, err
		}
		r.windowAt = offset &^ (page - 1)
		window, err := unix.Mmap(r.ring.fd, int64(2*page+r.windowAt), int(min(windowBytes, 2*r.ring.size-r.windowAt)), unix.PROT_READ, unix.MAP_SHARED)
		if err != nil {
			return nil, fmt.Errorf("map a window of the ring: %w", err)
		}
		r.window = window
	}
	return r.window[offset-r.windowAt:][:bytes:bytes], nil
}

// Close unmaps the window. The reader stays usable: it maps another one when needed.
func (r *Reader) Close() error {
	if len(r.window) == 0 {
		return nil
	}
	window := r.window
	r.window = nil
	if err := unix.Munmap(window); err != nil {
		return fmt.Errorf("unmap a window of the ring: %w", err)
	}
	return nil
}
