// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"reflect"
	"testing"
	"unsafe"
)

// The records here are built from the same C types that the probes fill.

func raw[T any](value T) []byte {
	return bytes.Clone(unsafe.Slice((*byte)(unsafe.Pointer(&value)), unsafe.Sizeof(value)))
}

func part(kind bpfPartKind, flags uint16, payload []byte) []byte {
	out := append(raw(bpfPart{Kind: uint16(kind), Flags: flags, Bytes: uint32(len(payload))}), payload...)
	return append(out, make([]byte, (8-len(payload)%8)%8)...)
}

func commOf(name string) (out [16]int8) {
	for i := range name {
		out[i] = int8(name[i])
	}
	return out
}

func record(status uint32, parts ...[]byte) []byte {
	head := bpfEvent{Abi: eventABI, TimeNs: 7, StatusRaw: status, Key: bpfProcessKey{StartBoottimeNs: 5, Pid: 42}, Vpid: 3, Tid: 43, Comm: commOf("mysqld"), ThreadComm: commOf("worker")}
	return append(raw(head), bytes.Join(parts, nil)...)
}

func signalPart(kind bpfPartKind, fact bpfSignalFact) []byte {
	fixed := int(unsafe.Offsetof(fact.Stack))
	return part(kind, 0, raw(fact)[:fixed+8*int(fact.StackFrames)])
}

type symbolTable map[uint64]string

func (t symbolTable) names(out []string, addresses []uint64) []string {
	for _, address := range addresses {
		out = append(out, t[address])
	}
	return out
}

func decodeOrFail(t *testing.T, record []byte) *Event {
	t.Helper()
	event, err := newDecoder(4096, symbolTable{1: "__bpf_prog_run", 2: "__send_signal_locked", 3: "isig"}).decode(record)
	if err != nil {
		t.Fatal(err)
	}
	return event
}

func TestARecordWithoutPartsHasWhatIsKnownAndNullForTheRest(t *testing.T) {
	event := decodeOrFail(t, record(3<<8))
	want := Process{Pid: 42, Vpid: 3, StartBoottimeNs: 5, Tid: 43, Comm: "mysqld", ThreadComm: "worker", Ancestors: []Ancestor{}}
	if !reflect.DeepEqual(event.Process, want) || event.StatusRaw != 3<<8 || event.TimeNs != 7 {
		t.Errorf("%+v", event)
	}
}

func TestTextsOfAProcess(t *testing.T) {
	event := decodeOrFail(t, record(1<<8,
		part(bpfPartKindPART_EXE, 0, []byte("mysqld\x00sbin\x00usr\x00")),
		part(bpfPartKindPART_CGROUP, partTruncated, []byte("leaf\x00branch\x00")),
		part(bpfPartKindPART_ANCESTORS, 0, append(raw(bpfAncestor{Pid: 9, Comm: commOf("sh")}), raw(bpfAncestor{Pid: 1, Comm: commOf("init")})...)),
		part(bpfPartKindPART_ENV, 0, []byte("OTEL_SERVICE_NAME=shop\x00OTEL_SERVICE_SECRET=x\x00OTEL_SERVICE_NAME=second\x00TRACEPARENT=\x00")),
		part(bpfPartKindPART_ARGS, partTruncated, []byte("mysqld\x00\x00--x=\xff\x00cut")),
	))
	process := event.Process
	if *process.Exe != "/usr/sbin/mysqld" || *process.Cgroup != "…/branch/leaf" || !process.ArgsTruncated {
		t.Errorf("%+v", process)
	}
	if want := []Ancestor{{9, "sh"}, {1, "init"}}; !reflect.DeepEqual(process.Ancestors, want) {
		t.Errorf("ancestors %v", process.Ancestors)
	}
	if want := map[string]string{"OTEL_SERVICE_NAME": "shop", "TRACEPARENT": ""}; !reflect.DeepEqual(process.Env, want) {
		t.Errorf("environment %v", process.Env)
	}
	if want := []string{"mysqld", "", `--x=\xff`, "cut"}; !reflect.DeepEqual(process.Args, want) {
		t.Errorf("arguments %q", process.Args)
	}
}

func TestTheContextOfAThreadIsReadAsW3CWritesIt(t *testing.T) {
	context := bpfThreadContext{Valid: 1, TraceFlags: 3}
	for i := range context.TraceId {
		context.TraceId[i] = uint8(0xf0 + i)
	}
	for i := range context.SpanId {
		context.SpanId[i] = uint8(i)
	}
	event := decodeOrFail(t, record(11, part(bpfPartKindPART_THREAD_CONTEXT, 0, raw(context)), part(bpfPartKindPART_EXE, 0, []byte("a\x00"))))
	want := ThreadContext{TraceID: "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", SpanID: "0001020304050607", TraceFlags: 3}
	if event.ThreadContext == nil || *event.ThreadContext != want || *event.Process.Exe != "/a" {
		t.Errorf("%+v", event.ThreadContext)
	}
	if _, err := newDecoder(0, nil).decode(record(11, part(bpfPartKindPART_THREAD_CONTEXT, 0, raw(context)[:25]))); err == nil {
		t.Error("no error where it is cut off")
	}
	if got := decodeOrFail(t, record(11)).ThreadContext; got != nil {
		t.Errorf("there was none, and %+v was told", got)
	}
}

func TestArguments(t *testing.T) {
	for _, test := range []struct {
		name, block string
		want        []string
	}{
		{"none", "", []string{}},
		{"one", "a\x00", []string{"a"}},
		{"the last is empty", "a\x00\x00", []string{"a", ""}},
		{"a title over them", "nginx: worker\x00\x00\x00\x00\x00", []string{"nginx: worker"}},
		{"cut off", "a\x00bc", []string{"a", "bc"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := newDecoder(0, nil).arguments([]byte(test.block)); !reflect.DeepEqual(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestPaths(t *testing.T) {
	for names, want := range map[string]string{"": "/", "/\x00": "/", "a\x00": "/a", "memfd:x\x00": "/memfd:x", "c\x00b\x00a\x00/\x00": "/a/b/c"} {
		if got := *newDecoder(0, nil).path([]byte(names), false); got != want {
			t.Errorf("path(%q) = %q, want %q", names, got, want)
		}
	}
}

func TestWhichRememberedSignalIsTheSignalAndWhichTheRequest(t *testing.T) {
	const hup, quit, usr1, term, kill = 1, 3, 10, 15, 9
	for _, test := range []struct {
		name             string
		status           uint32
		signal, request  uint32 // remembered; 0: none
		committed        bool
		wantSig, wantReq uint32
	}{
		{"SIGKILL", kill, kill, 0, true, kill, 0},
		{"SIGTERM handled, then SIGKILL", kill, kill, term, true, kill, term},
		{"SIGTERM handled, then exit 143", 143 << 8, 0, term, false, 0, term},
		{"SIGTERM taken by sigwait, then exit 0x8f", 143 << 8, term, 0, false, 0, term},
		{"a pending SIGUSR1 that never came true, then exit 1", 1 << 8, usr1, 0, false, 0, 0},
		{"SIGQUIT with a core", quit | 0x80, quit, hup, false, quit, hup},
		{"handler installed, then removed: the request ended it", hup, 0, hup, false, hup, 0},
		{"another signal than the remembered one", 11, usr1, 0, false, 0, 0},
		{"SIGTERM handled, then raised by the handler", term, term, term, true, term, term},
		{"a blocked SIGTERM beside a handled SIGHUP, then exit 1", 1 << 8, term, hup, false, 0, hup},
	} {
		t.Run(test.name, func(t *testing.T) {
			var parts [][]byte
			if test.signal != 0 {
				fact := bpfSignalFact{Signo: test.signal}
				if test.committed {
					fact.Committed = 1
				}
				parts = append(parts, signalPart(bpfPartKindPART_SIGNAL, fact))
			}
			if test.request != 0 {
				parts = append(parts, signalPart(bpfPartKindPART_REQUEST, bpfSignalFact{Signo: test.request, Action: 2}))
			}
			event := decodeOrFail(t, record(test.status, parts...))
			if got := signo(event.Signal); got != test.wantSig {
				t.Errorf("signal %d, want %d", got, test.wantSig)
			}
			if got := signo(event.Request); got != test.wantReq {
				t.Errorf("request %d, want %d", got, test.wantReq)
			}
			if test.committed && event.Signal != nil && !event.Signal.Committed {
				t.Error("not the committed one")
			}
		})
	}
}

func signo(signal *Signal) uint32 {
	if signal == nil {
		return 0
	}
	return signal.Signo
}

func TestASignalWithItsSenderAndStack(t *testing.T) {
	fact := bpfSignalFact{
		Signo: 9, Code: 0, Siginfo: uint32(bpfSiginfoKindSIGINFO_REAL), SiginfoPid: 99, SiginfoUid: 7, Committed: 1, Group: 1, TargetTid: 42, SyscallNr: 62,
		Sender: bpfProcessKey{StartBoottimeNs: 4, Pid: 99}, SenderTid: 100, SenderUid: 8, SenderFlags: pfExiting, SenderComm: commOf("sh"),
		StackFrames: 4, Stack: [20]uint64{1, 2, 3, 4},
	}
	description := bpfDescription{ExeBytes: 5, CgroupBytes: 2, ArgsBytes: 3, AncestorsCount: 1, Ancestors: [6]bpfAncestor{{Pid: 1, Comm: commOf("init")}}}
	for i, b := range []byte("sh\x00b\x00c\x00sh\x00") {
		description.Data[i] = int8(b)
	}
	event := decodeOrFail(t, record(9, signalPart(bpfPartKindPART_SIGNAL, fact), part(bpfPartKindPART_SIGNAL_SENDER, 0, raw(description)[:unsafe.Offsetof(description.Data)+10])))
	signal := event.Signal
	if *signal.SiginfoPid != 99 || *signal.SiginfoUID != 7 || *signal.Syscall != 62 || signal.Info != "siginfo" || signal.Action != "default" {
		t.Errorf("%+v", signal)
	}
	if want := []string{"__send_signal_locked", "isig"}; !reflect.DeepEqual(signal.KernelStack, want) {
		t.Errorf("stack %q", signal.KernelStack)
	}
	exe, cgroup := "/b/sh", "/c"
	want := Actor{Pid: 99, Tid: 100, StartBoottimeNs: 4, Comm: "sh", UID: 8, Exiting: true, Exe: &exe, Args: []string{"sh"}, Cgroup: &cgroup, Ancestors: []Ancestor{{1, "init"}}}
	if !reflect.DeepEqual(signal.Sender, want) {
		t.Errorf("sender %+v", signal.Sender)
	}
}

func TestFaults(t *testing.T) {
	page := decodeOrFail(t, record(11, part(bpfPartKindPART_FAULT, 0, raw(bpfFault{Signo: 11, Code: 1, Address: 0xbeef, InstructionPointer: 0x10, StackPointer: 0x7ff0, HasTrap: 1, TrapNr: 14, ErrorCode: 6}))))
	if fault := page.Fault; *fault.Address != "0xbeef" || *fault.InstructionPointer != "0x10" || *fault.TrapNr != 14 || fault.Syscall != nil {
		t.Errorf("page fault %+v", fault)
	}
	protection := decodeOrFail(t, record(11, part(bpfPartKindPART_FAULT, 0, raw(bpfFault{Signo: 11, Code: 128, HasTrap: 1, TrapNr: 13}))))
	if fault := protection.Fault; fault.Address != nil || fault.InstructionPointer != nil {
		t.Errorf("a general protection fault has no address: %+v", fault)
	}
	seccomp := decodeOrFail(t, record(31, part(bpfPartKindPART_HANDLED_FAULT, 0, raw(bpfFault{Signo: 31, Code: 1, SyscallNr: 39, SyscallArch: 0xc000003e}))))
	if fault := seccomp.HandledFault; seccomp.Fault != nil || *fault.Syscall != 39 || *fault.SyscallArch != 0xc000003e || fault.TrapNr != nil {
		t.Errorf("seccomp %+v", fault)
	}
}

func TestOomSizesAreBytes(t *testing.T) {
	oom := bpfOom{TotalVm: 3, AnonRss: 2, Limit: 8, CgroupBytes: 2, ScoreAdj: -5}
	oom.Cgroup[0] = 'c'
	event := decodeOrFail(t, record(9, part(bpfPartKindPART_OOM, 0, raw(oom)[:unsafe.Offsetof(oom.Cgroup)+2])))
	if got := event.Oom; got.TotalVM != 3*4096 || got.AnonRss != 2*4096 || *got.Limit != "32768" || *got.Cgroup != "/c" || got.ScoreAdj != -5 {
		t.Errorf("%+v", got)
	}
}

func TestARecordOfAnotherABIIsRefused(t *testing.T) {
	if _, err := newDecoder(0, nil).decode(raw(bpfEvent{Abi: eventABI + 1})); err == nil {
		t.Error("no error")
	}
}

// No bytes may do more than fail: the ring is written by the kernel, but a reader that was overtaken sees anything.
func FuzzDecode(f *testing.F) {
	whole := whole()
	f.Add(whole)
	for cut := range len(whole) {
		if cut%97 == 0 {
			f.Add(whole[:cut])
		}
	}
	decoder := newDecoder(4096, symbolTable{1: "first"})
	f.Fuzz(func(t *testing.T, data []byte) {
		event, err := decoder.decode(data)
		if err != nil {
			return
		}
		line, err := appendDeath(nil, event)
		if err != nil {
			return // It is longer than the limit, and says so.
		}
		if want, err := encodeLine("death", event); err != nil || !bytes.Equal(line, want) {
			t.Errorf("%v: wrote\n%swant\n%s", err, line, want)
		}
	})
}

// whole is a record with every part.
func whole() []byte {
	sender := bpfDescription{ExeBytes: 5, CgroupBytes: 2, ArgsBytes: 3, AncestorsCount: 1, Ancestors: [6]bpfAncestor{{Pid: 1, Comm: commOf("init")}}}
	for i, b := range []byte("sh\x00b\x00c\x00sh\x00") {
		sender.Data[i] = int8(b)
	}
	description := raw(sender)[:unsafe.Offsetof(sender.Data)+10]
	return record(9,
		signalPart(bpfPartKindPART_SIGNAL, bpfSignalFact{Signo: 9, Siginfo: 2, StackFrames: 2, Stack: [20]uint64{1, 2}}),
		signalPart(bpfPartKindPART_REQUEST, bpfSignalFact{Signo: 15, SyscallNr: -1}),
		part(bpfPartKindPART_FAULT, 0, raw(bpfFault{Signo: 11, Code: 1, InstructionPointer: 3, StackPointer: 4, HasTrap: 1})),
		part(bpfPartKindPART_HANDLED_FAULT, 0, raw(bpfFault{Signo: 31, Code: 128})),
		part(bpfPartKindPART_OOM, 0, raw(bpfOom{CgroupBytes: 4, Limit: 2})),
		part(bpfPartKindPART_EXE, 0, []byte("mysqld\x00sbin\x00usr\x00")),
		part(bpfPartKindPART_CGROUP, partTruncated, []byte("leaf\x00branch\x00")),
		part(bpfPartKindPART_ANCESTORS, 0, raw(bpfAncestor{Pid: 9, Comm: commOf("sh")})),
		part(bpfPartKindPART_SIGNAL_SENDER, 0, description), part(bpfPartKindPART_REQUEST_SENDER, 0, description),
		part(bpfPartKindPART_ENV, 0, []byte("OTEL_SERVICE_NAME=shop\x00TRACEPARENT=\x00")),
		part(bpfPartKindPART_ARGS, partTruncated, []byte("mysqld\x00\x00--x=\xff\x00a\u2028\"\\\b\x01\n")))
}

// The way of a death through the loader, without the ring and the socket: no allocation.
func BenchmarkDeathToLine(b *testing.B) {
	decoder := newDecoder(4096, symbolTable{1: "first"})
	record, line := whole(), make([]byte, 0, lineBytesMax)
	b.ReportAllocs()
	for b.Loop() {
		event, err := decoder.decode(record)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := appendDeath(line, event); err != nil {
			b.Fatal(err)
		}
	}
}

func TestADeathIsDecodedAndWrittenWithoutAllocation(t *testing.T) {
	decoder := newDecoder(4096, symbolTable{1: "first"})
	record, line := whole(), make([]byte, 0, lineBytesMax)
	allocations := testing.AllocsPerRun(100, func() {
		event, err := decoder.decode(record)
		if err == nil {
			_, err = appendDeath(line, event)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations a death", allocations)
	}
}
