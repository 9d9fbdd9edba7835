// SPDX-License-Identifier: Apache-2.0

// From the bytes of the ring to an Event. Pure. The layout is bpf/event.h's, by way of the types that bpf2go generated. What the
// texts in it mean is left to texts.go.
package main

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unsafe"
)

const (
	eventABI         = uint32(bpfEventAbiEVENT_ABI)
	eventShrunk      = uint32(bpfEventFlagEVENT_FLAG_SHRUNK)
	eventOomVictim   = uint32(bpfEventFlagEVENT_FLAG_OOM_VICTIM)
	eventRestart     = uint32(bpfEventFlagEVENT_FLAG_RESTART)
	partTruncated    = uint16(bpfPartFlagPART_FLAG_TRUNCATED)
	pfExiting        = uint32(bpfTaskFlagPF_EXITING)
	pfKthread        = uint32(bpfTaskFlagPF_KTHREAD)
	statusSignalMask = uint32(bpfStatusMaskSTATUS_SIGNAL)
)

// decoder turns records into events. Its first two fields are facts of the machine; the rest is the storage that every event reuses,
// so that a death costs no allocation. An event is valid until the next decode, and while its record lies in the ring: texts that
// need no change are the record's own bytes. Not for concurrent use.
type decoder struct {
	pageBytes uint64
	symbols   symbolizer

	event     Event
	signals   []Signal
	facts     []bpfSignalFact
	faults    []Fault
	rawFaults []bpfFault
	oom       Oom
	dead      Dead
	thread    ThreadContext
	pointed   []string // what the event's *string fields point to
	list      []string // arguments and frames
	ancestors []Ancestor
	env       map[string]string
	texts     []byte // texts that the record does not have in one piece
}

func newDecoder(pageBytes uint64, symbols symbolizer) *decoder {
	return &decoder{
		pageBytes: pageBytes, symbols: symbols,
		signals: make([]Signal, 0, 2), facts: make([]bpfSignalFact, 0, 2), faults: make([]Fault, 0, 2), rawFaults: make([]bpfFault, 0, 2),
		pointed: make([]string, 0, 16), list: make([]string, 0, 64), ancestors: make([]Ancestor, 0, 18), env: map[string]string{},
	}
}

// reset forgets the last event. Slices that had to grow stay grown: a record bounds them all.
func (d *decoder) reset() {
	d.signals, d.facts, d.faults, d.rawFaults = d.signals[:0], d.facts[:0], d.faults[:0], d.rawFaults[:0]
	d.pointed, d.list, d.ancestors, d.texts = d.pointed[:0], d.list[:0], d.ancestors[:0], d.texts[:0]
}

// symbolizer appends the name of the kernel function that each address lies in; "" where it cannot.
type symbolizer interface {
	names(out []string, addresses []uint64) []string
}

// decode reads one record. It fails on a record that is cut off or of another ABI.
func (d *decoder) decode(record []byte) (*Event, error) {
	d.reset()
	head, rest, err := take[bpfEvent](record)
	if err != nil {
		return nil, fmt.Errorf("event: %w", err)
	}
	if head.Abi != eventABI {
		return nil, fmt.Errorf("event: ABI %d, not %d", head.Abi, eventABI)
	}
	event := &d.event
	*event = Event{
		TimeNs: head.TimeNs, StatusRaw: head.StatusRaw, SeccompMode: head.SeccompMode, PdeathSignal: head.PdeathSignal,
		Ptraced: head.Ptrace != 0, Threads: head.Threads, OomVictim: head.Flags&eventOomVictim != 0, Shrunk: head.Flags&eventShrunk != 0,
		Process: Process{
			Pid: head.Key.Pid, Vpid: head.Vpid, StartBoottimeNs: head.Key.StartBoottimeNs, ParentPid: head.ParentPid, Tid: head.Tid,
			Comm: d.comm(record, unsafe.Offsetof(head.Comm)), ThreadComm: d.comm(record, unsafe.Offsetof(head.ThreadComm)),
			UID: head.Uid, GID: head.Gid, Ancestors: d.ancestors,
		},
	}
	for len(rest) > 0 {
		part, payload, err := take[bpfPart](rest)
		if err != nil || uint64(part.Bytes) > uint64(len(payload)) {
			return nil, fmt.Errorf("event: part %d is cut off", part.Kind)
		}
		if err := d.part(event, part, payload[:part.Bytes]); err != nil {
			return nil, fmt.Errorf("part %d: %w", part.Kind, err)
		}
		rest = payload[min(uint64(len(payload)), uint64(part.Bytes+7)&^7):]
	}
	if restart := head.Flags&eventRestart != 0; restart != (event.Dead != nil) {
		return nil, fmt.Errorf("event: a restart and its dead do not come together")
	}
	event.settle()
	return event, nil
}

func (d *decoder) part(event *Event, part bpfPart, payload []byte) (err error) {
	process := &event.Process
	truncated := part.Flags&partTruncated != 0
	switch bpfPartKind(part.Kind) {
	case bpfPartKindPART_SIGNAL:
		event.Signal, err = d.signal(payload)
	case bpfPartKindPART_REQUEST:
		event.Request, err = d.signal(payload)
	case bpfPartKindPART_FAULT:
		event.Fault, err = d.fault(payload)
	case bpfPartKindPART_HANDLED_FAULT:
		event.HandledFault, err = d.fault(payload)
	case bpfPartKindPART_OOM:
		event.Oom, err = d.oomOf(payload)
	case bpfPartKindPART_EXE:
		process.Exe = d.path(payload, truncated)
	case bpfPartKindPART_CGROUP:
		process.Cgroup = d.path(payload, truncated)
	case bpfPartKindPART_ANCESTORS:
		process.Ancestors, err = d.ancestorsOf(payload)
	case bpfPartKindPART_SIGNAL_SENDER:
		err = d.describe(event.Signal, payload)
	case bpfPartKindPART_REQUEST_SENDER:
		err = d.describe(event.Request, payload)
	case bpfPartKindPART_BUILD_ID:
		process.BuildID = d.hex(payload)
	case bpfPartKindPART_CONTEXT:
		process.OtelContext = payload
	case bpfPartKindPART_PREDECESSOR:
		event.Dead, err = d.deadOf(payload)
	case bpfPartKindPART_THREAD_CONTEXT:
		event.ThreadContext, err = d.threadContext(payload)
	case bpfPartKindPART_ENV:
		process.Env = d.environment(payload)
	case bpfPartKindPART_ARGS:
		process.Args, process.ArgsTruncated = d.arguments(payload), truncated
	default:
		return fmt.Errorf("unknown to this loader")
	}
	return err
}

// settle puts the remembered signals where they belong, now that the status is known: `signal` is the one of the status, `request`
// the polite one that did not end the process by itself. A blocked polite one that signalfd or sigwait took was remembered as what
// may come true; one whose handler was removed meanwhile as a request.
func (event *Event) settle() {
	ended := event.StatusRaw & statusSignalMask
	remembered, request := event.Signal, event.Request
	event.Signal = nil
	switch {
	case remembered != nil && remembered.Signo == ended:
		event.Signal = remembered
	case request != nil && request.Signo == ended:
		event.Signal, event.Request = request, nil
	case request == nil && remembered != nil && isRequest(remembered.Signo) && !remembered.Committed:
		event.Request = remembered
	}
}

// isRequest: is it a termination request?
func isRequest(signo uint32) bool { return uint32(bpfSignalSetREQUESTS)>>(signo-1)&1 != 0 }

func (d *decoder) signal(payload []byte) (*Signal, error) {
	fixed := int(unsafe.Offsetof(bpfSignalFact{}.Stack))
	raw, err := takeShort[bpfSignalFact](payload, fixed)
	if err != nil {
		return nil, err
	}
	if uint64(raw.StackFrames) > uint64(len(payload)-fixed)/8 || int(raw.StackFrames) > len(raw.Stack) {
		return nil, errCutOff
	}
	d.facts = append(d.facts, raw)
	fact := &d.facts[len(d.facts)-1]
	d.signals = append(d.signals, Signal{
		Signo: fact.Signo, Code: fact.Code, Result: fact.Result, Committed: fact.Committed != 0, Group: fact.Group != 0,
		TargetTid: fact.TargetTid, TimeNs: fact.TimeNs, KernelStack: d.stack(fact.Stack[:fact.StackFrames]),
		Info:   [...]string{"noinfo", "kernel", "siginfo"}[min(fact.Siginfo, 2)],
		Action: [...]string{"default", "ignored", "handled"}[min(fact.Action, 2)],
		Sender: Actor{
			Pid: fact.Sender.Pid, Tid: fact.SenderTid, StartBoottimeNs: fact.Sender.StartBoottimeNs,
			Comm: d.comm(payload, unsafe.Offsetof(fact.SenderComm)), UID: fact.SenderUid,
			Exiting: fact.SenderFlags&pfExiting != 0, Kthread: fact.SenderFlags&pfKthread != 0, Ancestors: d.ancestors[:0],
		},
	})
	signal := &d.signals[len(d.signals)-1]
	if signal.Info == "siginfo" && fact.Code <= 0 {
		signal.SiginfoPid, signal.SiginfoUID = &fact.SiginfoPid, &fact.SiginfoUid
	}
	if fact.SyscallNr >= 0 {
		signal.Syscall = &fact.SyscallNr
	}
	return signal, nil
}

// stack names the frames, from the one that generated the signal outwards: what lies further in is the probe itself.
func (d *decoder) stack(addresses []uint64) []string {
	start := len(d.list)
	d.list = d.symbols.names(d.list, addresses)
	kept := d.list[:start]
	for _, name := range d.list[start:] {
		if name != "" && !strings.HasPrefix(name, "bpf_") && !strings.HasPrefix(name, "__bpf_") && !strings.HasPrefix(name, "__traceiter_") {
			kept = append(kept, name)
		}
	}
	d.list = kept
	return d.list[start:]
}

func (d *decoder) fault(payload []byte) (*Fault, error) {
	copied, _, err := take[bpfFault](payload)
	if err != nil {
		return nil, err
	}
	d.rawFaults = append(d.rawFaults, copied)
	raw := &d.rawFaults[len(d.rawFaults)-1]
	d.faults = append(d.faults, Fault{
		Signo: raw.Signo, Code: raw.Code, Tid: raw.Tid, ThreadComm: d.comm(payload, unsafe.Offsetof(raw.ThreadComm)), TimeNs: raw.TimeNs,
	})
	out := &d.faults[len(d.faults)-1]
	const sigsys, siKernel = 31, 128 // SIGSYS; SI_KERNEL carries no address
	if raw.Code != siKernel {
		out.Address = d.number(raw.Address, 16)
	}
	if raw.StackPointer != 0 { // a call of address 0 has an instruction pointer of 0
		out.InstructionPointer, out.StackPointer = d.number(raw.InstructionPointer, 16), d.number(raw.StackPointer, 16)
	}
	if raw.HasTrap != 0 {
		out.TrapNr, out.ErrorCode = &raw.TrapNr, &raw.ErrorCode
	}
	if raw.Signo == sigsys {
		out.Syscall, out.SyscallArch = &raw.SyscallNr, &raw.SyscallArch
	}
	return out, nil
}

func (d *decoder) oomOf(payload []byte) (*Oom, error) {
	fixed := int(unsafe.Offsetof(bpfOom{}.Cgroup))
	raw, err := takeShort[bpfOom](payload[:min(fixed, len(payload))], fixed)
	if err != nil {
		return nil, err
	}
	page := int64(d.pageBytes)
	d.oom = Oom{
		TotalVM: raw.TotalVm * d.pageBytes, AnonRss: raw.AnonRss * page, FileRss: raw.FileRss * page, ShmemRss: raw.ShmemRss * page,
		ScoreAdj: raw.ScoreAdj, TimeNs: raw.TimeNs,
	}
	if raw.Limit != 0 {
		d.oom.Limit = d.number(raw.Limit*d.pageBytes, 10)
		d.oom.Cgroup = d.path(payload[fixed:min(fixed+int(raw.CgroupBytes), len(payload))], false)
	}
	return &d.oom, nil
}

// describe adds what is known of the sender. Its texts lie behind the fixed part: executable, cgroup, arguments.
func (d *decoder) describe(signal *Signal, payload []byte) (err error) {
	if signal == nil {
		return fmt.Errorf("describes the sender of no signal")
	}
	fixed := int(unsafe.Offsetof(bpfDescription{}.Data))
	if len(payload) < fixed {
		return errCutOff
	}
	var raw bpfDescription // for its layout alone: of 3 KB, only the head is there
	exeBytes, cgroupBytes, argsBytes := word(payload, unsafe.Offsetof(raw.ExeBytes)), word(payload, unsafe.Offsetof(raw.CgroupBytes)), word(payload, unsafe.Offsetof(raw.ArgsBytes))
	ancestorsCount := word(payload, unsafe.Offsetof(raw.AncestorsCount))
	texts := payload[fixed:]
	if uint64(exeBytes)+uint64(cgroupBytes)+uint64(argsBytes) > uint64(len(texts)) || ancestorsCount > uint32(len(raw.Ancestors)) {
		return errCutOff
	}
	sender := &signal.Sender
	if exeBytes > 0 {
		sender.Exe = d.path(texts[:exeBytes], false)
	}
	texts = texts[exeBytes:]
	sender.Cgroup = d.path(texts[:cgroupBytes], false)
	if argsBytes > 0 {
		sender.Args = d.arguments(texts[cgroupBytes:][:argsBytes])
	}
	sender.ArgsTruncated = word(payload, unsafe.Offsetof(raw.ArgsTruncated)) != 0
	at := unsafe.Offsetof(raw.Ancestors)
	sender.Ancestors, err = d.ancestorsOf(payload[at : at+uintptr(ancestorsCount)*unsafe.Sizeof(bpfAncestor{})])
	return err
}

func (d *decoder) deadOf(payload []byte) (*Dead, error) {
	raw, _, err := take[bpfPredecessor](payload)
	d.dead = Dead{Pid: raw.Key.Pid, StartBoottimeNs: raw.Key.StartBoottimeNs, TimeNs: raw.TimeNs}
	return &d.dead, err
}

func (d *decoder) threadContext(payload []byte) (*ThreadContext, error) {
	raw, _, err := take[bpfThreadContext](payload)
	if err != nil {
		return nil, err
	}
	d.thread = ThreadContext{
		TraceID:    *d.hex(payload[:len(raw.TraceId)]),
		SpanID:     *d.hex(payload[unsafe.Offsetof(raw.SpanId):][:len(raw.SpanId)]),
		TraceFlags: raw.TraceFlags,
	}
	return &d.thread, nil
}

func (d *decoder) ancestorsOf(payload []byte) ([]Ancestor, error) {
	start := len(d.ancestors)
	for len(payload) > 0 {
		raw, rest, err := take[bpfAncestor](payload)
		if err != nil {
			return nil, err
		}
		d.ancestors = append(d.ancestors, Ancestor{raw.Pid, d.comm(payload, unsafe.Offsetof(raw.Comm))})
		payload = rest
	}
	return d.ancestors[start:], nil
}

// word reads a 32-bit field of a C type at the front of raw.
func word(raw []byte, offset uintptr) uint32 { return binary.NativeEndian.Uint32(raw[offset:]) }

var errCutOff = fmt.Errorf("the record is cut off")

// take reads a T from the front of raw, and returns the rest. T's layout is the C type's (structs.HostLayout).
func take[T any](raw []byte) (value T, rest []byte, err error) {
	size := int(unsafe.Sizeof(value))
	if len(raw) < size {
		return value, nil, errCutOff
	}
	value, err = takeShort[T](raw[:size], size)
	return value, raw[size:], err
}

// takeShort reads a T whose tail the probe left out, all but the first `least` bytes; what is missing is zero.
func takeShort[T any](raw []byte, least int) (value T, err error) {
	if len(raw) < least {
		return value, errCutOff
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&value)), unsafe.Sizeof(value)), raw)
	return value, nil
}
