// SPDX-License-Identifier: Apache-2.0

package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"whodunit/loader/internal/abi"
)

// Decoder turns records into events. It reuses its storage for every event, so that decoding allocates nothing.
// Not for concurrent use.
type Decoder struct {
	machine Machine

	event       Event
	signals     []Signal
	facts       []abi.SignalFact
	faults      []Fault
	rawFaults   []abi.Fault
	uids        []uint32 // what the event's *uint32 fields point to
	oom         Oom
	stop        Stop
	rawPipes    abi.Pipes // what the fields of pipes point to
	pipes       Pipes
	predecessor Predecessor
	thread      ThreadContext
	repeat      Repeat
	tool        Tool
	asked       InitSignal
	toolFlags   abi.PartFlag // what PART_TOOL adds to those of the executable
	reference   CrashReference
	pointed     []string // what the event's *string fields point to
	list        []string // arguments and frames
	ancestors   []Ancestor
	envs        []map[string]string // those in use come first
	envsUsed    int
	texts       []byte // texts that the record does not hold in one piece
}

// Symbolizer resolves kernel addresses.
type Symbolizer interface {
	// Names appends to out the name of the function that contains each address; "" where it is not known.
	Names(out []string, addresses []uint64) []string
}

// Machine is what decoding needs to know besides the record.
type Machine struct {
	PageBytes            uint64
	Symbols              Symbolizer // called for each kernel stack
	EnvironmentKeys      []string   // the variables of an environment that leave the loader
	ActorEnvironmentKeys []string   // the same of a process that acts
	NoCgroups            bool       // the probes do not find cgroups: what a record says of them means nothing
}

// signalsMax is the number of signals in one record: Signal, Request, and the one of Stop.
const signalsMax = 3

// NewDecoder returns a decoder for records of this machine.
func NewDecoder(machine Machine) *Decoder {
	return &Decoder{
		machine: machine,
		signals: make([]Signal, 0, signalsMax), facts: make([]abi.SignalFact, 0, signalsMax), faults: make([]Fault, 0, 2), rawFaults: make([]abi.Fault, 0, 2),
		pointed: make([]string, 0, 60), uids: make([]uint32, 0, 64), list: make([]string, 0, 320), ancestors: make([]Ancestor, 0, 24),
	}
}

// reset drops the last event. Slices keep their capacity, which the size of a record bounds.
func (d *Decoder) reset() {
	d.signals, d.facts, d.faults, d.rawFaults = d.signals[:0], d.facts[:0], d.faults[:0], d.rawFaults[:0]
	d.pointed, d.uids, d.list, d.ancestors, d.texts = d.pointed[:0], d.uids[:0], d.list[:0], d.ancestors[:0], d.texts[:0]
	d.envsUsed = 0
}

// Decode reads one record. The event belongs to the decoder. It is valid until the next call, and only while the record's bytes are: texts
// that need no change alias them. Decode fails if the record is cut off, of an unknown ABI, or inconsistent. It skips parts of an unknown
// kind, so that probes may add parts without a new ABI.
func (d *Decoder) Decode(record []byte) (*Event, error) {
	d.reset()
	d.toolFlags = 0
	head, rest, err := takeHead(record)
	if err != nil {
		return nil, fmt.Errorf("decode record: %w", err)
	}
	d.head(&head, record)
	event := &d.event
	for len(rest) > 0 {
		part, payload, err := take[abi.Part](rest)
		if err != nil || uint64(part.Bytes) > uint64(len(payload)) {
			return nil, fmt.Errorf("decode record: part %d: %w", part.Kind, errCutOff)
		}
		if err := d.part(head.Abi, event, part, payload[:part.Bytes]); err != nil {
			return nil, fmt.Errorf("decode record: part %d: %w", part.Kind, err)
		}
		rest = payload[min(uint64(len(payload)), uint64(part.Bytes+7)&^7):]
	}
	if restart := abi.EventFlag(head.Flags)&abi.EventFlagEVENT_FLAG_RESTART != 0; restart != (event.Predecessor != nil) {
		return nil, errors.New("decode record: a restart must have a predecessor, and only a restart")
	}
	if request := abi.EventFlag(head.Flags)&abi.EventFlagEVENT_FLAG_REQUEST != 0; request != (event.Tool != nil) {
		return nil, errors.New("decode record: a request must have a tool or a signal, and only a request")
	}
	if gap := abi.EventFlag(head.Flags)&abi.EventFlagEVENT_FLAG_GAP != 0; gap != (event.GapFromNs != 0) {
		return nil, errors.New("decode record: a gap must have a beginning, and only a gap")
	}
	event.RequestEnd = abi.EventFlag(head.Flags)&abi.EventFlagEVENT_FLAG_REQUEST_END != 0
	event.assignSignals()
	return event, nil
}

// lastABIWithoutOrigin is the last ABI whose records begin with a head that ends before the origin.
const lastABIWithoutOrigin = 5

// takeHead reads what every record begins with, and returns its parts. A record of an ABI without origins counts to the effective user.
func takeHead(record []byte) (head abi.Event, parts []byte, err error) {
	short := int(unsafe.Offsetof(head.Origin))
	if len(record) < short {
		return head, nil, fmt.Errorf("head: %w", errCutOff)
	}
	number := binary.NativeEndian.Uint32(record)
	if number < abi.OldestABI || number > uint32(abi.EventAbiEVENT_ABI) {
		return head, nil, fmt.Errorf("it has ABI %d; this loader reads ABI %d to %d", number, abi.OldestABI, abi.EventAbiEVENT_ABI)
	}
	if number <= lastABIWithoutOrigin {
		head, err = takeShort[abi.Event](record[:short], short)
		head.Origin.Uid = head.Uid
		return head, record[short:], err
	}
	if head, parts, err = take[abi.Event](record); err != nil {
		return head, nil, fmt.Errorf("head: %w", err)
	}
	return head, parts, nil
}

// head starts the event with what every record has. record begins with head and holds its texts.
func (d *Decoder) head(head *abi.Event, record []byte) {
	flags := abi.EventFlag(head.Flags)
	d.event = Event{
		TimeNs: head.TimeNs, StatusRaw: head.StatusRaw, SeccompMode: head.SeccompMode, PdeathSignal: head.PdeathSignal,
		Ptraced: head.Ptrace != 0, Threads: head.Threads, OomVictim: flags&abi.EventFlagEVENT_FLAG_OOM_VICTIM != 0, Shrunk: flags&abi.EventFlagEVENT_FLAG_SHRUNK != 0,
		FactsRefused: flags&abi.EventFlagEVENT_FLAG_FACTS_REFUSED != 0, ClockOffsetNs: head.ClockOffsetNs,
		Origin: Origin{Cgroup: head.Origin.Cgroup, UID: head.Origin.Uid},
		Process: Process{
			UserNamespace: flags&abi.EventFlagEVENT_FLAG_USER_NAMESPACE != 0,
			Pid:           head.Key.Pid, Vpid: head.Vpid, StartBoottimeNs: head.Key.StartBoottimeNs, ParentPid: head.ParentPid, Tid: head.Tid,
			Comm: d.comm(record, unsafe.Offsetof(head.Comm)), ThreadComm: d.comm(record, unsafe.Offsetof(head.ThreadComm)),
			UID: head.Uid, GID: head.Gid, Ancestors: d.ancestors,
		},
	}
}

// part adds a part of a record of ABI number to the event.
func (d *Decoder) part(number uint32, event *Event, part abi.Part, payload []byte) (err error) {
	process := &event.Process
	truncated := abi.PartFlag(part.Flags)&abi.PartFlagPART_FLAG_TRUNCATED != 0
	switch abi.PartKind(part.Kind) {
	case abi.PartKindPART_SIGNAL:
		event.Signal, err = d.signal(payload)
	case abi.PartKindPART_REQUEST:
		event.Request, err = d.signal(payload)
	case abi.PartKindPART_STOP:
		event.Stop, err = d.stopOf(payload)
	case abi.PartKindPART_PIPES:
		process.Pipes, err = d.pipesOf(payload)
	case abi.PartKindPART_FAULT:
		event.Fault, err = d.fault(payload)
	case abi.PartKindPART_HANDLED_FAULT:
		event.HandledFault, err = d.fault(payload)
	case abi.PartKindPART_OOM:
		event.Oom, err = d.oomOf(number, payload)
	case abi.PartKindPART_EXE:
		process.Exe, process.ExeFlags = d.path(payload, truncated), d.exeFlags(abi.PartFlag(part.Flags)|d.toolFlags)
	case abi.PartKindPART_CREDENTIALS:
		err = d.users(process, payload)
	case abi.PartKindPART_CGROUP:
		process.Cgroup, process.CgroupClaimed = d.cgroup(number, payload, truncated)
	case abi.PartKindPART_HOSTNAME:
		process.UtsHostname = d.hostname(payload)
	case abi.PartKindPART_ANCESTORS:
		process.Ancestors, err = d.ancestorsOf(payload)
	case abi.PartKindPART_SIGNAL_SENDER, abi.PartKindPART_REQUEST_SENDER, abi.PartKindPART_STOP_SENDER:
		err = d.describe(number, signalOf(event, abi.PartKind(part.Kind)), payload)
	case abi.PartKindPART_BUILD_ID:
		process.BuildID = d.hex(payload)
	case abi.PartKindPART_GO_BUILD_ID:
		process.GoBuildID = d.point(d.readable(payload))
	case abi.PartKindPART_CONTEXT:
		process.OtelContext = payload
	case abi.PartKindPART_PREDECESSOR:
		event.Predecessor, err = d.predecessorOf(payload)
	case abi.PartKindPART_THREAD_CONTEXT:
		event.ThreadContext, err = d.threadContext(payload)
	case abi.PartKindPART_THREAD_ATTRIBUTES:
		err = addAttributes(event.ThreadContext, payload)
	case abi.PartKindPART_PROGRAMS:
		err = d.programs(process.Ancestors, payload)
	case abi.PartKindPART_TOOL, abi.PartKindPART_INIT_SIGNAL, abi.PartKindPART_SCRIPT:
		err = d.requestPart(event, abi.PartKind(part.Kind), payload)
	case abi.PartKindPART_REPEAT_KEY:
		event.Repeat, err = d.repeatOf(payload)
	case abi.PartKindPART_GAP:
		event.GapFromNs, _, err = take[uint64](payload)
	case abi.PartKindPART_CRASH:
		event.CrashReference, err = d.crash(payload)
	case abi.PartKindPART_ENV:
		process.Env = d.environment(payload, event.Tool != nil)
	case abi.PartKindPART_ARGS:
		process.Args, process.ArgsTruncated = d.arguments(payload), truncated
	}
	return err
}

func (d *Decoder) users(process *Process, payload []byte) error {
	users, _, err := take[abi.Credentials](payload)
	process.RealUID, process.LoginUID, process.Session = d.uidOrNil(users.RealUid), d.uidOrNil(users.LoginUid), d.uidOrNil(users.Session)
	return err
}

// assignSignals assigns the two facts to Signal and Request by the status. Signal is the fact with the signal of the status. Request is
// the termination request that did not terminate the process by itself. The probes keep a blocked request as one that may still be
// delivered; if it was not (sigwait(2) or signalfd(2) may have dequeued it), it becomes Request. A request whose handler was removed in the
// meantime may become Signal.
func (event *Event) assignSignals() {
	terminating := event.StatusRaw & uint32(abi.StatusMaskSTATUS_SIGNAL)
	pending, request := event.Signal, event.Request
	event.Signal = nil
	switch {
	case pending != nil && pending.Signo == terminating:
		event.Signal = pending
	case request != nil && request.Signo == terminating:
		event.Signal, event.Request = request, nil
	case request == nil && pending != nil && isRequest(pending.Signo) && !pending.Committed:
		event.Request = pending
	}
}

// isRequest reports whether the signal is a termination request.
func isRequest(signo uint32) bool { return abi.SignalSetREQUESTS>>(signo-1)&1 != 0 }

var errCutOff = errors.New("cut off")

// take reads a T from the front of raw and returns the rest. The layout of T is that of the C type (structs.HostLayout).
func take[T any](raw []byte) (value T, rest []byte, err error) {
	size := int(unsafe.Sizeof(value))
	if len(raw) < size {
		return value, nil, errCutOff
	}
	value, err = takeShort[T](raw[:size], size)
	return value, raw[size:], err
}

// takeShort reads a T of which the probe wrote only the first bytes, at least `least`. The rest of the value is zero.
func takeShort[T any](raw []byte, least int) (value T, err error) {
	if len(raw) < least {
		return value, errCutOff
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&value)), unsafe.Sizeof(value)), raw)
	return value, nil
}
