// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"reflect"
	"testing"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/record/recordtest"
)

func ancestorsPart(comms ...string) []byte {
	var out []byte
	for i, comm := range comms {
		out = append(out, recordtest.Raw(abi.Ancestor{Pid: uint32(100 - i), Comm: recordtest.Comm(comm)})...)
	}
	return recordtest.Part(abi.PartKindPART_ANCESTORS, 0, out)
}

func TestAncestorsHaveTheProgramThatTheyExecutedOrThatOfTheirParent(t *testing.T) {
	unset := uint32(abi.UidValueUID_UNSET)
	listed := bytes.Join([][]byte{
		recordtest.Listed(abi.ListedProgram{StartBoottimeNs: 7, Flags: uint32(abi.ProgramFlagPROGRAM_OF_PARENT)}, "", ""),
		recordtest.Listed(abi.ListedProgram{StartBoottimeNs: 6, Uid: 0, LoginUid: 1000, Flags: uint32(abi.ProgramFlagPROGRAM_ARGS_CUT)}, "bash\x00bin\x00usr\x00", "bash\x00/opt/tidy.sh\x00"),
		recordtest.Listed(abi.ListedProgram{StartBoottimeNs: 5, Uid: unset, LoginUid: unset, Flags: uint32(abi.ProgramFlagPROGRAM_UNKNOWN)}, "", ""),
		recordtest.Listed(abi.ListedProgram{StartBoottimeNs: 4, LoginUid: unset, Flags: uint32(abi.ProgramFlagPROGRAM_EXE_CUT)}, "init\x00", "init\x00"),
	}, nil)
	event := decodeOrFail(t, recordtest.Record(9, ancestorsPart("tidy", "bash", "x", "init"), recordtest.Part(abi.PartKindPART_PROGRAMS, 0, listed)))
	exe, cut, root, alice := "/usr/bin/bash", "…/init", uint32(0), uint32(1000)
	args := []string{"bash", "/opt/tidy.sh"}
	want := []Ancestor{
		{Pid: 100, StartBoottimeNs: 7, Comm: "tidy", Exe: &exe, Args: args, ArgsTruncated: true, UID: &root, LoginUID: &alice},
		{Pid: 99, StartBoottimeNs: 6, Comm: "bash", Exe: &exe, Args: args, ArgsTruncated: true, UID: &root, LoginUID: &alice},
		{Pid: 98, StartBoottimeNs: 5, Comm: "x"},
		{Pid: 97, StartBoottimeNs: 4, Comm: "init", Exe: &cut, Args: []string{"init"}, UID: &root},
	}
	if !reflect.DeepEqual(event.Process.Ancestors, want) {
		t.Errorf("%+v", event.Process.Ancestors)
	}
}

func TestAListOfProgramsThatIsCutOffIsAnError(t *testing.T) {
	whole := recordtest.Listed(abi.ListedProgram{}, "sh\x00", "sh\x00")
	for _, cut := range []int{8, 24, 28} {
		raw := recordtest.Record(9, ancestorsPart("sh"), recordtest.Part(abi.PartKindPART_PROGRAMS, 0, whole[:cut]))
		if _, err := NewDecoder(Machine{}).Decode(raw); err == nil {
			t.Errorf("no error for %d bytes", cut)
		}
	}
}
