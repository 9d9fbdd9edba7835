// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/record"
	"whodunit/loader/internal/record/recordtest"
)

// What is known of an executable is kept by processor: everything below runs on one.
func onOneProcessor(command string) string {
	return fmt.Sprintf("exec taskset -c 0 /bin/sh -c '%s'", command)
}

func buildIDOf(t *testing.T, process *record.Process) string {
	t.Helper()
	if process.BuildID == nil {
		return ""
	}
	return *process.BuildID
}

// The executable's first page is often not mapped in a child that executes no program. Its build id is that of an earlier process of the file.
func TestAChildWithoutAnExecHasTheBuildIDOfItsProgram(t *testing.T) {
	privileged(t)
	_, ring := attached(t)
	first := run(t, repeated, onOneProcessor(exits))
	want := buildIDOf(t, &recordsOf(t, ring, 0, first)[0].Process)
	if want == "" {
		t.Fatal("/bin/sh has no build id")
	}
	parent := run(t, repeated, onOneProcessor("(exit 3); "+exits))
	children := 0
	eachTermination(t, ring, 0, recordtest.Symbols{}, func(event *record.Event) {
		if event.Process.ParentPid != uint32(parent) {
			return
		}
		children++
		if got := buildIDOf(t, &event.Process); got != want {
			t.Errorf("a child: %q, want %q", got, want)
		}
	})
	if children != 1 {
		t.Errorf("%d children are reported, want 1", children)
	}
}

// A file that was written to is another executable, even with the same inode.
func TestTheBuildIDOfAReplacedFileIsItsOwn(t *testing.T) {
	privileged(t)
	_, ring := attached(t)
	path := t.TempDir() + "/program"
	idOf := func(content string) string {
		t.Helper()
		bytes, err := os.ReadFile(content)
		if err != nil {
			t.Fatal(err)
		}
		file, err := os.OpenFile(path, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC, 0o755)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(bytes); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		pid := run(t, 1, fmt.Sprintf("exec taskset -c 0 %s /no/such/file", path))
		return buildIDOf(t, &recordsOf(t, ring, 0, pid)[0].Process)
	}
	cat, stat := idOf("/bin/cat"), idOf("/usr/bin/stat")
	if again := idOf("/bin/cat"); cat == "" || cat == stat || again != cat {
		t.Errorf("cat %q, stat %q, cat again %q", cat, stat, again)
	}
}
