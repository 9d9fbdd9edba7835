// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/abi"
)

const (
	// entriesMax crashes wait for the helper, or are unwound, at a time. Their copies have copiesBytesMax together.
	entriesMax     = 1024
	copiesBytesMax = 32 << 20
	slotBytes      = int(unsafe.Sizeof(abi.CrashSlot{}))
	// ReplyBytesMax of JSON are what the helper may say of a crash. With a record's other texts it fits in a line of the wire.
	ReplyBytesMax = 48 << 10
	replyBytes    = 64 << 10 // a multiple of every page size
	stateBytes    = 64 << 10
	entryBytes    = slotBytes + pagesBytes + replyBytes
	arenaBytes    = entriesMax*entryBytes + stateBytes
)

// Arena is memory that loader and helper share: an entry for each crash, with the copy of its slot, pages of its files, and room for the
// helper's answer. Nothing else holds bytes of a crashed process. Entries that are not in use take no memory. Its size is sealed: the helper cannot take it away.
type Arena struct {
	file   *os.File
	memory []byte
}

// NewArena returns an empty arena.
func NewArena() (*Arena, error) {
	fd, err := unix.MemfdCreate("whodunit-crashes", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("make the memory that is shared with the crash helper: %w", err)
	}
	file := os.NewFile(uintptr(fd), "crashes")
	err = unix.Ftruncate(fd, int64(arenaBytes))
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("size the memory that is shared with the crash helper: %w", err)
	}
	arena, err := OpenArena(file)
	if err != nil {
		file.Close()
	}
	return arena, err
}

// OpenArena maps the arena of another process, whose descriptor was inherited. Close closes the file.
func OpenArena(file *os.File) (*Arena, error) {
	memory, err := unix.Mmap(int(file.Fd()), 0, arenaBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the memory that is shared with the crash helper: %w", err)
	}
	// A core dump of the loader or the helper must not have it.
	if err := unix.Madvise(memory, unix.MADV_DONTDUMP); err != nil {
		unix.Munmap(memory)
		return nil, fmt.Errorf("exclude the crashes from core dumps: %w", err)
	}
	return &Arena{file, memory}, nil
}

// WorkerState is what the supervisor of the helper sees of the worker.
type WorkerState struct {
	Steps         atomic.Uint32 // odd: it unwinds a crash
	Number, Entry atomic.Uint32 // of its request
}

// State returns the state of the helper's worker.
func (a *Arena) State() *WorkerState {
	return (*WorkerState)(unsafe.Pointer(&a.memory[entriesMax*entryBytes]))
}

// Slot returns the copy of a slot in an entry.
func (a *Arena) Slot(entry int) *abi.CrashSlot {
	return (*abi.CrashSlot)(unsafe.Pointer(&a.memory[entry*entryBytes]))
}

// Pages returns the copied pages of files in an entry.
func (a *Arena) Pages(entry int) *abi.CrashPages {
	return (*abi.CrashPages)(unsafe.Pointer(&a.memory[entry*entryBytes+slotBytes]))
}

// Reply returns the room for the answer about an entry.
func (a *Arena) Reply(entry int) []byte {
	return a.memory[entry*entryBytes+slotBytes+pagesBytes:][:replyBytes]
}

// erase zeroes an entry, and gives its memory back.
func (a *Arena) erase(entry int) error {
	return unix.Madvise(a.memory[entry*entryBytes:][:entryBytes], unix.MADV_REMOVE)
}

// Close erases and unmaps the memory.
func (a *Arena) Close() error {
	unix.Madvise(a.memory, unix.MADV_REMOVE)
	if err := unix.Munmap(a.memory); err != nil {
		return err
	}
	return a.file.Close()
}
