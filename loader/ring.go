// SPDX-License-Identifier: Apache-2.0

// The ring buffer with late commit: the kernel does not overwrite what the consumer position has not passed, and that moves only
// when the service has acknowledged. So the ring is the first queue, and survives this process with its pin.
// cilium/ebpf's reader commits on each read, hence our own. Layout and protocol: kernel/bpf/ringbuf.c.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

const (
	ringHeaderBytes = 8       // struct bpf_ringbuf_hdr
	ringBusy        = 1 << 31 // BPF_RINGBUF_BUSY_BIT
	ringDiscard     = 1 << 30 // BPF_RINGBUF_DISCARD_BIT
	// windowBytes of the ring are mapped for each reader: all of a ring would be the largest part of the loader's memory.
	// It is more than the longest record (struct record of bpf/record.h, 25 KB) and a page.
	windowBytes = 128 << 10
	// restMin to restMax passes after records came before the probes are asked for another wake-up: each is an interrupt on the dying
	// process's processor, a round of the loader, and a transaction of the service, so a storm gets 20 a second, not one a death.
	restMin = 4 * time.Millisecond
	restMax = 50 * time.Millisecond
	// restPerKiB of records that came: with some six deaths in a rest the next one is twice as long. Not if more than this share of the
	// ring came: what is not read takes the room of those who die next.
	restPerKiB = time.Millisecond
	restShare  = 16
	// sleepMax ends a sleep for which no wake-up could be sent, as the ring was full to the last byte.
	sleepMax = 5 * time.Second
)

// Ring is a BPF_MAP_TYPE_RINGBUF. Positions are logical: bytes since the map was made, never wrapped.
// Safe for concurrent use, but for Close.
type Ring struct {
	fd                         int
	consumerPage, producerPage []byte
	consumer, producer         *uint64
	waits                      *uint32 // set while Wait sleeps: the probes wake it then (submit_record() in bpf/ring.h)
	size                       uint64
	notified                   *os.File // readable when the probes sent a wake-up
}

// openRing maps the consumer position of the ring for writing, and the producer position for reading. waits is shared with the probes.
func openRing(events *ebpf.Map, waits *uint32) (*Ring, error) {
	ring, err := mapRing(events.FD(), uint64(events.MaxEntries()), waits)
	if err != nil {
		return nil, err
	}
	if err := ring.listen(events.FD()); err != nil {
		return nil, errors.Join(err, ring.Close())
	}
	return ring, nil
}

func mapRing(fd int, size uint64, waits *uint32) (*Ring, error) {
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

// listen has Go's own poller watch for wake-ups. It is edge-triggered, as is needed here: the ring stays readable for as long as the
// consumer lags, which it always does. A thread that waits in a poller of its own costs more than all else of an idle loader.
func (r *Ring) listen(events int) error {
	fd, err := unix.FcntlInt(uintptr(events), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		return fmt.Errorf("watch the ring: %w", err)
	}
	r.notified = os.NewFile(uintptr(fd), "ring")
	return nil
}

// Acked is the consumer position: everything before it was acknowledged and may be overwritten.
func (r *Ring) Acked() uint64 { return atomic.LoadUint64(r.consumer) }

// Written is the producer position.
func (r *Ring) Written() uint64 { return atomic.LoadUint64(r.producer) }

// Overtaken says whether what lies at the position may have been overwritten: never where it is not acknowledged.
func (r *Ring) Overtaken(position uint64) bool { return r.Written()-position > r.size }

// Ack moves the consumer position. The position must be one that Next returned, or the kernel and all readers would lose their way.
func (r *Ring) Ack(position uint64) { atomic.StoreUint64(r.consumer, position) }

// RingReader reads the records of a ring, a window of it mapped at a time. Not for concurrent use.
type RingReader struct {
	ring     *Ring
	window   []byte // empty at first
	windowAt uint64 // where in the data it begins
}

// Reader gives a new one, to be closed.
func (r *Ring) Reader() *RingReader { return &RingReader{ring: r} }

// Next returns the record at position, nil if it is a discarded one, and where the next begins; ok is false if there is none yet.
// The record lies in the ring: it is there until the next call, and may be overwritten once it is acknowledged.
func (r *RingReader) Next(position uint64) (record []byte, next uint64, ok bool, err error) {
	if position >= r.ring.Written() {
		return nil, position, false, nil
	}
	head, err := r.at(position, ringHeaderBytes)
	if err != nil {
		return nil, position, false, err
	}
	header := atomic.LoadUint32((*uint32)(unsafe.Pointer(&head[0])))
	length := uint64(header &^ (ringBusy | ringDiscard))
	// A reader that was overtaken sees any length.
	if header&ringBusy != 0 || length > min(r.ring.size, windowBytes/2) {
		return nil, position, false, nil
	}
	next = position + (length+ringHeaderBytes+7)&^7
	if header&ringDiscard != 0 {
		return nil, next, true, nil
	}
	whole, err := r.at(position, ringHeaderBytes+length)
	if err != nil {
		return nil, position, false, err
	}
	return whole[ringHeaderBytes:], next, true, nil
}

// at gives the bytes from the position on, and moves the window if they do not all lie in it. The kernel shows the data twice in a
// row, so that each record is in one piece.
func (r *RingReader) at(position, bytes uint64) ([]byte, error) {
	offset := position & (r.ring.size - 1)
	if offset < r.windowAt || offset+bytes > r.windowAt+uint64(len(r.window)) {
		page := uint64(os.Getpagesize())
		if err := r.Close(); err != nil {
			return nil, err
		}
		r.windowAt = offset &^ (page - 1)
		window, err := unix.Mmap(r.ring.fd, int64(2*page+r.windowAt), int(min(windowBytes, 2*r.ring.size-r.windowAt)), unix.PROT_READ, unix.MAP_SHARED)
		if err != nil {
			return nil, fmt.Errorf("map a part of the ring: %w", err)
		}
		r.window = window
	}
	return r.window[offset-r.windowAt:][:bytes:bytes], nil
}

// Close unmaps the window. The reader may go on: it maps another.
func (r *RingReader) Close() error {
	if len(r.window) == 0 {
		return nil
	}
	window := r.window
	r.window = nil
	if err := unix.Munmap(window); err != nil {
		return fmt.Errorf("unmap a part of the ring: %w", err)
	}
	return nil
}

// Wait calls wake after each time that records came, until the context ends. It is to run once.
func (r *Ring) Wait(ctx context.Context, wake func()) error {
	notified, err := r.notified.SyscallConn()
	if err != nil {
		return fmt.Errorf("wait for the ring: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { r.notified.SetReadDeadline(time.Now()) })
	defer stop()
	seen := r.Written()
	for {
		if err := r.notified.SetReadDeadline(time.Now().Add(sleepMax)); err != nil {
			return fmt.Errorf("wait for the ring: %w", err)
		}
		if ctx.Err() != nil { // Its end set a deadline, which the line above may have undone.
			return nil
		}
		atomic.StoreUint32(r.waits, 1)
		// A record that came before the flag was set sent no wake-up. One that was busy then is committed when the wake-up comes.
		asked := false
		err := notified.Read(func(uintptr) bool { again := asked; asked = true; return again || r.Written() != seen })
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("wait for the ring: %w", err)
		}
		atomic.StoreUint32(r.waits, 0)
		before := seen
		seen = r.Written()
		wake()
		time.Sleep(r.restAfter(seen - before))
	}
}

// restAfter so many bytes that came.
func (r *Ring) restAfter(bytes uint64) time.Duration {
	if bytes > r.size/restShare {
		return restMin
	}
	return min(restMin+time.Duration(bytes>>10)*restPerKiB, restMax)
}

// Close unmaps the ring. Nobody may use it any more.
func (r *Ring) Close() error {
	var err error
	if r.notified != nil {
		err = r.notified.Close()
	}
	return errors.Join(err, unix.Munmap(r.consumerPage), unix.Munmap(r.producerPage))
}
