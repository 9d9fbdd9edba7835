// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"whodunit/loader/internal/exitcode"
	"whodunit/loader/internal/victim"
)

// init becomes a victim, which victim.Terminate starts as this program.
func init() {
	if len(os.Args) == 6 && os.Args[1] == victim.Command {
		panic(victim.Run(victim.Way(os.Args[3]), os.Args[5]))
	}
}

func TestAFileThatIsNoBTFOfAKernelIsRefusedInOneSentence(t *testing.T) {
	directory := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, content []byte) string {
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, test := range []struct{ name, file, want string }{
		{"it does not exist", filepath.Join(directory, "none"), "no such file or directory"},
		{"a directory", directory, "no regular file"},
		{"empty", write("empty", nil), "no BTF that can be read"},
		{"text", write("text", []byte("no types")), "no BTF that can be read"},
		{"BTF that is cut off", write("cut", slices.Concat([]byte{0x9f, 0xeb, 1, 0, 24, 0, 0, 0}, make([]byte, 12), []byte{255, 255, 0, 0})), "no BTF that can be read"},
		{"an ELF file without BTF", self, "an ELF file without BTF"},
		{"BTF of a program", write("program", marshal(t, []btf.Type{&btf.Struct{Name: "event", Size: 8}})), "no type task_struct"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := TypesOfFile(test.file)
			if exitcode.Of(err) != exitcode.Config || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.file) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v", err)
			}
		})
	}
}

// As pahole leaves them where two parts of a kernel see another type of the same name.
func TestAFileMayHaveATypeTwice(t *testing.T) {
	file := filepath.Join(t.TempDir(), "twice")
	content := marshal(t, []btf.Type{&btf.Struct{Name: "task_struct", Size: 8}, &btf.Struct{Name: "task_struct", Size: 16}})
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := TypesOfFile(file); err != nil {
		t.Error(err)
	}
}

func TestTypesOfAFileAreVerifiedByTerminations(t *testing.T) {
	privileged(t)
	for _, test := range []struct {
		name, structure, member string // the member that is described 64 bytes off
		want                    string // in the error; "": none
	}{
		{"as they are", "", "", ""},
		{"the flags of the group are elsewhere", "signal_struct", "flags", "wait status"},
		{"the status of the group is elsewhere", "signal_struct", "group_exit_code", "wait status"},
		{"the start time is elsewhere", "task_struct", "start_boottime", "start time"},
	} {
		t.Run(test.name, func(t *testing.T) {
			types, err := TypesOfFile(typesWith(t, test.structure, test.member))
			if err != nil {
				t.Fatal(err)
			}
			err = types.Verify()
			switch {
			case test.want == "" && err != nil:
				t.Fatal(err)
			case test.want != "" && (exitcode.Of(err) != exitcode.Unavailable || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

func TestTheProbesOfOtherTypesAreReplaced(t *testing.T) {
	privileged(t)
	directory := pinDirectory(t)
	own, err := Attach(Options{PinDirectory: directory, RingBytes: RingBytesMin})
	if err != nil {
		t.Fatal(err)
	}
	own.Close()
	types, err := TypesOfFile(typesWith(t, "", ""))
	if err != nil {
		t.Fatal(err)
	}
	for _, tookOver := range []bool{false, true} {
		probes, err := Attach(Options{PinDirectory: directory, RingBytes: RingBytesMin, Types: types})
		if err != nil {
			t.Fatal(err)
		}
		if probes.TookOver != tookOver || probes.ReadsContexts {
			t.Errorf("took over: %t, want %t; reads contexts: %t", probes.TookOver, tookOver, probes.ReadsContexts)
		}
		probes.Close()
	}
}

// typesWith writes the kernel's types to a file, with one member moved by 64 bytes.
func typesWith(t *testing.T, structure, member string) (file string) {
	t.Helper()
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	var all []btf.Type
	for one, err := range kernel.All() {
		if err != nil {
			t.Fatal(err)
		}
		if found, isStruct := one.(*btf.Struct); isStruct && found.Name == structure {
			for i := range found.Members {
				if found.Members[i].Name == member {
					found.Members[i].Offset += 64 * 8
				}
			}
		}
		all = append(all, one)
	}
	file = filepath.Join(t.TempDir(), "btf")
	if err := os.WriteFile(file, marshal(t, all), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func marshal(t *testing.T, types []btf.Type) []byte {
	t.Helper()
	builder, err := btf.NewBuilder(types, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := builder.Marshal(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
