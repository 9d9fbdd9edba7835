// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"unsafe"

	"whodunit/loader/internal/abi"
)

func (d *Decoder) signal(payload []byte) (*Signal, error) {
	fixed := int(unsafe.Offsetof(abi.SignalFact{}.Stack))
	raw, err := takeShort[abi.SignalFact](payload, fixed)
	if err != nil {
		return nil, err
	}
	if uint64(raw.StackFrames) > uint64(len(payload)-fixed)/8 || int(raw.StackFrames) > len(raw.Stack) {
		return nil, errCutOff
	}
	d.facts = append(d.facts, raw)
	fact := &d.facts[len(d.facts)-1]
	d.signals = append(d.signals, Signal{
		Signo: fact.Signo, Code: fact.Code, Result: fact.Result, Committed: fact.Committed != 0, Group: fact.Group != 0, VictimStopped: fact.VictimStopped != 0,
		TargetTid: fact.TargetTid, TimeNs: fact.TimeNs, KernelStack: d.stack(fact.Stack[:fact.StackFrames]),
		Info: infoOf(abi.SiginfoKind(fact.Siginfo)), Action: actionOf(abi.SignalAction(fact.Action)),
		Sender: Actor{
			Pid: fact.Sender.Pid, Tid: fact.SenderTid, StartBoottimeNs: fact.Sender.StartBoottimeNs,
			Comm: d.comm(payload, unsafe.Offsetof(fact.SenderComm)), UID: fact.SenderUid, UserNamespace: abi.TaskFlag(fact.SenderFlags)&abi.TaskFlagIN_USER_NAMESPACE != 0,
			Exiting: abi.TaskFlag(fact.SenderFlags)&abi.TaskFlagPF_EXITING != 0, Kthread: abi.TaskFlag(fact.SenderFlags)&abi.TaskFlagPF_KTHREAD != 0, Ancestors: d.ancestors[:0],
			ProcessLives: fact.SenderProcessLives != 0,
		},
	})
	signal := &d.signals[len(d.signals)-1]
	if abi.SiginfoKind(fact.Siginfo) == abi.SiginfoKindSIGINFO_REAL && fact.Code <= 0 {
		signal.SiginfoPid, signal.SiginfoUID = &fact.SiginfoPid, &fact.SiginfoUid
	}
	if fact.SyscallNr >= 0 {
		signal.Syscall = &fact.SyscallNr
	}
	if fact.SyscallArch != 0 {
		signal.SyscallArch = &fact.SyscallArch
	}
	return signal, nil
}

// stopOf decodes a stop. Its signal has no stack, and is the end of the payload.
func (d *Decoder) stopOf(payload []byte) (*Stop, error) {
	raw, _, err := take[abi.Stop](payload)
	if err != nil {
		return nil, err
	}
	signal, err := d.signal(payload[unsafe.Offsetof(raw.Signal):])
	if err != nil {
		return nil, err
	}
	d.stop = Stop{Signal: *signal}
	if raw.SinceNs != 0 {
		d.stop.SinceNs = d.number(raw.SinceNs, 10)
	}
	if raw.ContinuedNs != 0 {
		d.stop.ContinuedNs = d.number(raw.ContinuedNs, 10)
	}
	return &d.stop, nil
}

func (d *Decoder) pipesOf(payload []byte) (_ *Pipes, err error) {
	if d.rawPipes, _, err = take[abi.Pipes](payload); err != nil {
		return nil, err
	}
	d.pipes = Pipes{OutputReaders: d.rawPipes.OutputReaders}
	if d.rawPipes.Input != 0 {
		d.pipes.Input = &d.rawPipes.Input
	}
	if d.rawPipes.Output != 0 {
		d.pipes.Output = &d.rawPipes.Output
	}
	return &d.pipes, nil
}

// uidOrNil returns nil for a user that is not known: of a process that belongs to no login, or where the kernel does not keep it.
func (d *Decoder) uidOrNil(uid uint32) *uint32 {
	if uid == uint32(abi.UidValueUID_UNSET) {
		return nil
	}
	d.uids = append(d.uids, uid)
	return &d.uids[len(d.uids)-1]
}

// exeFlags names the flags of an executable. nil: none is set.
func (d *Decoder) exeFlags(flags abi.PartFlag) []string {
	start := len(d.list)
	for _, flag := range exeFlagNames {
		if flags&flag.flag != 0 {
			d.list = append(d.list, flag.name)
		}
	}
	return d.list[start:]
}

var exeFlagNames = []struct {
	flag abi.PartFlag
	name string
}{
	{abi.PartFlagEXE_DELETED, "deleted"},
	{abi.PartFlagEXE_MEMFD, "memfd"},
	{abi.PartFlagEXE_CHROOT, "chroot"},
	{abi.PartFlagEXE_UNMOUNTED, "unmounted"},
	{abi.PartFlagEXE_FOREIGN_MOUNTS, "foreign_mounts"},
	{abi.PartFlagEXE_USER_MOUNTS, "user_mounts"},
}

func infoOf(kind abi.SiginfoKind) string {
	switch kind {
	case abi.SiginfoKindSIGINFO_NOINFO:
		return "noinfo"
	case abi.SiginfoKindSIGINFO_PRIV:
		return "kernel"
	}
	return "siginfo"
}

func actionOf(action abi.SignalAction) string {
	switch action {
	case abi.SignalActionACTION_DEFAULT:
		return "default"
	case abi.SignalActionACTION_IGNORED:
		return "ignored"
	}
	return "handled"
}

// stack names the frames, innermost first. It omits the probe's own frames, and those without a name.
func (d *Decoder) stack(addresses []uint64) []string {
	start := len(d.list)
	d.list = d.machine.Symbols.Names(d.list, addresses)
	kept := d.list[:start]
	for _, name := range d.list[start:] {
		if name != "" && !strings.HasPrefix(name, "bpf_") && !strings.HasPrefix(name, "__bpf_") && !strings.HasPrefix(name, "__traceiter_") {
			kept = append(kept, name)
		}
	}
	d.list = kept
	return d.list[start:]
}

// fault decodes a fault. truncated: its address is not known.
func (d *Decoder) fault(payload []byte, truncated bool) (*Fault, error) {
	copied, _, err := take[abi.Fault](payload)
	if err != nil {
		return nil, err
	}
	d.rawFaults = append(d.rawFaults, copied)
	raw := &d.rawFaults[len(d.rawFaults)-1]
	d.faults = append(d.faults, Fault{
		Signo: raw.Signo, Code: raw.Code, Tid: raw.Tid, ThreadComm: d.comm(payload, unsafe.Offsetof(raw.ThreadComm)), TimeNs: raw.TimeNs,
	})
	out := &d.faults[len(d.faults)-1]
	if raw.Code != int32(abi.SiginfoCodeSI_KERNEL) && !truncated { // A siginfo with SI_KERNEL has no address.
		out.Address = d.number(raw.Address, 16)
	}
	if raw.StackPointer != 0 { // The instruction pointer is 0 after a call to address 0.
		out.InstructionPointer, out.StackPointer = d.number(raw.InstructionPointer, 16), d.number(raw.StackPointer, 16)
	}
	if raw.HasTrap != 0 {
		out.TrapNr, out.ErrorCode = &raw.TrapNr, &raw.ErrorCode
	}
	if raw.Signo == uint32(abi.SignalNumberSIGSYS) {
		out.Syscall, out.SyscallArch = &raw.SyscallNr, &raw.SyscallArch
	}
	return out, nil
}

func (d *Decoder) oomOf(number uint32, payload []byte) (*Oom, error) {
	fixed := int(unsafe.Offsetof(abi.Oom{}.Cgroup))
	raw, err := takeShort[abi.Oom](payload[:min(fixed, len(payload))], fixed)
	if err != nil {
		return nil, err
	}
	d.oom = Oom{ScoreAdj: raw.ScoreAdj, TimeNs: raw.TimeNs}
	if raw.TotalVm != 0 { // else its memory was not found
		bytes := func(pages uint64) *string { return d.number(pages*d.machine.PageBytes, 10) }
		d.oom.TotalVM, d.oom.AnonRss = bytes(raw.TotalVm), bytes(uint64(raw.AnonRss))
		d.oom.FileRss, d.oom.ShmemRss = bytes(uint64(raw.FileRss)), bytes(uint64(raw.ShmemRss))
	}
	if raw.Limit != 0 {
		d.oom.Limit = d.number(raw.Limit*d.machine.PageBytes, 10)
		d.oom.Cgroup, _ = d.cgroup(number, payload[fixed:min(fixed+int(raw.CgroupBytes), len(payload))], false)
	}
	return &d.oom, nil
}

func (d *Decoder) predecessorOf(payload []byte) (*Predecessor, error) {
	raw, _, err := take[abi.Predecessor](payload)
	d.predecessor = Predecessor{Pid: raw.Key.Pid, StartBoottimeNs: raw.Key.StartBoottimeNs, TimeNs: raw.TimeNs}
	return &d.predecessor, err
}

func (d *Decoder) threadContext(payload []byte) (*ThreadContext, error) {
	raw, _, err := take[abi.ThreadContext](payload)
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

// addAttributes adds the attributes of the thread's record to its context.
func addAttributes(context *ThreadContext, payload []byte) error {
	if context == nil {
		return errors.New("a thread has attributes, but the record does not have its context")
	}
	context.Attributes = payload
	return nil
}

// requestPart decodes what was asked for: PART_TOOL comes first.
func (d *Decoder) requestPart(event *Event, kind abi.PartKind, payload []byte) (err error) {
	switch kind {
	case abi.PartKindPART_INIT_SIGNAL:
		return d.initSignal(event.Tool, payload)
	case abi.PartKindPART_SCRIPT:
		return d.script(event.Tool, payload)
	}
	event.Tool, err = d.toolOf(payload)
	return err
}

func (d *Decoder) toolOf(payload []byte) (*Tool, error) {
	raw, _, err := take[abi.ExecutedTool](payload)
	if err != nil {
		return nil, err
	}
	d.tool = Tool{Name: d.comm(payload, unsafe.Offsetof(raw.Name)), Owner: d.uidOrNil(raw.Owner)}
	d.toolFlags = abi.PartFlag(raw.ExeFlags)
	return &d.tool, nil
}

// initSignal makes a request without a tool that of a signal to an init.
func (d *Decoder) initSignal(tool *Tool, payload []byte) error {
	raw, _, err := take[abi.InitSignal](payload)
	if err != nil {
		return err
	}
	if tool == nil {
		return errors.New("an init was sent a signal, but the record is no request")
	}
	d.asked = InitSignal{Signo: raw.Signo, Pid: raw.Init.Pid, StartBoottimeNs: raw.Init.StartBoottimeNs}
	tool.Signal = &d.asked
	return nil
}

// script adds the path of a script to its tool.
func (d *Decoder) script(tool *Tool, payload []byte) error {
	if tool == nil {
		return errors.New("a script was executed, but the record does not have its tool")
	}
	tool.Script = d.point(d.readable(bytes.TrimSuffix(payload, []byte{0})))
	return nil
}

func (d *Decoder) repeatOf(payload []byte) (*Repeat, error) {
	raw, rest, err := take[abi.RepeatKey](payload)
	if err != nil {
		return nil, err
	}
	hasMM := abi.RepeatFlag(raw.Flags)&abi.RepeatFlagREPEAT_NO_MM == 0
	const causes = abi.RepeatFlagREPEAT_OOM | abi.RepeatFlagREPEAT_FAULT | abi.RepeatFlagREPEAT_BY_ANOTHER
	d.repeat = Repeat{
		Key: *d.hex(payload[:len(payload)-len(rest)]), File: hasMM, Claims: hasMM && raw.Claims != uint64(abi.ClaimsValueCLAIMS_UNKNOWN),
		Caused: raw.StatusRaw != 0 && abi.RepeatFlag(raw.Flags)&causes != 0,
	}
	return &d.repeat, nil
}

func (d *Decoder) ancestorsOf(payload []byte) ([]Ancestor, error) {
	start := len(d.ancestors)
	for len(payload) > 0 {
		raw, rest, err := take[abi.Ancestor](payload)
		if err != nil {
			return nil, err
		}
		d.ancestors = append(d.ancestors, Ancestor{Pid: raw.Pid, Comm: d.comm(payload, unsafe.Offsetof(raw.Comm))})
		payload = rest
	}
	return d.ancestors[start:], nil
}

// word reads a 32-bit field of a C type at the front of raw.
func word(raw []byte, offset uintptr) uint32 { return binary.NativeEndian.Uint32(raw[offset:]) }
