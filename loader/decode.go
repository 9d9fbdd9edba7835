// SPDX-License-Identifier: Apache-2.0

// From the bytes of the ring to an Event. Pure. The layout is bpf/event.h's, by way of the types that bpf2go generated.
package main

import (
	"bytes"
	"fmt"
	"strings"
	"unsafe"
)

const (
	eventABI         = 1 // EVENT_ABI
	eventShrunk      = 1 // EVENT_FLAG_SHRUNK
	eventOomVictim   = 2 // EVENT_FLAG_OOM_VICTIM
	partTruncated    = 1 // PART_FLAG_TRUNCATED
	pfExiting        = 0x00000004
	pfKthread        = 0x00200000
	statusSignalMask = 0x7f
)

// decoder turns records into events. Its fields are facts of the machine.
type decoder struct {
	pageBytes uint64
	symbols   symbolizer
}

// symbolizer names the kernel function that an address lies in; "" if it cannot.
type symbolizer interface {
	name(address uint64) string
}

// decode reads one record. It keeps no reference to it, and fails on a record that is cut off or of another ABI.
func (d decoder) decode(record []byte) (*Event, error) {
	head, rest, err := take[bpfEvent](record)
	if err != nil {
		return nil, fmt.Errorf("event: %w", err)
	}
	if head.Abi != eventABI {
		return nil, fmt.Errorf("event: ABI %d, not %d", head.Abi, eventABI)
	}
	event := &Event{
		TimeNs: head.TimeNs, StatusRaw: head.StatusRaw, SeccompMode: head.SeccompMode, PdeathSignal: head.PdeathSignal,
		Ptraced: head.Ptrace != 0, Threads: head.Threads, OomVictim: head.Flags&eventOomVictim != 0, Shrunk: head.Flags&eventShrunk != 0,
		Process: Process{
			Pid: head.Key.Pid, Vpid: head.Vpid, StartBoottimeNs: head.Key.StartBoottimeNs, ParentPid: head.ParentPid, Tid: head.Tid,
			Comm: comm(head.Comm), ThreadComm: comm(head.ThreadComm), UID: head.Uid, GID: head.Gid, Ancestors: []Ancestor{},
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
	event.settle()
	return event, nil
}

func (d decoder) part(event *Event, part bpfPart, payload []byte) (err error) {
	process := &event.Process
	truncated := part.Flags&partTruncated != 0
	switch bpfPartKind(part.Kind) {
	case bpfPartKindPART_SIGNAL:
		event.Signal, err = d.signal(payload)
	case bpfPartKindPART_REQUEST:
		event.Request, err = d.signal(payload)
	case bpfPartKindPART_FAULT:
		event.Fault, err = fault(payload)
	case bpfPartKindPART_HANDLED_FAULT:
		event.HandledFault, err = fault(payload)
	case bpfPartKindPART_OOM:
		event.Oom, err = d.oom(payload)
	case bpfPartKindPART_EXE:
		process.Exe = path(payload, truncated)
	case bpfPartKindPART_CGROUP:
		process.Cgroup = path(payload, truncated)
	case bpfPartKindPART_ANCESTORS:
		process.Ancestors, err = ancestors(payload)
	case bpfPartKindPART_SIGNAL_SENDER:
		err = describe(event.Signal, payload)
	case bpfPartKindPART_REQUEST_SENDER:
		err = describe(event.Request, payload)
	case bpfPartKindPART_ENV:
		process.Env = environment(payload)
	case bpfPartKindPART_ARGS:
		process.Args, process.ArgsTruncated = arguments(payload), truncated
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

// isRequest: SIGHUP, SIGINT, SIGQUIT, SIGTERM (REQUESTS of bpf/whodunit.bpf.c).
func isRequest(signo uint32) bool { return signo == 1 || signo == 2 || signo == 3 || signo == 15 }

func (d decoder) signal(payload []byte) (*Signal, error) {
	fixed := int(unsafe.Offsetof(bpfSignalFact{}.Stack))
	fact, err := takeShort[bpfSignalFact](payload, fixed)
	if err != nil {
		return nil, err
	}
	if uint64(fact.StackFrames) > uint64(len(payload)-fixed)/8 || int(fact.StackFrames) > len(fact.Stack) {
		return nil, errCutOff
	}
	signal := &Signal{
		Signo: fact.Signo, Code: fact.Code, Result: fact.Result, Committed: fact.Committed != 0, Group: fact.Group != 0,
		TargetTid: fact.TargetTid, TimeNs: fact.TimeNs, KernelStack: d.stack(fact.Stack[:fact.StackFrames]),
		Info:   [...]string{"noinfo", "kernel", "siginfo"}[min(fact.Siginfo, 2)],
		Action: [...]string{"default", "ignored", "handled"}[min(fact.Action, 2)],
		Sender: Actor{
			Pid: fact.Sender.Pid, Tid: fact.SenderTid, StartBoottimeNs: fact.Sender.StartBoottimeNs, Comm: comm(fact.SenderComm),
			UID: fact.SenderUid, Exiting: fact.SenderFlags&pfExiting != 0, Kthread: fact.SenderFlags&pfKthread != 0, Ancestors: []Ancestor{},
		},
	}
	if signal.Info == "siginfo" && fact.Code <= 0 {
		signal.SiginfoPid, signal.SiginfoUID = &fact.SiginfoPid, &fact.SiginfoUid
	}
	if fact.SyscallNr >= 0 {
		signal.Syscall = &fact.SyscallNr
	}
	return signal, nil
}

// stack names the frames, from the one that generated the signal outwards: what lies further in is the probe itself.
func (d decoder) stack(addresses []uint64) []string {
	names := make([]string, 0, len(addresses))
	for _, address := range addresses {
		name := d.symbols.name(address)
		if name == "" || strings.HasPrefix(name, "bpf_") || strings.HasPrefix(name, "__bpf_") || strings.HasPrefix(name, "__traceiter_") {
			continue
		}
		names = append(names, name)
	}
	return names
}

func fault(payload []byte) (*Fault, error) {
	raw, _, err := take[bpfFault](payload)
	if err != nil {
		return nil, err
	}
	out := &Fault{Signo: raw.Signo, Code: raw.Code, Tid: raw.Tid, ThreadComm: comm(raw.ThreadComm), TimeNs: raw.TimeNs}
	const sigsys, siKernel = 31, 128 // SIGSYS; SI_KERNEL carries no address
	if raw.Code != siKernel {
		out.Address = hex(raw.Address)
	}
	if raw.InstructionPointer != 0 {
		out.InstructionPointer, out.StackPointer = hex(raw.InstructionPointer), hex(raw.StackPointer)
	}
	if raw.HasTrap != 0 {
		out.TrapNr, out.ErrorCode = &raw.TrapNr, &raw.ErrorCode
	}
	if raw.Signo == sigsys {
		out.Syscall, out.SyscallArch = &raw.SyscallNr, &raw.SyscallArch
	}
	return out, nil
}

func (d decoder) oom(payload []byte) (*Oom, error) {
	raw, err := takeShort[bpfOom](payload, int(unsafe.Offsetof(bpfOom{}.Cgroup)))
	if err != nil {
		return nil, err
	}
	page := int64(d.pageBytes)
	out := &Oom{
		TotalVM: raw.TotalVm * d.pageBytes, AnonRss: raw.AnonRss * page, FileRss: raw.FileRss * page, ShmemRss: raw.ShmemRss * page,
		ScoreAdj: raw.ScoreAdj, TimeNs: raw.TimeNs,
	}
	if raw.Limit != 0 {
		limit := fmt.Sprint(raw.Limit * d.pageBytes)
		out.Limit = &limit
		out.Cgroup = path(unsigned(raw.Cgroup[:min(int(raw.CgroupBytes), len(raw.Cgroup))]), false)
	}
	return out, nil
}

// describe adds what is known of the sender. Its texts lie behind the fixed part: executable, cgroup, arguments.
func describe(signal *Signal, payload []byte) error {
	if signal == nil {
		return fmt.Errorf("describes the sender of no signal")
	}
	fixed := int(unsafe.Offsetof(bpfDescription{}.Data))
	raw, err := takeShort[bpfDescription](payload[:min(fixed, len(payload))], fixed)
	if err != nil {
		return err
	}
	texts := payload[fixed:]
	if uint64(raw.ExeBytes)+uint64(raw.CgroupBytes)+uint64(raw.ArgsBytes) > uint64(len(texts)) || raw.AncestorsCount > uint32(len(raw.Ancestors)) {
		return errCutOff
	}
	sender := &signal.Sender
	if raw.ExeBytes > 0 {
		sender.Exe = path(texts[:raw.ExeBytes], false)
	}
	texts = texts[raw.ExeBytes:]
	sender.Cgroup = path(texts[:raw.CgroupBytes], false)
	if raw.ArgsBytes > 0 {
		sender.Args = arguments(texts[raw.CgroupBytes:][:raw.ArgsBytes])
	}
	sender.ArgsTruncated = raw.ArgsTruncated != 0
	for _, ancestor := range raw.Ancestors[:raw.AncestorsCount] {
		sender.Ancestors = append(sender.Ancestors, Ancestor{ancestor.Pid, comm(ancestor.Comm)})
	}
	return nil
}

func ancestors(payload []byte) ([]Ancestor, error) {
	out := []Ancestor{}
	for len(payload) > 0 {
		raw, rest, err := take[bpfAncestor](payload)
		if err != nil {
			return nil, err
		}
		out = append(out, Ancestor{raw.Pid, comm(raw.Comm)})
		payload = rest
	}
	return out, nil
}

// path joins names that come from the leaf to the root. The root of a mounted file system is called "/", and adds nothing.
func path(payload []byte, truncated bool) *string {
	names := bytes.Split(bytes.TrimSuffix(payload, []byte{0}), []byte{0})
	var out strings.Builder
	if truncated {
		out.WriteString("…")
	}
	for i := len(names) - 1; i >= 0; i-- {
		if len(names[i]) > 0 && string(names[i]) != "/" {
			out.WriteByte('/')
			out.WriteString(readable(names[i]))
		}
	}
	text := out.String()
	if text == "" {
		text = "/"
	}
	return &text
}

// arguments splits the argument block. A program that wrote a title over it leaves a tail of NULs: those are no arguments.
func arguments(payload []byte) []string {
	title := bytes.TrimRight(payload, "\x00")
	if len(payload)-len(title) <= 2 {
		title = bytes.TrimSuffix(payload, []byte{0})
	}
	out := []string{}
	if len(payload) == 0 {
		return out
	}
	for _, argument := range bytes.Split(title, []byte{0}) {
		out = append(out, readable(argument))
	}
	return out
}

// allowedEnvironment are the keys that leave the loader; nothing else of an environment ever does.
var allowedEnvironment = map[string]bool{"OTEL_SERVICE_NAME": true, "OTEL_RESOURCE_ATTRIBUTES": true, "TRACEPARENT": true, "TRACESTATE": true}

// environment keeps the first value of each allowed key, as getenv does.
func environment(payload []byte) map[string]string {
	out := map[string]string{}
	for _, variable := range bytes.Split(payload, []byte{0}) {
		key, value, found := bytes.Cut(variable, []byte("="))
		if _, known := out[string(key)]; found && !known && allowedEnvironment[string(key)] {
			out[string(key)] = readable(value)
		}
	}
	return out
}

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

func comm(raw [16]int8) string {
	name, _, _ := bytes.Cut(unsigned(raw[:]), []byte{0})
	return readable(name)
}

func unsigned(raw []int8) []byte {
	out := make([]byte, len(raw))
	for i, value := range raw {
		out[i] = byte(value)
	}
	return out
}

func hex(value uint64) *string {
	text := fmt.Sprintf("%#x", value)
	return &text
}
