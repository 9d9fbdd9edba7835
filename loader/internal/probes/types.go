// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"

	"whodunit/loader/internal/exitcode"
	"whodunit/loader/internal/host"
)

const (
	kernelBTF = "/sys/kernel/btf/vmlinux"
	// typesBytesMax limits the file of --btf: a kernel with debug information has about 1 GB.
	typesBytesMax = 4 << 30
)

// Types are the kernel's types (BTF), by which the accesses of the probes are relocated (CO-RE). The zero value: those that the kernel provides.
// Others have other numbers for the same types, so that what passes such a number to the kernel is not used: kernel functions (kfuncs).
type Types struct {
	file    string
	spec    *btf.Spec // nil: the kernel's
	digest  string
	missing []string
	cache   *btf.Cache // of the kernel's, which take long to read
}

// KernelProvidesTypes reports whether the zero value of Types can be used.
func KernelProvidesTypes() bool {
	_, err := os.Stat(kernelBTF)
	return err == nil
}

// KernelTypes returns those that the kernel provides, which are read at most once.
func KernelTypes() Types { return Types{}.opened() }

// AreOld reports whether they are of a kernel before 5.5, by what the start time of a task is called there. Such a kernel may have a ring buffer all
// the same, as that of RHEL 8 does: the probes of this package know newer layouts only.
func (t Types) AreOld() bool {
	kernel, err := t.opened().read()
	return err == nil && kernelHas(kernel, "task_struct", "real_start_time")
}

// CalibratedTypes returns types that were found by observing this kernel. They may lack most of what the probes read. missing: fields that were
// looked for.
func CalibratedTypes(spec *btf.Spec, missing []string) (Types, error) {
	var task *btf.Struct
	if err := spec.TypeByName("task_struct", &task); err != nil {
		return Types{}, fmt.Errorf("find the type of a task: %w", err)
	}
	digest, err := digestOfTypes(task)
	return Types{spec: spec, digest: digest, missing: missing}, err
}

// Missing returns the fields that were looked for by observation and not found.
func (t Types) Missing() []string { return t.missing }

// FindCgroups reports whether the probes find cgroups by these types.
func (t Types) FindCgroups() bool {
	if !t.Observed() {
		return true
	}
	var directory *btf.Struct
	return t.spec.TypeByName("kernfs_node", &directory) == nil
}

// TypesOfFile returns the types of a file. The error has exitcode.Config.
func TypesOfFile(file string) (Types, error) {
	refuse := func(why error) (Types, error) {
		return Types{}, exitcode.Errorf(exitcode.Config, "--btf (WHODUNIT_BTF) is %s, which cannot be used: %w; it must be BTF, or an ELF file with a section .BTF, of exactly this kernel (%s)", file, why, host.KernelRelease())
	}
	info, err := os.Stat(file)
	if pathError := (*os.PathError)(nil); errors.As(err, &pathError) {
		return refuse(pathError.Err)
	}
	if !info.Mode().IsRegular() {
		return refuse(errors.New("it is no regular file"))
	}
	if info.Size() > typesBytesMax {
		return refuse(fmt.Errorf("it has %d bytes; the limit is %d", info.Size(), typesBytesMax))
	}
	spec, err := btf.LoadSpec(file)
	switch {
	case errors.Is(err, btf.ErrNotFound):
		return refuse(errors.New("it is an ELF file without BTF"))
	case err != nil:
		return refuse(fmt.Errorf("it has no BTF that can be read: %w", err))
	}
	// pahole leaves several of them where parts of a kernel see another type of the same name. A relocation fails if they differ in the field.
	tasks, err := spec.AnyTypesByName("task_struct")
	if err != nil {
		return refuse(errors.New("it has no type task_struct, so it is not of a kernel"))
	}
	digest, err := digestOfTypes(tasks...)
	if err != nil {
		return refuse(err)
	}
	return Types{file: file, spec: spec, digest: digest}, nil
}

// digestOfTypes identifies the types by all that tasks refer to.
func digestOfTypes(tasks ...btf.Type) (string, error) {
	builder, err := btf.NewBuilder(tasks, nil)
	if err != nil {
		return "", err
	}
	raw, err := builder.Marshal(nil, nil)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", sha256.Sum256(raw)), nil
}

// Observed reports whether they were found by observing the kernel.
func (t Types) Observed() bool { return t.spec != nil && t.file == "" }

// Own reports whether they are those that the kernel provides.
func (t Types) Own() bool { return t.spec == nil }

// String says where they come from.
func (t Types) String() string {
	switch {
	case t.Own():
		return "BTF"
	case t.file == "":
		return "types found by observation"
	}
	return "BTF of " + filepath.Clean(t.file)
}

// opened returns types that are read at most once.
func (t Types) opened() Types {
	if t.cache == nil {
		t.cache = btf.NewCache()
	}
	return t
}

func (t Types) read() (*btf.Spec, error) {
	if t.Own() {
		return t.cache.Kernel()
	}
	return t.spec, nil
}

// options returns what relocates the object by these types.
func (t Types) options() ebpf.CollectionOptions {
	return ebpf.CollectionOptions{Cache: t.cache, Programs: ebpf.ProgramOptions{KernelTypes: t.spec}}
}

// withhold renames, in the object, the types by which the programs detect what does not work with types that are not the kernel's own: no
// kernel has a type of the new name.
func (t Types) withhold(spec *ebpf.CollectionSpec) error {
	if t.Own() {
		return nil
	}
	names := append(slices.Collect(maps.Values(kfuncFeatures())), "bpf_func_id___load")
	if !ReadsRegisters() {
		names = append(names, "bpf_func_id")
	}
	for _, name := range names {
		found, err := spec.Types.AnyTypeByName(name)
		if err != nil {
			return fmt.Errorf("withhold the type %s from the probes' object: %w", name, err)
		}
		switch found := found.(type) {
		case *btf.Enum:
			found.Name = withheld
		case *btf.Struct:
			found.Name = withheld
		case *btf.Typedef:
			found.Name = withheld
		}
	}
	return t.ReadAbsentAsZero(spec)
}

const withheld = "whodunit_withheld"

// kfuncFeatures returns the features that need kernel functions, each with the type by which the object detects it.
func kfuncFeatures() map[string]string {
	return map[string]string{bpfVarFeatureTaskVmaIterator: "bpf_iter_task_vma___kernel", bpfVarFeaturePreemptibleTracepoints: "class_srcu_fast_notrace_t"}
}

// ReadsRegisters reports whether the probes can read a task's registers: bpf_task_pt_regs(), from Linux 5.15 on, of a kernel that was built with
// BTF, which bpf_get_current_task_btf() needs.
func ReadsRegisters() bool {
	for _, helper := range []asm.BuiltinFunc{asm.FnTaskPtRegs, asm.FnGetCurrentTaskBtf} {
		if features.HaveProgramHelper(ebpf.RawTracepoint, helper) != nil {
			return false
		}
	}
	return true
}
