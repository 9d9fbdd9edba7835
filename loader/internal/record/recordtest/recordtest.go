// SPDX-License-Identifier: Apache-2.0

// Package recordtest builds records for tests, from the C types that the probes fill.
package recordtest

import (
	"bytes"
	"unsafe"

	"whodunit/loader/internal/abi"
)

// Record returns the record of a process with this wait status and these parts.
func Record(status uint32, parts ...[]byte) []byte {
	head := abi.Event{
		Abi: uint32(abi.EventAbiEVENT_ABI), TimeNs: 7, StatusRaw: status, Key: abi.ProcessKey{StartBoottimeNs: 5, Pid: 42}, Vpid: 3, Tid: 43,
		Comm: Comm("mysqld"), ThreadComm: Comm("worker"),
	}
	return append(Raw(head), bytes.Join(parts, nil)...)
}

// Part returns one part with its head and padding.
func Part(kind abi.PartKind, flags abi.PartFlag, payload []byte) []byte {
	out := append(Raw(abi.Part{Kind: uint16(kind), Flags: uint16(flags), Bytes: uint32(len(payload))}), payload...)
	return append(out, make([]byte, (8-len(payload)%8)%8)...)
}

// Signal returns a part with a signal and the used part of its stack.
func Signal(kind abi.PartKind, fact abi.SignalFact) []byte {
	fixed := int(unsafe.Offsetof(fact.Stack))
	return Part(kind, 0, Raw(fact)[:fixed+8*int(fact.StackFrames)])
}

// Stop returns a part with a stop by this signal.
func Stop(stop abi.Stop, fact abi.SignalFact) []byte {
	raw := Raw(stop)
	copy(raw[unsafe.Offsetof(stop.Signal):], Raw(fact))
	return Part(abi.PartKindPART_STOP, 0, raw)
}

// Whole returns a record with every kind of part of a termination but those of OpenTelemetry contexts and the build id.
func Whole() []byte {
	sender := abi.Description{ExeBytes: 5, CgroupBytes: 2, ArgsBytes: 3, HostnameBytes: 4, AncestorsCount: 1, Ancestors: [6]abi.Ancestor{{Pid: 1, Comm: Comm("init")}}}
	for i, b := range []byte("sh\x00b\x00c\x00sh\x00web\x00") {
		sender.Data[i] = int8(b)
	}
	description := Raw(sender)[:unsafe.Offsetof(sender.Data)+14]
	return Record(9,
		Signal(abi.PartKindPART_SIGNAL, abi.SignalFact{Signo: 9, Siginfo: 2, SyscallArch: 0xc000003e, SenderProcessLives: 1, StackFrames: 2, Stack: [20]uint64{1, 2}}),
		Signal(abi.PartKindPART_REQUEST, abi.SignalFact{Signo: 15, SyscallNr: -1}),
		Stop(abi.Stop{SinceNs: 3, ContinuedNs: 4}, abi.SignalFact{Signo: 19, Siginfo: 2}),
		Part(abi.PartKindPART_FAULT, 0, Raw(abi.Fault{Signo: 11, Code: 1, InstructionPointer: 3, StackPointer: 4, HasTrap: 1})),
		Part(abi.PartKindPART_HANDLED_FAULT, 0, Raw(abi.Fault{Signo: 31, Code: 128})),
		Part(abi.PartKindPART_OOM, 0, Raw(abi.Oom{CgroupBytes: 4, Limit: 2})),
		Part(abi.PartKindPART_EXE, abi.PartFlagEXE_DELETED, []byte("mysqld\x00sbin\x00usr\x00")),
		Part(abi.PartKindPART_CREDENTIALS, 0, Raw(abi.Credentials{RealUid: 1000, LoginUid: 1000})),
		Part(abi.PartKindPART_CGROUP, abi.PartFlagPART_FLAG_TRUNCATED, []byte("branch\x00leaf\x00/\x00")),
		Part(abi.PartKindPART_PIPES, 0, Raw(abi.Pipes{Input: 5, Output: 6, OutputReaders: 1})),
		Part(abi.PartKindPART_HOSTNAME, 0, []byte("web\x00")),
		Part(abi.PartKindPART_ANCESTORS, 0, Raw(abi.Ancestor{Pid: 9, Comm: Comm("sh")})),
		Part(abi.PartKindPART_PROGRAMS, 0, Listed(abi.ListedProgram{StartBoottimeNs: 3, Uid: 1000, LoginUid: 1000}, "sh\x00bin\x00", "sh\x00/opt/tidy.sh\x00")),
		Part(abi.PartKindPART_SIGNAL_SENDER, 0, description), Part(abi.PartKindPART_REQUEST_SENDER, 0, description), Part(abi.PartKindPART_STOP_SENDER, 0, description),
		Part(abi.PartKindPART_ENV, 0, []byte("OTEL_SERVICE_NAME=shop\x00TRACEPARENT=\x00")),
		Part(abi.PartKindPART_ARGS, abi.PartFlagPART_FLAG_TRUNCATED, []byte("mysqld\x00\x00--x=\xff\x00a\u2028\"\\\b\x01\n")))
}

// Listed returns an element of PART_PROGRAMS with its texts.
func Listed(program abi.ListedProgram, exe, args string) []byte {
	program.ExeBytes, program.ArgsBytes = uint16(len(exe)), uint16(len(args))
	out := append(Raw(program), exe+args...)
	return append(out, make([]byte, (8-len(out)%8)%8)...)
}

// Raw returns the bytes of a C type.
func Raw[T any](value T) []byte {
	return bytes.Clone(unsafe.Slice((*byte)(unsafe.Pointer(&value)), unsafe.Sizeof(value)))
}

// Comm returns a task's name as a C array.
func Comm(name string) (out [16]int8) {
	for i := range name {
		out[i] = int8(name[i])
	}
	return out
}

// Symbols is a record.Symbolizer that knows the names of these addresses.
type Symbols map[uint64]string

// Names appends the name of each address.
func (s Symbols) Names(out []string, addresses []uint64) []string {
	for _, address := range addresses {
		out = append(out, s[address])
	}
	return out
}

// EnvironmentKeys returns the variables that leave the loader in tests.
func EnvironmentKeys() []string {
	return []string{"OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "TRACEPARENT", "TRACESTATE", "SSH_CONNECTION"}
}
