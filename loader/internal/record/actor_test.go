// SPDX-License-Identifier: Apache-2.0

package record

import (
	"reflect"
	"slices"
	"testing"
	"unsafe"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/record/recordtest"
)

func TestASignalIsDecodedWithItsSenderAndStack(t *testing.T) {
	fact := abi.SignalFact{
		Signo: 9, Code: 0, Siginfo: uint32(abi.SiginfoKindSIGINFO_REAL), SiginfoPid: 99, SiginfoUid: 7, Committed: 1, Group: 1, TargetTid: 42, SyscallNr: 62, SyscallArch: 0x40000003, SenderProcessLives: 1,
		Sender: abi.ProcessKey{StartBoottimeNs: 4, Pid: 99}, SenderTid: 100, SenderUid: 8, SenderFlags: uint32(abi.TaskFlagPF_EXITING), SenderComm: recordtest.Comm("sh"),
		StackFrames: 4, Stack: [20]uint64{1, 2, 3, 4},
	}
	description := abi.Description{
		ExeBytes: 5, CgroupBytes: 2, ArgsBytes: 3, HostnameBytes: 4, ProgramsBytes: 32, EnvBytes: 35, AncestorsCount: 1, Ancestors: [6]abi.Ancestor{{Pid: 1, Comm: recordtest.Comm("init")}},
		ExeFlags: uint32(abi.PartFlagEXE_DELETED | abi.PartFlagEXE_CHROOT), Credentials: abi.Credentials{RealUid: 7, LoginUid: 6, Session: 5},
	}
	texts := append([]byte("sh\x00b\x00c\x00sh\x00web\x00"), recordtest.Listed(abi.ListedProgram{StartBoottimeNs: 3, Uid: 7, LoginUid: 6}, "init\x00", "-\x00")...)
	texts = append(texts, "SUDO_USER=bob\x00SECRET=1\x00SUDO_USER=x\x00"...)
	for i, b := range texts {
		description.Data[i] = int8(b)
	}
	event := decodeOrFail(t, recordtest.Record(9, recordtest.Signal(abi.PartKindPART_SIGNAL, fact), recordtest.Part(abi.PartKindPART_SIGNAL_SENDER, 0, recordtest.Raw(description)[:int(unsafe.Offsetof(description.Data))+len(texts)])))
	signal := event.Signal
	if *signal.SiginfoPid != 99 || *signal.SiginfoUID != 7 || *signal.Syscall != 62 || *signal.SyscallArch != 0x40000003 || signal.Info != "siginfo" || signal.Action != "default" {
		t.Errorf("%+v", signal)
	}
	if want := []string{"__send_signal_locked", "isig"}; !reflect.DeepEqual(signal.KernelStack, want) {
		t.Errorf("stack %q", signal.KernelStack)
	}
	exe, cgroup, hostname, of, realUID, loginUID, session := "/b/sh", "/c", "web", "/init", uint32(7), uint32(6), uint32(5)
	want := Actor{Pid: 99, Tid: 100, StartBoottimeNs: 4, Comm: "sh", UID: 8, RealUID: &realUID, LoginUID: &loginUID, Session: &session, Exiting: true, ProcessLives: true, Exe: &exe, ExeFlags: []string{"deleted", "chroot"}, Args: []string{"sh"}, Cgroup: &cgroup, UtsHostname: &hostname, Env: map[string]string{"SUDO_USER": "bob"}, Ancestors: []Ancestor{{Pid: 1, StartBoottimeNs: 3, Comm: "init", Exe: &of, Args: []string{"-"}, UID: &realUID, LoginUID: &loginUID}}}
	if !reflect.DeepEqual(signal.Sender, want) {
		t.Errorf("sender %+v", signal.Sender)
	}
}

func TestTheUsersOfAVictimAreThoseOfItsCredentials(t *testing.T) {
	for _, test := range []struct {
		name    string
		login   uint32
		isKnown bool
	}{
		{"who logged in", 1000, true},
		{"without a login", uint32(abi.UidValueUID_UNSET), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			process := decodeOrFail(t, recordtest.Record(1<<8, recordtest.Part(abi.PartKindPART_CREDENTIALS, 0, recordtest.Raw(abi.Credentials{RealUid: 7, LoginUid: test.login})))).Process
			if *process.RealUID != 7 || (process.LoginUID != nil) != test.isKnown || (test.isKnown && *process.LoginUID != test.login) {
				t.Errorf("real %v, login %v", process.RealUID, process.LoginUID)
			}
		})
	}
	if _, err := NewDecoder(Machine{}).Decode(recordtest.Record(1<<8, recordtest.Part(abi.PartKindPART_CREDENTIALS, 0, make([]byte, 7)))); err == nil {
		t.Error("no error for credentials that are cut off")
	}
}

func TestFlagsOfAnExecutableHaveNames(t *testing.T) {
	for flags, want := range map[abi.PartFlag][]string{
		0:                               {},
		abi.PartFlagPART_FLAG_TRUNCATED: {},
		abi.PartFlagEXE_MEMFD:           {"memfd"},
		abi.PartFlagEXE_DELETED | 1<<15: {"deleted"},
		abi.PartFlagEXE_UNMOUNTED | abi.PartFlagEXE_CHROOT | abi.PartFlagPART_FLAG_TRUNCATED: {"chroot", "unmounted"},
		abi.PartFlagEXE_FOREIGN_MOUNTS: {"foreign_mounts"},
		abi.PartFlagEXE_USER_MOUNTS:    {"user_mounts"},
	} {
		process := decodeOrFail(t, recordtest.Record(1<<8, recordtest.Part(abi.PartKindPART_EXE, flags, []byte("sh\x00")))).Process
		if !reflect.DeepEqual(process.ExeFlags, want) {
			t.Errorf("flags %d: %q, want %q", flags, process.ExeFlags, want)
		}
	}
	if process := decodeOrFail(t, recordtest.Record(1<<8)).Process; process.ExeFlags != nil || process.RealUID != nil {
		t.Errorf("%+v", process)
	}
}

func TestADescriptionOfABI5HasNoCredentials(t *testing.T) {
	description := abi.Description{ExeBytes: 3}
	raw := append(recordtest.Raw(description)[:unsafe.Offsetof(description.Credentials)], "sh\x00"...)
	signal := recordtest.Signal(abi.PartKindPART_SIGNAL, abi.SignalFact{Signo: 9})
	head := recordtest.Raw(abi.Event{Abi: lastABIWithoutCredentials, StatusRaw: 9})[:unsafe.Offsetof(abi.Event{}.Origin)]
	sender := decodeOrFail(t, slices.Concat(head, signal, recordtest.Part(abi.PartKindPART_SIGNAL_SENDER, 0, raw))).Signal.Sender
	if *sender.Exe != "/sh" || sender.RealUID != nil || sender.LoginUID != nil || len(sender.ExeFlags) != 0 {
		t.Errorf("%+v", sender)
	}
	if _, err := NewDecoder(Machine{Symbols: recordtest.Symbols{}}).Decode(slices.Concat(recordtest.Record(9), signal, recordtest.Part(abi.PartKindPART_SIGNAL_SENDER, 0, raw))); err == nil {
		t.Error("no error for a description of this ABI that is cut off")
	}
}

func TestAStopIsDecodedWithItsSender(t *testing.T) {
	fact := abi.SignalFact{Signo: 19, Siginfo: uint32(abi.SiginfoKindSIGINFO_REAL), Sender: abi.ProcessKey{Pid: 99}, SenderComm: recordtest.Comm("sh")}
	description := abi.Description{ExeBytes: 3}
	sender := recordtest.Part(abi.PartKindPART_STOP_SENDER, 0, append(recordtest.Raw(description)[:unsafe.Offsetof(description.Data)], "sh\x00"...))
	stop := decodeOrFail(t, recordtest.Record(9, recordtest.Signal(abi.PartKindPART_REQUEST, abi.SignalFact{Signo: 15, VictimStopped: 1}), recordtest.Stop(abi.Stop{SinceNs: 3}, fact), sender)).Stop
	if *stop.SinceNs != "3" || stop.ContinuedNs != nil || stop.Signal.Signo != 19 || stop.Signal.Sender.Pid != 99 || *stop.Signal.Sender.Exe != "/sh" {
		t.Errorf("%+v", stop)
	}
	if _, err := NewDecoder(Machine{Symbols: recordtest.Symbols{}}).Decode(slices.Concat(recordtest.Record(9), sender)); err == nil {
		t.Error("no error for the sender of a stop that the record does not have")
	}
}

func TestTheActorOfARequestHasAllThatIsKnownOfItsProcess(t *testing.T) {
	text, number := "web", uint32(7)
	event := Event{Process: Process{
		Pid: 1, Tid: 2, StartBoottimeNs: 3, Comm: "systemctl", UID: 4, RealUID: &number, LoginUID: &number, Session: &number, Exe: &text, ExeFlags: []string{"chroot"}, Args: []string{"a"}, ArgsTruncated: true,
		Env: map[string]string{"SUDO_USER": "bob"}, Cgroup: &text, CgroupClaimed: 5, UserNamespace: true, UtsHostname: &text, Ancestors: []Ancestor{{Pid: 6}},
	}}
	actor, process := reflect.ValueOf(*event.Actor()), reflect.ValueOf(event.Process)
	for i := range actor.NumField() {
		name := actor.Type().Field(i).Name
		known := process.FieldByName(name)
		if known.IsValid() && (known.IsZero() || !reflect.DeepEqual(actor.Field(i).Interface(), known.Interface())) {
			t.Errorf("%s: got %v, want %v", name, actor.Field(i), known)
		}
	}
}
