// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"whodunit/loader/internal/exitcode"
)

// newCgroup makes a cgroup for the duration of the test, in the hierarchy that FindScope prefers.
func newCgroup(t *testing.T, name string) (directory, below string) {
	t.Helper()
	privileged(t)
	mounts, err := cgroupMounts()
	if err != nil || len(mounts) == 0 {
		t.Fatalf("no cgroups are mounted here: %v", err)
	}
	directory = filepath.Join(mounts[0].path, name)
	if err := os.MkdirAll(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for path := directory; path != mounts[0].path; path = filepath.Dir(path) {
			waitFor(t, func() bool { return os.Remove(path) == nil })
		}
	})
	return directory, "/" + name
}

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited for a minute")
		}
	}
}

// exitIn starts a shell that enters the cgroup and exits with this code.
func exitIn(t *testing.T, directory string, code int) (pid int) {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", fmt.Sprintf("echo $$ > %s/cgroup.procs; exec sh -c 'exit %d'", directory, code))
	err := cmd.Run()
	var exit *exec.ExitError
	if code != 0 && (!errors.As(err, &exit) || exit.ExitCode() != code) || code == 0 && err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

func TestTerminationsOutsideTheScopeAreNeitherReportedNorCounted(t *testing.T) {
	unique := fmt.Sprintf("whodunit-test-%d-%d", os.Getpid(), time.Now().UnixNano())
	inside, _ := newCgroup(t, unique+"/scope/pod/container")
	outside, _ := newCgroup(t, unique+"-outside")
	watched, err := FindScope("/" + unique + "/scope")
	if err != nil {
		t.Fatal(err)
	}
	probes, ring := attachedFor(t, RingBytesMin, watched)

	outsider, ours := exitIn(t, outside, 3), exitIn(t, inside, 4)
	exitIn(t, outside, 0)
	exitIn(t, inside, 0)
	victim := exec.Command("sleep", "60") // in the cgroup of the test, which is outside, too
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	victim.Process.Kill()
	victim.Wait()
	if got := recordsOf(t, ring, 0, ours); len(got) != 1 || got[0].StatusRaw != 4<<8 {
		t.Errorf("inside: %+v", got)
	}
	for _, pid := range []int{outsider, victim.Process.Pid} {
		if got := recordsOf(t, ring, 0, pid); len(got) != 0 {
			t.Errorf("outside: %+v", got)
		}
	}
	sum, err := probes.Counters()
	if err != nil || sum.Terminations != 1 || sum.ExitsNormal != 1 {
		t.Errorf("%d terminations and %d normal exits were counted, %v; one of each was inside", sum.Terminations, sum.ExitsNormal, err)
	}
}

// A cgroup may be as deep as its user likes.
func TestATerminationIsInTheScopeHoweverDeepItsCgroup(t *testing.T) {
	const levels = 60
	unique := fmt.Sprintf("whodunit-test-%d-%d", os.Getpid(), time.Now().UnixNano())
	inside, _ := newCgroup(t, unique+"/scope/pod.service"+strings.Repeat("/deep", levels))
	outside, _ := newCgroup(t, unique+"-outside"+strings.Repeat("/deep", levels))
	watched, err := FindScope("/" + unique + "/scope")
	if err != nil {
		t.Fatal(err)
	}
	_, ring := attachedFor(t, RingBytesMin, watched)
	ours, outsider := exitIn(t, inside, 4), exitIn(t, outside, 3)
	if got := recordsOf(t, ring, 0, outsider); len(got) != 0 {
		t.Errorf("outside: %+v", got)
	}
	got := recordsOf(t, ring, 0, ours)
	if len(got) != 1 || got[0].StatusRaw != 4<<8 {
		t.Fatalf("inside: %+v", got)
	}
	if path := *got[0].Process.Cgroup; !strings.HasPrefix(path, "/"+unique+"/scope/pod.service/deep/") || !strings.HasSuffix(path, "/…") {
		t.Errorf("%q", path)
	}
}

func TestAScopeThatIsTooDeepIsRejected(t *testing.T) {
	_, below := newCgroup(t, fmt.Sprintf("whodunit-test-%d-%d", os.Getpid(), time.Now().UnixNano())+strings.Repeat("/deep", depthMax))
	if _, err := FindScope(below); exitcode.Of(err) != exitcode.Config || !strings.Contains(err.Error(), "25 levels below the root; the limit is 24") {
		t.Errorf("%v", err)
	}
}

func TestAnotherScopeReplacesTheProbes(t *testing.T) {
	directory, path := newCgroup(t, fmt.Sprintf("whodunit-test-%d-%d", os.Getpid(), time.Now().UnixNano()))
	pins := pinDirectory(t)
	for i, text := range []string{ScopeHost, path, path, ScopeHost} {
		watched, err := FindScope(text)
		if err != nil {
			t.Fatal(err)
		}
		probes, err := Attach(Options{PinDirectory: pins, RingBytes: RingBytesMin, Scope: watched})
		if err != nil {
			t.Fatal(err)
		}
		if sameAsBefore := i == 2; probes.TookOver != sameAsBefore {
			t.Errorf("%d, %s: took over: %v", i, text, probes.TookOver)
		}
		before, _ := probes.Counters()
		exitIn(t, directory, 5)
		after, err := probes.Counters()
		// The ring fills up, as no consumer acknowledges.
		if err != nil || after.Terminations+after.Lost.RingFull <= before.Terminations+before.Lost.RingFull {
			t.Errorf("%d, %s: %+v, then %+v, %v", i, text, before, after, err)
		}
		probes.Close()
	}
}

func TestChangingThreadContextReplacesTheProbes(t *testing.T) {
	privileged(t)
	pins := pinDirectory(t)
	for i, asked := range []bool{false, true, true, false} {
		probes, err := Attach(Options{PinDirectory: pins, RingBytes: RingBytesMin, ThreadContext: asked})
		if err != nil {
			t.Fatal(err)
		}
		if sameAsBefore := i == 2; probes.TookOver != sameAsBefore {
			t.Errorf("%d, %v: took over: %v", i, asked, probes.TookOver)
		}
		exitWith(t, 5)
		if sum, err := probes.Counters(); err != nil || sum.Terminations < uint64(i+1) {
			t.Errorf("%d, %v: %+v, %v", i, asked, sum, err)
		}
		probes.Close()
	}
}

func TestAScopeThatDoesNotExistIsRejected(t *testing.T) {
	for _, text := range []string{"", "/", "system.slice", "pod:", "/no/such/cgroup", "pod:0e1d2c3b-0000-4000-8000-000000000000"} {
		if _, err := FindScope(text); exitcode.Of(err) != exitcode.Config || !strings.Contains(err.Error(), "WHODUNIT_SCOPE") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAPodIsFoundUnderEachNameThatKubeletUses(t *testing.T) {
	const uid = "0e1d2c3b-4a59-4687-9786-a5b4c3d2e1f0"
	for _, below := range []string{
		"kubepods/burstable/pod" + uid,
		"kubepods/pod" + uid,
		"kubelet/kubepods/besteffort/pod" + uid,
		"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + strings.ReplaceAll(uid, "-", "_") + ".slice",
	} {
		root := t.TempDir()
		for _, path := range []string{below + "/cri-containerd-1.scope", "kubepods/burstable/podffff", "system.slice/pod" + uid} {
			if err := os.MkdirAll(filepath.Join(root, path), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if got := podBelow(root, uid); got != filepath.Join(root, below) {
			t.Errorf("%q, want %q", got, below)
		}
	}
}
