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
	// restInterval passes after records came before the probes are asked for another wake-up: each is an interrupt on the dying
	// process's processor, so a storm gets a thousand a second, not one a death.
	restInterval = time.Millisecond
	// sleepMaxMs ends a sleep for which no wake-up could be sent, as the ring was full to the last byte.
	sleepMaxMs = 1000
)

// Ring is a mapped BPF_MAP_TYPE_RINGBUF. Positions are logical: bytes since the map was made, never wrapped.
// Safe for concurrent use, but for Close.
type Ring struct {
	consumerPage, producerPages []byte
	waitsPage                   []byte
	consumer, producer          *uint64
	waits                       *uint32 // set while Wait sleeps: the probes wake it then (hand_over() in bpf/record.h)
	data                        []byte  // the ring twice in a row, so that each record is in one piece
	size                        uint64
	epoll                       int
	wakeUp                      int // an eventfd that ends Wait
}

// openRing maps events for reading, its consumer position for writing, and the flag that asks the probes for a wake-up.
func openRing(events, readerWaits *ebpf.Map) (*Ring, error) {
	page := os.Getpagesize()
	size := uint64(events.MaxEntries())
	consumerPage, err := unix.Mmap(events.FD(), 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the ring's consumer position: %w", err)
	}
	producerPages, err := unix.Mmap(events.FD(), int64(page), page+2*int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("map the ring of %d bytes: %w", size, err), unix.Munmap(consumerPage))
	}
	waitsPage, err := unix.Mmap(readerWaits.FD(), 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("map the reader's flag: %w", err), unix.Munmap(consumerPage), unix.Munmap(producerPages))
	}
	ring := &Ring{
		consumerPage: consumerPage, producerPages: producerPages, waitsPage: waitsPage, size: size, data: producerPages[page:],
		consumer: (*uint64)(unsafe.Pointer(&consumerPage[0])), producer: (*uint64)(unsafe.Pointer(&producerPages[0])),
		waits: (*uint32)(unsafe.Pointer(&waitsPage[0])),
	}
	if err := ring.openEpoll(events.FD()); err != nil {
		return nil, errors.Join(err, ring.Close())
	}
	return ring, nil
}

// openEpoll watches edge-triggered: the ring stays readable for as long as the consumer lags, which here is always.
func (r *Ring) openEpoll(events int) (err error) {
	r.epoll, r.wakeUp = -1, -1
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	if r.wakeUp, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	for _, fd := range []int{events, r.wakeUp} {
		event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(fd)}
		if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
			return fmt.Errorf("epoll: %w", err)
		}
	}
	return nil
}

// Acked is the consumer position: everything before it was acknowledged and may be overwritten.
func (r *Ring) Acked() uint64 { return atomic.LoadUint64(r.consumer) }

// Written is the producer position.
func (r *Ring) Written() uint64 { return atomic.LoadUint64(r.producer) }

// Ack moves the consumer position. The position must be one that Next returned, or the kernel and all readers would lose their way.
func (r *Ring) Ack(position uint64) { atomic.StoreUint64(r.consumer, position) }

// Next returns the record at position, nil if it is a discarded one, and where the next begins; ok is false if there is none yet.
// The record lies in the ring: it may be overwritten once it is acknowledged.
func (r *Ring) Next(position uint64) (record []byte, next uint64, ok bool) {
	if position >= r.Written() {
		return nil, position, false
	}
	offset := position & (r.size - 1)
	header := atomic.LoadUint32((*uint32)(unsafe.Pointer(&r.data[offset])))
	if header&ringBusy != 0 {
		return nil, position, false
	}
	length := uint64(header &^ (ringBusy | ringDiscard))
	if length > r.size-ringHeaderBytes {
		// Only a reader that was overtaken sees this; it finds out by Acked.
		return nil, position, false
	}
	next = position + (length+ringHeaderBytes+7)&^7
	if header&ringDiscard != 0 {
		return nil, next, true
	}
	return r.data[offset+ringHeaderBytes:][:length:length], next, true
}

// Wait calls wake after each time that records came, until the context ends. It is to run once.
func (r *Ring) Wait(ctx context.Context, wake func()) error {
	stop := context.AfterFunc(ctx, func() { unix.Write(r.wakeUp, binaryOne) })
	defer stop()
	events := make([]unix.EpollEvent, 2)
	seen := r.Written()
	for ctx.Err() == nil {
		atomic.StoreUint32(r.waits, 1)
		// A record that came before the flag was set sent no wake-up.
		if r.Written() == seen {
			if _, err := unix.EpollWait(r.epoll, events, sleepMaxMs); err != nil && !errors.Is(err, unix.EINTR) {
				return fmt.Errorf("wait for the ring: %w", err)
			}
		}
		atomic.StoreUint32(r.waits, 0)
		// Also if nothing was written since: a record that was busy then is committed now.
		seen = r.Written()
		wake()
		time.Sleep(restInterval)
	}
	return nil
}

var binaryOne = []byte{1, 0, 0, 0, 0, 0, 0, 0}

// Close unmaps the ring. Nobody may use it any more.
func (r *Ring) Close() error {
	for _, fd := range []int{r.epoll, r.wakeUp} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	return errors.Join(unix.Munmap(r.consumerPage), unix.Munmap(r.producerPages), unix.Munmap(r.waitsPage))
}
