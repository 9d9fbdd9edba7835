// SPDX-License-Identifier: Apache-2.0

// Package ring reads a BPF ring buffer with late commit: the kernel does not overwrite what the consumer position has not passed, and
// that position moves only when the service has acknowledged. So the ring is the first queue; pinned, it outlives the loader. The
// reader of cilium/ebpf commits on each read and cannot do this. Layout and protocol: kernel/bpf/ringbuf.c.
package ring

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The header of a record, in kernel/bpf/ringbuf.c and include/uapi/linux/bpf.h.
const (
	HeaderBytes = 8       // struct bpf_ringbuf_hdr
	Busy        = 1 << 31 // BPF_RINGBUF_BUSY_BIT: the record is not committed yet
	Discard     = 1 << 30 // BPF_RINGBUF_DISCARD_BIT: the record is to be skipped
)

// Ring is a BPF_MAP_TYPE_RINGBUF. Positions are logical: bytes since the map was made, never wrapped.
// Safe for concurrent use, except Close.
type Ring struct {
	fd                         int
	consumerPage, producerPage []byte
	consumer, producer         *uint64
	waits                      *uint32 // set while Wait sleeps: the probes then send a wake-up (submit_record() in bpf/)
	size                       uint64
	wakeups                    *os.File // readable after the probes sent a wake-up
}

// Open maps the consumer position of the ring for writing and the producer position for reading. fd is the map's; the caller keeps
// it open until Close. wakeups becomes readable when the probes send a wake-up; for a kernel's ring it is fd. Open duplicates it. size is
// the ring's in bytes, a power of two. waits is memory that the probes read; it must stay mapped until Close.
func Open(fd, wakeups int, size uint64, waits *uint32) (*Ring, error) {
	ring, err := mapPositions(fd, size, waits)
	if err != nil {
		return nil, err
	}
	if ring.wakeups, err = poll(wakeups); err != nil {
		return nil, errors.Join(err, ring.Close())
	}
	return ring, nil
}

func mapPositions(fd int, size uint64, waits *uint32) (*Ring, error) {
	page := os.Getpagesize()
	consumerPage, err := unix.Mmap(fd, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the ring's consumer position: %w", err)
	}
	producerPage, err := unix.Mmap(fd, int64(page), page, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("map the ring's producer position: %w", err), unix.Munmap(consumerPage))
	}
	return &Ring{
		fd: fd, size: size, waits: waits, consumerPage: consumerPage, producerPage: producerPage,
		consumer: (*uint64)(unsafe.Pointer(&consumerPage[0])), producer: (*uint64)(unsafe.Pointer(&producerPage[0])),
	}, nil
}

// poll adds a duplicate of the descriptor to Go's poller. It must be edge-triggered, as that one is: the ring stays readable while the
// consumer lags, which it always does. A thread in a poller of its own would cost more than the rest of an idle loader.
func poll(wakeups int) (*os.File, error) {
	fd, err := unix.FcntlInt(uintptr(wakeups), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		return nil, fmt.Errorf("poll the ring: %w", err)
	}
	return os.NewFile(uintptr(fd), "ring"), nil
}

// Size returns the size of the ring in bytes.
func (r *Ring) Size() uint64 { return r.size }

// Acked returns the consumer position: what is before it was acknowledged and may be overwritten.
func (r *Ring) Acked() uint64 { return atomic.LoadUint64(r.consumer) }

// Written returns the producer position: the end of the last record, which may still be busy.
func (r *Ring) Written() uint64 { return atomic.LoadUint64(r.producer) }

// Overtaken reports whether the bytes at the position may have been overwritten. Bytes that are not acknowledged never are.
func (r *Ring) Overtaken(position uint64) bool { return r.Written()-position > r.size }

// Ack moves the consumer position. The argument must be a position that Reader.Next returned: the kernel and all readers expect a
// record to begin there.
func (r *Ring) Ack(position uint64) { atomic.StoreUint64(r.consumer, position) }

// Close unmaps the positions. No method may run then or later, Wait included.
func (r *Ring) Close() error {
	var err error
	if r.wakeups != nil {
		err = r.wakeups.Close()
	}
	return errors.Join(err, unix.Munmap(r.consumerPage), unix.Munmap(r.producerPage))
}
