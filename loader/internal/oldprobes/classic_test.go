// SPDX-License-Identifier: Apache-2.0

package oldprobes

import (
	"os"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"whodunit/loader/internal/probes"
)

// What an object for Linux 4.8 must not use, beside what none of the old ones may: helpers and maps that came later.
func TestTheClassicProgramsUseOnlyWhatLinux48Has(t *testing.T) {
	spec, err := loadClassic()
	if err != nil {
		t.Fatal(err)
	}
	if len(spec.Programs) != len(classicObject(nil).hooks) {
		t.Errorf("%d programs for %d hooks", len(spec.Programs), len(classicObject(nil).hooks))
	}
	for name, program := range spec.Programs {
		checkProgram(t, name, program, ebpf.TracePoint)
		for i := range program.Instructions {
			if instruction := &program.Instructions[i]; instruction.IsBuiltinCall() && asm.BuiltinFunc(instruction.Constant) == asm.FnProbeReadStr {
				t.Errorf("%s, instruction %d: %v is of 4.11", name, i, instruction)
			}
		}
	}
	for name, one := range spec.Maps {
		if one.Type == ebpf.LRUHash {
			t.Errorf("map %s is of type %v, which is of 4.10", name, one.Type)
		}
		checkMap(t, name, one)
	}
}

func TestAClassicRecordHasTheStatusTheUserAndTheSender(t *testing.T) {
	p, detach := attachedWith(t, Options{PinDirectory: pinDirectory(t), RingBytes: queueBytes, Types: probes.KernelTypes(), Tracepoints: FindTracepoints()})
	defer detach()
	const uid = 54340
	exited := exits(t, uid)
	event, _ := awaited(t, p, 0, exited)
	if event.StatusRaw != 3<<8 || event.Process.Comm != "sh" || event.Process.UID != uid || event.Signal != nil || event.Process.Exe != nil || len(event.Process.Ancestors) == 0 {
		t.Errorf("%#x, %+v, %+v", event.StatusRaw, event.Process, event.Signal)
	}
	killed := killedBySIGTERM(t, uid)
	event, _ = awaited(t, p, 0, killed)
	signal := event.Signal
	if event.StatusRaw != uint32(syscall.SIGTERM) || signal == nil || !signal.Committed || signal.Sender.Pid != uint32(os.Getpid()) || signal.SiginfoPid != nil {
		t.Errorf("%#x, %+v", event.StatusRaw, signal)
	}
}

func TestTheOffsetsOfATracepointAreThoseOfItsFormat(t *testing.T) {
	offsets := offsetsOf("name: signal_generate\nformat:\n\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\tfield:char comm[16];\toffset:20;\tsize:16;\tsigned:0;\n\tfield:pid_t pid;\toffset:36;\tsize:4;\tsigned:1;\n")
	if offsets["comm"] != 20 || offsets["pid"] != 36 || offsets["common_pid"] != 4 || len(offsets) != 3 {
		t.Errorf("%v", offsets)
	}
}
