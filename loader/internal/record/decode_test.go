// SPDX-License-Identifier: Apache-2.0

package record

import (
	"reflect"
	"testing"
	"unsafe"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/record/recordtest"
)

func decodeOrFail(t *testing.T, raw []byte) *Event {
	t.Helper()
	event, err := NewDecoder(Machine{PageBytes: 4096, Symbols: recordtest.Symbols{1: "__bpf_prog_run", 2: "__send_signal_locked", 3: "isig"}, EnvironmentKeys: recordtest.EnvironmentKeys(), ActorEnvironmentKeys: []string{"SUDO_USER", "SSH_CONNECTION"}}).Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	return event
}

func TestARecordWithoutPartsHasNilForEachUnknownField(t *testing.T) {
	event := decodeOrFail(t, recordtest.Record(3<<8))
	want := Process{Pid: 42, Vpid: 3, StartBoottimeNs: 5, Tid: 43, Comm: "mysqld", ThreadComm: "worker", Ancestors: []Ancestor{}}
	if !reflect.DeepEqual(event.Process, want) || event.StatusRaw != 3<<8 || event.TimeNs != 7 {
		t.Errorf("%+v", event)
	}
}

func TestTextsOfAProcessAreDecoded(t *testing.T) {
	event := decodeOrFail(t, recordtest.Record(1<<8,
		recordtest.Part(abi.PartKindPART_EXE, 0, []byte("mysqld\x00sbin\x00usr\x00")),
		recordtest.Part(abi.PartKindPART_CGROUP, abi.PartFlagPART_FLAG_TRUNCATED, []byte("top\x00branch\x00/\x00")),
		recordtest.Part(abi.PartKindPART_ANCESTORS, 0, append(recordtest.Raw(abi.Ancestor{Pid: 9, Comm: recordtest.Comm("sh")}), recordtest.Raw(abi.Ancestor{Pid: 1, Comm: recordtest.Comm("init")})...)),
		recordtest.Part(abi.PartKindPART_ENV, 0, []byte("OTEL_SERVICE_NAME=shop\x00OTEL_SERVICE_SECRET=x\x00OTEL_SERVICE_NAME=second\x00TRACEPARENT=\x00")),
		recordtest.Part(abi.PartKindPART_ARGS, abi.PartFlagPART_FLAG_TRUNCATED, []byte("mysqld\x00\x00--x=\xff\x00cut")),
	))
	process := event.Process
	if *process.Exe != "/usr/sbin/mysqld" || *process.Cgroup != "/top/branch/…" || !process.ArgsTruncated {
		t.Errorf("%+v", process)
	}
	if want := []Ancestor{{Pid: 9, Comm: "sh"}, {Pid: 1, Comm: "init"}}; !reflect.DeepEqual(process.Ancestors, want) {
		t.Errorf("ancestors %v", process.Ancestors)
	}
	if want := map[string]string{"OTEL_SERVICE_NAME": "shop", "TRACEPARENT": ""}; !reflect.DeepEqual(process.Env, want) {
		t.Errorf("environment %v", process.Env)
	}
	if want := []string{"mysqld", "", `--x=\xff`, "cut"}; !reflect.DeepEqual(process.Args, want) {
		t.Errorf("arguments %q", process.Args)
	}
}

func TestAHostNameIsDecodedAndAnEmptyOneIsNone(t *testing.T) {
	for payload, want := range map[string]string{"web-0\x00": "web-0", "\x00": "", "a\xff\n\x00": "a\\xff\n"} {
		got := decodeOrFail(t, recordtest.Record(1<<8, recordtest.Part(abi.PartKindPART_HOSTNAME, 0, []byte(payload)))).Process.UtsHostname
		if (got != nil) != (want != "") || got != nil && *got != want {
			t.Errorf("%q: %v, want %q", payload, got, want)
		}
	}
}

func TestNamesOfCgroupsThatRootDidNotChooseAreCounted(t *testing.T) {
	for _, test := range []struct {
		payload, path string
		claimed       uint32
	}{
		{"", "/", 0},
		{"branch\x00leaf\x00", "/branch/leaf", 0},
		{"branch\x00leaf\x00\x00", "/branch/leaf", 0}, // the leaf is a user's, but root created it
		{"branch\x00\x00leaf\x00", "/branch/leaf", 1},
		{"root\x00branch\x00\x00twig\x00\x00leaf\x00\x00", "/root/branch/twig/leaf", 2},
		{"root\x00branch\x00/\x00", "/root/branch/…", 0},
		{"root\x00\x00branch\x00/\x00", "/root/branch/…", 2},
		{"/\x00", "/…", 0},
	} {
		event := decodeOrFail(t, recordtest.Record(1<<8, recordtest.Part(abi.PartKindPART_CGROUP, 0, []byte(test.payload))))
		if *event.Process.Cgroup != test.path || event.Process.CgroupClaimed != test.claimed {
			t.Errorf("%q: %q, %d", test.payload, *event.Process.Cgroup, event.Process.CgroupClaimed)
		}
	}
}

func TestNamesOfCgroupsOfOlderABIsAreFromTheLeafToTheRoot(t *testing.T) {
	for _, test := range []struct {
		payload, path string
		claimed       uint32
	}{
		{"", "/", 0},
		{"leaf\x00branch\x00", "/branch/leaf", 0},
		{"\x00leaf\x00branch\x00", "/branch/leaf", 0}, // the leaf is a user's, but root created it
		{"leaf\x00\x00branch\x00", "/branch/leaf", 1},
		{"\x00leaf\x00\x00twig\x00\x00branch\x00root\x00", "/root/branch/twig/leaf", 2},
		{"leaf\x00branch\x00\x00", "…/branch/leaf", 2},
		{"leaf\x00\x00branch\x00\x00", "…/branch/leaf", 2},
	} {
		head := recordtest.Raw(abi.Event{Abi: lastABIWithLeafFirst, StatusRaw: 1 << 8})[:unsafe.Offsetof(abi.Event{}.Origin)]
		event := decodeOrFail(t, append(head, recordtest.Part(abi.PartKindPART_CGROUP, 0, []byte(test.payload))...))
		if *event.Process.Cgroup != test.path || event.Process.CgroupClaimed != test.claimed {
			t.Errorf("%q: %q, %d", test.payload, *event.Process.Cgroup, event.Process.CgroupClaimed)
		}
	}
}

func TestUserNamespacesOfVictimAndSenderAreDecoded(t *testing.T) {
	flags := uint32(abi.TaskFlagIN_USER_NAMESPACE | abi.TaskFlagPF_EXITING)
	event := decodeOrFail(t, recordtest.Record(9, recordtest.Signal(abi.PartKindPART_SIGNAL, abi.SignalFact{Signo: 9, SenderFlags: flags})))
	if sender := event.Signal.Sender; !sender.UserNamespace || !sender.Exiting || sender.Kthread || event.Process.UserNamespace {
		t.Errorf("%+v, %+v", sender, event.Process)
	}
}

func TestTheContextOfAThreadIsFormattedAsInTraceparent(t *testing.T) {
	context := abi.ThreadContext{Valid: 1, TraceFlags: 3}
	for i := range context.TraceId {
		context.TraceId[i] = uint8(0xf0 + i)
	}
	for i := range context.SpanId {
		context.SpanId[i] = uint8(i)
	}
	event := decodeOrFail(t, recordtest.Record(11, recordtest.Part(abi.PartKindPART_THREAD_CONTEXT, 0, recordtest.Raw(context)), recordtest.Part(abi.PartKindPART_EXE, 0, []byte("a\x00"))))
	want := ThreadContext{TraceID: "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", SpanID: "0001020304050607", TraceFlags: 3}
	if event.ThreadContext == nil || *event.ThreadContext != want || *event.Process.Exe != "/a" {
		t.Errorf("%+v", event.ThreadContext)
	}
	if _, err := NewDecoder(Machine{}).Decode(recordtest.Record(11, recordtest.Part(abi.PartKindPART_THREAD_CONTEXT, 0, recordtest.Raw(context)[:25]))); err == nil {
		t.Error("no error for a context that is cut off")
	}
	if got := decodeOrFail(t, recordtest.Record(11)).ThreadContext; got != nil {
		t.Errorf("the record has no context, the event has %+v", got)
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
		{"overwritten with a title", "nginx: worker\x00\x00\x00\x00\x00", []string{"nginx: worker"}},
		{"cut off", "a\x00bc", []string{"a", "bc"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := NewDecoder(Machine{}).arguments([]byte(test.block)); !reflect.DeepEqual(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestPaths(t *testing.T) {
	for names, want := range map[string]string{"": "/", "/\x00": "/", "a\x00": "/a", "memfd:x\x00": "/memfd:x", "c\x00b\x00a\x00/\x00": "/a/b/c"} {
		if got := *NewDecoder(Machine{}).path([]byte(names), false); got != want {
			t.Errorf("path(%q) = %q, want %q", names, got, want)
		}
	}
}

func TestFactsAreAssignedToSignalAndRequestByTheStatus(t *testing.T) {
	const hup, quit, usr1, term, kill = 1, 3, 10, 15, 9
	for _, test := range []struct {
		name             string
		status           uint32
		signal, request  uint32 // pending facts; 0: none
		committed        bool
		wantSig, wantReq uint32
	}{
		{"SIGKILL", kill, kill, 0, true, kill, 0},
		{"SIGTERM handled, then SIGKILL", kill, kill, term, true, kill, term},
		{"SIGTERM handled, then exit 143", 143 << 8, 0, term, false, 0, term},
		{"SIGTERM dequeued by sigwait, then exit 0x8f", 143 << 8, term, 0, false, 0, term},
		{"a pending SIGUSR1 that was never delivered, then exit 1", 1 << 8, usr1, 0, false, 0, 0},
		{"SIGQUIT with a core", quit | 0x80, quit, hup, false, quit, hup},
		{"handler installed, then removed: the request terminated it", hup, 0, hup, false, hup, 0},
		{"another signal than the pending one", 11, usr1, 0, false, 0, 0},
		{"SIGTERM handled, then raised by the handler", term, term, term, true, term, term},
		{"a blocked SIGTERM beside a handled SIGHUP, then exit 1", 1 << 8, term, hup, false, 0, hup},
	} {
		t.Run(test.name, func(t *testing.T) {
			var parts [][]byte
			if test.signal != 0 {
				fact := abi.SignalFact{Signo: test.signal}
				if test.committed {
					fact.Committed = 1
				}
				parts = append(parts, recordtest.Signal(abi.PartKindPART_SIGNAL, fact))
			}
			if test.request != 0 {
				parts = append(parts, recordtest.Signal(abi.PartKindPART_REQUEST, abi.SignalFact{Signo: test.request, Action: 2}))
			}
			event := decodeOrFail(t, recordtest.Record(test.status, parts...))
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

func TestFaults(t *testing.T) {
	page := decodeOrFail(t, recordtest.Record(11, recordtest.Part(abi.PartKindPART_FAULT, 0, recordtest.Raw(abi.Fault{Signo: 11, Code: 1, Address: 0xbeef, InstructionPointer: 0x10, StackPointer: 0x7ff0, HasTrap: 1, TrapNr: 14, ErrorCode: 6}))))
	if fault := page.Fault; *fault.Address != "0xbeef" || *fault.InstructionPointer != "0x10" || *fault.TrapNr != 14 || fault.Syscall != nil {
		t.Errorf("page fault %+v", fault)
	}
	protection := decodeOrFail(t, recordtest.Record(11, recordtest.Part(abi.PartKindPART_FAULT, 0, recordtest.Raw(abi.Fault{Signo: 11, Code: 128, HasTrap: 1, TrapNr: 13}))))
	if fault := protection.Fault; fault.Address != nil || fault.InstructionPointer != nil {
		t.Errorf("a general protection fault has no address: %+v", fault)
	}
	seccomp := decodeOrFail(t, recordtest.Record(31, recordtest.Part(abi.PartKindPART_HANDLED_FAULT, 0, recordtest.Raw(abi.Fault{Signo: 31, Code: 1, SyscallNr: 39, SyscallArch: 0xc000003e}))))
	if fault := seccomp.HandledFault; seccomp.Fault != nil || *fault.Syscall != 39 || *fault.SyscallArch != 0xc000003e || fault.TrapNr != nil {
		t.Errorf("seccomp %+v", fault)
	}
}

func TestOomSizesAreInBytes(t *testing.T) {
	oom := abi.Oom{TotalVm: 3, AnonRss: 2, Limit: 8, CgroupBytes: 2, ScoreAdj: -5}
	oom.Cgroup[0] = 'c'
	event := decodeOrFail(t, recordtest.Record(9, recordtest.Part(abi.PartKindPART_OOM, 0, recordtest.Raw(oom)[:unsafe.Offsetof(oom.Cgroup)+2])))
	if got := event.Oom; *got.TotalVM != "12288" || *got.AnonRss != "8192" || *got.FileRss != "0" || *got.Limit != "32768" || *got.Cgroup != "/c" || got.ScoreAdj != -5 {
		t.Errorf("%+v", got)
	}
}

func TestOomSizesAreUnknownWhereTheMemoryWasNotFound(t *testing.T) {
	event := decodeOrFail(t, recordtest.Record(9, recordtest.Part(abi.PartKindPART_OOM, 0, recordtest.Raw(abi.Oom{ScoreAdj: -5})[:unsafe.Offsetof(abi.Oom{}.Cgroup)])))
	if got := event.Oom; got.TotalVM != nil || got.AnonRss != nil || got.FileRss != nil || got.ShmemRss != nil || got.ScoreAdj != -5 {
		t.Errorf("%+v", got)
	}
}

func TestRecordsOfKnownABIsAreDecodedAndOthersRejected(t *testing.T) {
	for number := uint32(abi.OldestABI - 1); number <= uint32(abi.EventAbiEVENT_ABI)+1; number++ {
		known := number >= abi.OldestABI && number <= uint32(abi.EventAbiEVENT_ABI)
		raw := recordtest.Raw(abi.Event{Abi: number})
		if number <= lastABIWithoutOrigin {
			raw = raw[:unsafe.Offsetof(abi.Event{}.Origin)]
		}
		if _, err := NewDecoder(Machine{}).Decode(raw); known != (err == nil) {
			t.Errorf("ABI %d: %v", number, err)
		}
	}
}

func TestARecordWithoutAnOriginCountsToItsEffectiveUser(t *testing.T) {
	head := abi.Event{Abi: uint32(abi.EventAbiEVENT_ABI), Uid: 1000, Origin: abi.Origin{Cgroup: 7, Uid: 1001}}
	if got := decodeOrFail(t, recordtest.Raw(head)).Origin; got != (Origin{Cgroup: 7, UID: 1001}) {
		t.Errorf("%+v", got)
	}
	head.Abi = lastABIWithoutOrigin
	if got := decodeOrFail(t, recordtest.Raw(head)[:unsafe.Offsetof(head.Origin)]).Origin; got != (Origin{UID: 1000}) {
		t.Errorf("%+v", got)
	}
}

func TestAPartOfAnUnknownKindIsSkipped(t *testing.T) {
	const future = 0x7fff
	event := decodeOrFail(t, recordtest.Record(3<<8,
		recordtest.Part(future, 0, []byte("thirteen bytes")),
		recordtest.Part(abi.PartKindPART_EXE, 0, []byte("mysqld\x00")),
		recordtest.Part(future+1, abi.PartFlagPART_FLAG_TRUNCATED, nil),
	))
	if event.Process.Exe == nil || *event.Process.Exe != "/mysqld" || event.StatusRaw != 3<<8 {
		t.Errorf("%+v", event)
	}
	cut := recordtest.Record(3<<8, recordtest.Part(future, 0, make([]byte, 16)))
	if _, err := NewDecoder(Machine{}).Decode(cut[:len(cut)-8]); err == nil {
		t.Error("no error for an unknown part that is cut off")
	}
}

func TestBytesThatAreNotUTF8AreEscaped(t *testing.T) {
	for raw, want := range map[string]string{"plain": "plain", "ü": "ü", "a\xffb": `a\xffb`, "\xc3": `\xc3`, "": ""} {
		if got := NewDecoder(Machine{}).readable([]byte(raw)); got != want {
			t.Errorf("readable(%q) = %q, want %q", raw, got, want)
		}
	}
}
