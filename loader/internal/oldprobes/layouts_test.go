// SPDX-License-Identifier: Apache-2.0

package oldprobes

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/cilium/ebpf/btf"

	"whodunit/loader/internal/probes"
	"whodunit/loader/internal/record"
	"whodunit/loader/internal/victim"
)

// init becomes a victim, which victim.Terminate starts as this program.
func init() {
	if len(os.Args) == 6 && os.Args[1] == victim.Command {
		panic(victim.Run(victim.Way(os.Args[3]), os.Args[5]))
	}
}

// layout changes this kernel's types to those that an older kernel would have, without moving a field: what an older kernel has in another structure
// is found through a pointer that every task has.
type layout struct {
	t     *testing.T
	types *btf.Spec
}

func (l layout) structure(name string) *btf.Struct {
	l.t.Helper()
	var found *btf.Struct
	if err := l.types.TypeByName(name, &found); err != nil {
		l.t.Fatalf("%s: %v", name, err)
	}
	return found
}

func (l layout) member(structure, name string) *btf.Member {
	l.t.Helper()
	in := l.structure(structure)
	at := slices.IndexFunc(in.Members, func(one btf.Member) bool { return one.Name == name })
	if at < 0 {
		l.t.Skipf("SKIPPED: this kernel has no %s.%s", structure, name)
	}
	return &in.Members[at]
}

func (l layout) rename(structure, name, as string) { l.member(structure, name).Name = as }

// beside moves fields of a task to a structure that each thread has by a pointer: here to the task of its first thread.
func (l layout) beside(pointer, structure string, fields ...string) {
	moved := &btf.Struct{Name: structure, Size: l.structure("task_struct").Size}
	for _, field := range fields {
		moved.Members = append(moved.Members, *l.member("task_struct", field))
		l.rename("task_struct", field, "rh_reserved_"+field)
	}
	slices.SortFunc(moved.Members, func(a, b btf.Member) int { return int(a.Offset) - int(b.Offset) })
	task := l.structure("task_struct")
	task.Members = append(task.Members, btf.Member{Name: pointer, Type: &btf.Pointer{Target: moved}, Offset: l.member("task_struct", "group_leader").Offset})
}

// of RHEL 8, whose kernel is called 4.18.
func (l layout) changeToRHEL8() {
	l.rename("task_struct", "start_boottime", "real_start_time")
	l.beside("task_struct_rh", "task_struct_rh", "self_exec_id")
	l.beside("audit", "audit_task_info", "loginuid", "sessionid")
	l.rename("signal_struct", "pids", "rh_reserved_pids")
	thread := l.member("task_struct", "thread_pid")
	link := &btf.Struct{Name: "pid_link", Size: 8, Members: []btf.Member{{Name: "pid", Type: thread.Type}}}
	pids := &btf.Array{Index: &btf.Int{Name: "int", Size: 4}, Type: link, Nelems: 4}
	task := l.structure("task_struct")
	task.Members = append(task.Members, btf.Member{Name: "pids", Type: pids, Offset: thread.Offset})
	owner := *l.member("kernfs_iattrs", "ia_uid")
	iattrs := l.structure("kernfs_iattrs")
	nested := &btf.Struct{Name: "iattr", Size: 8, Members: []btf.Member{{Name: "ia_uid", Type: owner.Type}}}
	iattrs.Members = []btf.Member{{Name: "ia_iattr", Type: nested, Offset: owner.Offset}}
}

// file writes the types that the probes refer to.
func (l layout) file() string {
	roots := []btf.Type{l.structure("task_struct"), l.structure("mount"), l.structure("kernfs_iattrs"), l.structure("bpf_raw_tracepoint_args")}
	var subsystems *btf.Enum
	if err := l.types.TypeByName("cgroup_subsys_id", &subsystems); err != nil {
		l.t.Fatal(err)
	}
	builder, err := btf.NewBuilder(append(roots, subsystems), nil)
	if err != nil {
		l.t.Fatal(err)
	}
	raw, err := builder.Marshal(nil, nil)
	path := filepath.Join(l.t.TempDir(), "types.btf")
	if err := errors.Join(err, os.WriteFile(path, raw, 0o600)); err != nil {
		l.t.Fatal(err)
	}
	return path
}

// The layout is that of RHEL 8 as far as the probes read it, the offsets are those of this kernel.
func TestTheProbesReadALayoutAsThatOfRHEL8(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root")
	}
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	old := layout{t, kernel}
	old.changeToRHEL8()
	types, err := probes.TypesOfFile(old.file())
	if err != nil {
		t.Fatal(err)
	}
	if !types.AreOld() || probes.KernelTypes().AreOld() {
		t.Error("the types of RHEL 8 select the probes of newer kernels, or this kernel's the older ones")
	}
	if err := Verify(types, nil); err != nil {
		t.Fatal(err)
	}
	got, want := shellsProcess(t, types), shellsProcess(t, probes.KernelTypes())
	if got.Exe == nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, and with this kernel's own types %+v", got, want)
	}
}

// shellsProcess returns what the record of a shell says of its process, but for what differs from one shell to the next.
func shellsProcess(t *testing.T, types probes.Types) record.Process {
	t.Helper()
	p, detach := attachedBy(t, pinDirectory(t), queueBytes, types)
	defer detach()
	pid := exits(t, 0)
	event, _ := awaited(t, p, p.Ring().Acked(), pid)
	process := event.Process
	if process.Vpid != uint32(pid) {
		t.Errorf("its pid in its own namespace is %d, not %d", process.Vpid, pid)
	}
	process.Pid, process.Vpid, process.Tid, process.StartBoottimeNs = 0, 0, 0, 0
	return process
}
