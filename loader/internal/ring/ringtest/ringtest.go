// SPDX-License-Identifier: Apache-2.0

// Package ringtest makes rings for tests, over memory with the kernel's layout. The test writes the records.
package ringtest

import (
	"encoding/binary"
	"os"
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/ring"
)

// Ring is a ring.Ring that the test writes to.
type Ring struct {
	*ring.Ring
	memory  []byte // all of it, writable
	wakeups int
	waits   *uint32
}

// New returns a ring of size bytes, a power of two, or fails the test.
func New(t testing.TB, size int) *Ring {
	t.Helper()
	page := os.Getpagesize()
	length := 2*page + 2*size
	fd, err := unix.MemfdCreate("ring", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Ftruncate(fd, int64(length)); err != nil {
		t.Fatal(err)
	}
	memory, err := unix.Mmap(fd, 0, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	wakeups, err := unix.Eventfd(0, unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	waits := new(uint32)
	opened, err := ring.Open(fd, wakeups, uint64(size), waits)
	if err != nil {
		t.Fatal(err)
	}
	return &Ring{opened, memory, wakeups, waits}
}

// Put writes a record as bpf_ringbuf_output() does. flags are ring.Busy and ring.Discard. It returns false if the ring is full.
func (r *Ring) Put(record []byte, flags uint32) bool {
	page := uint64(os.Getpagesize())
	data, producer := r.memory[2*page:], (*uint64)(unsafe.Pointer(&r.memory[page]))
	at := *producer
	length := uint64(len(record)+ring.HeaderBytes+7) &^ 7
	if at+length-r.Acked() > r.Size() {
		return false
	}
	image := append(binary.NativeEndian.AppendUint32(nil, uint32(len(record))|flags), 0, 0, 0, 0)
	for i, b := range append(image, record...) {
		offset := (at + uint64(i)) & (r.Size() - 1)
		data[offset], data[offset+r.Size()] = b, b
	}
	atomic.StoreUint64(producer, at+length)
	if atomic.CompareAndSwapUint32(r.waits, 1, 0) { // as submit_record() of the probes does
		unix.Write(r.wakeups, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
	return true
}

// Commit clears the busy flag of the record at the position, as the end of bpf_ringbuf_output() does. No wake-up is sent: the probe found that
// the reader does not wait for one.
func (r *Ring) Commit(position uint64) {
	offset := 2*uint64(os.Getpagesize()) + position&(r.Size()-1)
	atomic.AndUint32((*uint32)(unsafe.Pointer(&r.memory[offset])), ^uint32(ring.Busy))
}
