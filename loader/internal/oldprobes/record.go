// SPDX-License-Identifier: Apache-2.0

package oldprobes

import (
	"bytes"
	"encoding/binary"
	"slices"
	"unsafe"

	"whodunit/loader/internal/abi"
)

// stacks finds the kernel stack of a signal by its number; nil: it is not known.
type stacks func(number uint32) []uint64

// recordOf makes of a slot the record that the probes of newer kernels write (bpf/event.h): its head, then a part for each thing that is known.
func recordOf(slot *oldSlot, stackOf stacks) []byte {
	record := slices.Clone(bytesOf(&slot.Event))
	record = appendSignal(record, abi.PartKindPART_SIGNAL, &slot.Signal, stackOf)
	record = appendSignal(record, abi.PartKindPART_REQUEST, &slot.Request, stackOf)
	if slot.Fault.Signo != 0 {
		record = appendPart(record, abi.PartKindPART_FAULT, 0, bytesOf(&slot.Fault))
	}
	if slot.HandledFault.Signo != 0 {
		record = appendPart(record, abi.PartKindPART_HANDLED_FAULT, 0, bytesOf(&slot.HandledFault))
	}
	if exe := textOf(&slot.Exe); len(exe) > 0 {
		record = appendPart(record, abi.PartKindPART_EXE, flagsOf(&slot.Exe), exe)
	}
	record = appendPart(record, abi.PartKindPART_CREDENTIALS, 0, bytesOf(&slot.Credentials))
	if int(slot.CgroupBytes) <= len(slot.Cgroup) {
		record = appendPart(record, abi.PartKindPART_CGROUP, 0, fromRoot(unsigned(slot.Cgroup[:slot.CgroupBytes])))
	}
	ancestors := bytesOf(&slot.Ancestors)
	record = appendPart(record, abi.PartKindPART_ANCESTORS, 0, ancestors[:min(len(ancestors), int(slot.AncestorsCount)*len(ancestors)/len(slot.Ancestors))])
	record = appendSender(record, abi.PartKindPART_SIGNAL_SENDER, slot, &slot.Signal, &slot.SignalExe, &slot.SignalArgs)
	record = appendSender(record, abi.PartKindPART_REQUEST_SENDER, slot, &slot.Request, &slot.RequestExe, &slot.RequestArgs)
	if args := textOf(&slot.Args); len(args) > 0 {
		record = appendPart(record, abi.PartKindPART_ARGS, flagsOf(&slot.Args), args)
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

func appendSignal(record []byte, kind abi.PartKind, fact *oldFact, stackOf stacks) []byte {
	signal := signalOf(fact)
	if signal.Signo == 0 {
		return record
	}
	var frames []uint64
	if signal.StackFrames != 0 {
		frames = stackOf(fact.Stack)
	}
	signal.StackFrames = uint32(copy(signal.Stack[:], frames))
	used := int(unsafe.Offsetof(signal.Stack)) + int(signal.StackFrames)*int(unsafe.Sizeof(signal.Stack[0]))
	return appendPart(record, kind, 0, bytesOf(&signal)[:used])
}

// appendSender describes another process that sent the signal. What the kernel sends, it sends in whatever task runs (is_described() in
// bpf/description.h).
func appendSender(record []byte, kind abi.PartKind, slot *oldSlot, fact *oldFact, exe, args *oldText) []byte {
	signal := signalOf(fact)
	isDescribed := signal.Code != int32(abi.SiginfoCodeSI_KERNEL) || signal.Signo == uint32(abi.SignalNumberSIGHUP)
	if signal.Signo == 0 || !isDescribed || signal.Sender.Pid == 0 || signal.Sender.Pid == slot.Event.Key.Pid {
		return record
	}
	exeText, argsText := textOf(exe), textOf(args)
	description := abi.Description{
		TimeNs: signal.TimeNs, ExeBytes: uint32(len(exeText)), ArgsBytes: uint32(len(argsText)), ArgsTruncated: args.Truncated,
		ExeFlags: uint32(flagsOf(exe)),
		Credentials: abi.Credentials{RealUid: fact.Users.RealUid, LoginUid: fact.Users.LoginUid, Session: fact.Users.Session},
	}
	payload := slices.Concat(bytesOf(&description)[:unsafe.Offsetof(description.Data)], exeText, argsText)
	return appendPart(record, kind, 0, payload)
}

func textOf(text *oldText) []byte {
	return unsigned(text.Text[:min(int(text.Bytes), len(text.Text))])
}

func flagsOf(text *oldText) abi.PartFlag {
	if text.Truncated != 0 {
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
