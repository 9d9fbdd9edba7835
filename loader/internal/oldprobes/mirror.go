// SPDX-License-Identifier: Apache-2.0

package oldprobes

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/ring"
)

// recordBytesMax limits a record that recordOf makes.
const recordBytesMax = 8 << 10

// mirror is a ring in the loader's own memory, with the layout of the kernel's (ring.Open), for records of the queue. Behind its data is room for
// a record that begins at their end.
type mirror struct {
	*ring.Ring
	file     *os.File
	memory   []byte
	wakeups  int // an eventfd
	waits    *uint32
	producer *uint64
	page     uint64
}

// newMirror makes a ring of size bytes, a power of two, that begins at position.
func newMirror(size, position uint64) (_ *mirror, err error) {
	m := &mirror{waits: new(uint32), page: uint64(os.Getpagesize()), wakeups: -1}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("make memory for the records of the queue: %w", err), m.Close())
		}
	}()
	fd, err := unix.MemfdCreate("whodunit-queue", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	m.file = os.NewFile(uintptr(fd), "queue")
	length := 2*m.page + size + recordBytesMax
	if err := m.file.Truncate(int64(length)); err != nil {
		return nil, err
	}
	if m.memory, err = unix.Mmap(fd, 0, int(length), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, err
	}
	m.producer = (*uint64)(unsafe.Pointer(&m.memory[m.page]))
	*m.producer, *(*uint64)(unsafe.Pointer(&m.memory[0])) = position, position
	if m.wakeups, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return nil, err
	}
	m.Ring, err = ring.Open(fd, m.wakeups, size, m.waits)
	return m, err
}

// Close releases the memory. No method may run then or later.
func (m *mirror) Close() error {
	var errs []error
	if m.Ring != nil {
		errs = append(errs, m.Ring.Close())
	}
	if m.wakeups >= 0 {
		errs = append(errs, unix.Close(m.wakeups))
	}
	if m.memory != nil {
		errs = append(errs, unix.Munmap(m.memory))
	}
	if m.file != nil {
		errs = append(errs, m.file.Close())
	}
	return errors.Join(errs...)
}

// put appends a record. false: there is no room, as too much is not acknowledged.
func (m *mirror) put(record []byte) (position uint64, ok bool) {
	at := *m.producer
	length := uint64(len(record)+ring.HeaderBytes+7) &^ 7
	if length > recordBytesMax || at+length-m.Acked() > m.Size() {
		return at, false
	}
	data := m.memory[2*m.page+at&(m.Size()-1):]
	copy(data[ring.HeaderBytes:], record)
	binary.NativeEndian.PutUint32(data[4:], 0)
	binary.NativeEndian.PutUint32(data, uint32(len(record)))
	atomic.StoreUint64(m.producer, at+length)
	return at + length, true
}

// wake wakes the reader if it waits.
func (m *mirror) wake() error {
	if !atomic.CompareAndSwapUint32(m.waits, 1, 0) {
		return nil
	}
	_, err := unix.Write(m.wakeups, binary.NativeEndian.AppendUint64(nil, 1))
	return err
}
