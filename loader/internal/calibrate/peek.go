// SPDX-License-Identifier: Apache-2.0

package calibrate

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// windowBytes is what one peek reads.
const windowBytes = len(peekPeek{}.Bytes)

// peeker reads kernel memory (bpf/peek.bpf.c). One thread uses it, which is locked to the system's.
type peeker struct {
	collection *ebpf.Collection
	attached   link.Link
	tid        int
}

func newPeeker() (*peeker, error) {
	spec, err := loadPeek()
	if err != nil {
		return nil, err
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, fmt.Errorf("raise RLIMIT_MEMLOCK, which limits BPF maps before Linux 5.11: %w", err)
	}
	collection, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("load the program that reads kernel memory: %w", err)
	}
	attached, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: "signal_generate", Program: collection.Programs[peekProgOnPeek]})
	if err != nil {
		collection.Close()
		return nil, fmt.Errorf("attach the program that reads kernel memory: %w", err)
	}
	return &peeker{collection, attached, unix.Gettid()}, nil
}

func (p *peeker) close() error {
	err := p.attached.Close()
	p.collection.Close()
	return err
}

// signal sends a signal that is ignored to a thread, and returns the address of its task, and what lies at another address, if that is not 0.
func (p *peeker) signal(pid, tid int, address uint64) (task uint64, window []byte, err error) {
	peeks := p.collection.Maps[peekMapPeeks]
	if err := peeks.Put(uint32(0), peekPeek{Tid: uint32(p.tid), Address: address}); err != nil {
		return 0, nil, fmt.Errorf("ask for kernel memory: %w", err)
	}
	if err := unix.Tgkill(pid, tid, unix.SIGWINCH); err != nil {
		return 0, nil, fmt.Errorf("send a signal to a thread: %w", err)
	}
	var got peekPeek
	if err := peeks.Lookup(uint32(0), &got); err != nil {
		return 0, nil, fmt.Errorf("get kernel memory: %w", err)
	}
	if err := peeks.Put(uint32(0), peekPeek{}); err != nil {
		return 0, nil, fmt.Errorf("end a request for kernel memory: %w", err)
	}
	if got.Done == 0 {
		return 0, nil, errors.New("the kernel skipped the program that reads its memory")
	}
	return got.Task, got.Bytes[:], nil
}

// read returns what lies at the address: a multiple of windowBytes. What cannot be read is 0.
func (p *peeker) read(address uint64, bytes int) (memory []byte, err error) {
	for len(memory) < bytes {
		_, window, err := p.signal(os.Getpid(), p.tid, address+uint64(len(memory)))
		if err != nil {
			return nil, err
		}
		memory = append(memory, window...)
	}
	return memory, nil
}

// hasSecondArgument reports whether the tracepoint passes two arguments at least: a program that reads more than there are cannot be attached
// (bpf_raw_tp_link_attach(), max_ctx_offset).
func (p *peeker) hasSecondArgument(tracepoint string) bool {
	attached, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: tracepoint, Program: p.collection.Programs[peekProgOnSecondArgument]})
	if err != nil {
		return false
	}
	attached.Close()
	return true
}
