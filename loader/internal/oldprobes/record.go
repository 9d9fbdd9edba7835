// SPDX-License-Identifier: Apache-2.0

package oldprobes

import (
	"bytes"
	"encoding/binary"
	"slices"
	"unsafe"

	"whodunit/loader/internal/abi"
)

// lookups are what a record has beside its slot.
type lookups struct {
	// stack returns the kernel stack of a signal by its number; nil: it is not known.
	stack func(number uint32) []uint64
	// program returns what a process executes.
	program func(key oldKey) oldProgram
	classic bool // it is a slot of bpf/classic.bpf.c
}

// recordOf makes of a slot the record that the probes of newer kernels write (bpf/event.h): its head, then a part for each thing that is known.
func recordOf(slot *oldSlot, known lookups) []byte {
	record := slices.Clone(bytesOf(&slot.Event))
	record = appendSignal(record, abi.PartKindPART_SIGNAL, &slot.Signal, known)
	record = appendSignal(record, abi.PartKindPART_REQUEST, &slot.Request, known)
	if slot.Fault.Signo != 0 {
		record = appendPart(record, abi.PartKindPART_FAULT, truncatedIf(known.classic), bytesOf(&slot.Fault))
	}
	if slot.HandledFault.Signo != 0 {
		record = appendPart(record, abi.PartKindPART_HANDLED_FAULT, 0, bytesOf(&slot.HandledFault))
	}
	if exe := textOf(&slot.Program.Exe); len(exe) > 0 {
		record = appendPart(record, abi.PartKindPART_EXE, truncatedIf(slot.Program.Exe.Truncated != 0), exe)
	}
	record = appendPart(record, abi.PartKindPART_CREDENTIALS, 0, bytesOf(&slot.Credentials))
	if int(slot.CgroupBytes) <= len(slot.Cgroup) {
		record = appendPart(record, abi.PartKindPART_CGROUP, 0, fromRoot(unsigned(slot.Cgroup[:slot.CgroupBytes])))
	}
	ancestors := bytesOf(&slot.Ancestors.Ancestors)
	record = appendPart(record, abi.PartKindPART_ANCESTORS, 0, ancestors[:countOf(&slot.Ancestors)*len(ancestors)/len(slot.Ancestors.Ancestors)])
	record = appendPart(record, abi.PartKindPART_PROGRAMS, 0, programsOf(&slot.Ancestors, known))
	victim := slot.Event.Key.Pid
	record = appendSender(record, abi.PartKindPART_SIGNAL_SENDER, victim, sender{&slot.Signal, &slot.SignalProgram, &slot.SignalAncestors}, known)
	record = appendSender(record, abi.PartKindPART_REQUEST_SENDER, victim, sender{&slot.Request, &slot.RequestProgram, &slot.RequestAncestors}, known)
	if args, truncated := argsOf(&slot.Program); len(args) > 0 {
		record = appendPart(record, abi.PartKindPART_ARGS, truncatedIf(truncated), args)
	}
	return record
}

// appendPart appends a part, padded to a multiple of 8 bytes.
func appendPart(record []byte, kind abi.PartKind, flags abi.PartFlag, payload []byte) []byte {
	part := abi.Part{Kind: uint16(kind), Flags: uint16(flags), Bytes: uint32(len(payload))}
	record = append(append(record, bytesOf(&part)...), payload...)
	return append(record, make([]byte, -len(payload)&7)...)
}

// signalOf returns the head of a signal: without its stack.
func signalOf(fact *oldFact) abi.SignalFact {
	var signal abi.SignalFact
	copy(bytesOf(&signal), unsigned(fact.Bytes[:]))
	return signal
}

func appendSignal(record []byte, kind abi.PartKind, fact *oldFact, known lookups) []byte {
	signal := signalOf(fact)
	if signal.Signo == 0 {
		return record
	}
	var frames []uint64
	if signal.StackFrames != 0 {
		frames = known.stack(fact.Stack)
	}
	signal.StackFrames = uint32(copy(signal.Stack[:], frames))
	used := int(unsafe.Offsetof(signal.Stack)) + int(signal.StackFrames)*int(unsafe.Sizeof(signal.Stack[0]))
	return appendPart(record, kind, 0, bytesOf(&signal)[:used])
}

// sender is what a slot has of the process that sent a signal.
type sender struct {
	fact      *oldFact
	program   *oldProgram
	ancestors *oldAncestors
}

// appendSender describes another process that sent the signal. What the kernel sends, it sends in whatever task runs (is_described() in
// bpf/description.h).
func appendSender(record []byte, kind abi.PartKind, victim uint32, from sender, known lookups) []byte {
	signal := signalOf(from.fact)
	isDescribed := signal.Code != int32(abi.SiginfoCodeSI_KERNEL) || signal.Signo == uint32(abi.SignalNumberSIGHUP)
	if signal.Signo == 0 || !isDescribed || signal.Sender.Pid == 0 || signal.Sender.Pid == victim {
		return record
	}
	users := from.fact.Users
	exe, programs := textOf(&from.program.Exe), programsOf(from.ancestors, known)
	args, truncated := argsOf(from.program)
	description := abi.Description{
		TimeNs: signal.TimeNs, ExeBytes: uint32(len(exe)), ArgsBytes: uint32(len(args)), ArgsTruncated: uint32(truncatedIf(truncated)), ExeFlags: uint32(truncatedIf(from.program.Exe.Truncated != 0)),
		Credentials:    abi.Credentials{RealUid: users.RealUid, LoginUid: users.LoginUid, Session: users.Session},
		AncestorsCount: uint32(countOf(from.ancestors)), ProgramsBytes: uint32(len(programs)),
	}
	copy(bytesOf(&description.Ancestors), bytesOf(&from.ancestors.Ancestors))
	return appendPart(record, kind, 0, slices.Concat(bytesOf(&description)[:unsafe.Offsetof(description.Data)], exe, args, programs))
}

func countOf(ancestors *oldAncestors) int { return min(int(ancestors.Count), len(ancestors.Ancestors)) }

// programsOf returns what each of the ancestors executed, as PART_PROGRAMS. What one executed later than they were read is not that.
func programsOf(ancestors *oldAncestors, known lookups) (listed []byte) {
	for i := range countOf(ancestors) {
		key := oldKey{StartBoottimeNs: ancestors.Starts[i], Pid: ancestors.Ancestors[i].Pid}
		program := abi.ListedProgram{StartBoottimeNs: key.StartBoottimeNs, Uid: uint32(abi.UidValueUID_UNSET), LoginUid: uint32(abi.UidValueUID_UNSET)}
		executed := known.program(key)
		var texts []byte
		if exe, first := &executed.Exe, &executed.Args[0]; exe.Bytes+first.Bytes == 0 || exe.TimeNs > ancestors.TimeNs || first.TimeNs != exe.TimeNs {
			program.Flags = uint32(abi.ProgramFlagPROGRAM_UNKNOWN)
		} else {
			args, truncated := argsOf(&executed)
			texts = slices.Concat(textOf(exe), args)
			program.Uid, program.LoginUid = exe.Uid, exe.LoginUid
			program.ExeBytes, program.ArgsBytes = uint16(len(textOf(exe))), uint16(len(args))
			program.Flags = uint32(exe.Truncated)*uint32(abi.ProgramFlagPROGRAM_EXE_CUT) | uint32(truncatedIf(truncated))*uint32(abi.ProgramFlagPROGRAM_ARGS_CUT)
		}
		listed = append(append(listed, bytesOf(&program)...), texts...)
		listed = append(listed, make([]byte, -len(listed)&7)...)
	}
	return listed
}

func textOf(text *oldText) []byte {
	return unsigned(text.Text[:min(int(text.Bytes), len(text.Text))])
}

// argsOf joins the texts of the arguments, up to the first that is not known.
func argsOf(program *oldProgram) (args []byte, truncated bool) {
	for i := range program.Args {
		text := &program.Args[i]
		args, truncated = append(args, textOf(text)...), truncated && text.Bytes == 0 || text.Truncated != 0
		if text.Bytes == 0 || !truncated {
			break
		}
	}
	return args, truncated
}

func truncatedIf(truncated bool) abi.PartFlag {
	if truncated {
		return abi.PartFlagPART_FLAG_TRUNCATED
	}
	return 0
}

// fromRoot reverses the names of a cgroup's path, which are ordered from the leaf to the root. An empty name says that another user than root
// chose those below: before the name of a directory from the leaf, after it from the root.
func fromRoot(names []byte) []byte {
	reversed := make([]byte, 0, len(names))
	list := bytes.Split(bytes.TrimSuffix(names, []byte{0}), []byte{0})
	for i := len(list) - 1; i >= 0; i-- {
		if len(list[i]) == 0 {
			continue
		}
		reversed = append(append(reversed, list[i]...), 0)
		if i > 0 && len(list[i-1]) == 0 {
			reversed = append(reversed, 0)
		}
	}
	return reversed
}

func bytesOf[T any](value *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(value)), unsafe.Sizeof(*value))
}

func unsigned(text []int8) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(text))), len(text))
}

// framesOf returns the addresses of a stack, up to the first 0.
func framesOf(raw []byte) (frames []uint64) {
	for ; len(raw) >= 8; raw = raw[8:] {
		address := binary.NativeEndian.Uint64(raw)
		if address == 0 {
			break
		}
		frames = append(frames, address)
	}
	return frames
}
