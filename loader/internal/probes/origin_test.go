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

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/record"
	"whodunit/loader/internal/ring"
)

// mallory is the unprivileged user of these tests.
const mallory = 61_000

const asMallory = "setpriv --reuid=61000 --regid=61000 --clear-groups "

// tree makes the cgroups of a test below one directory and returns that directory. A path that ends with `@` belongs to mallory.
func tree(t *testing.T, paths ...string) (top string) {
	t.Helper()
	top, _ = newCgroup(t, fmt.Sprintf("whodunit-test-%d-%d.slice", os.Getpid(), time.Now().UnixNano()))
	for _, path := range paths {
		path, isHers := strings.CutSuffix(path, "@")
		directory := filepath.Join(top, path)
		if err := os.MkdirAll(directory, 0o755); err != nil {
			t.Fatal(err)
		}
		if isHers {
			if err := errors.Join(os.Chown(directory, mallory, mallory), os.Chown(filepath.Join(directory, "cgroup.procs"), mallory, mallory)); err != nil {
				t.Fatal(err)
			}
		}
		t.Cleanup(func() { removeCgroups(t, top, directory) })
	}
	return top
}

// removeCgroups removes a cgroup, all below it, and its parents up to top.
func removeCgroups(t *testing.T, top, directory string) {
	t.Helper()
	var below []string
	filepath.WalkDir(directory, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			below = append(below, path)
		}
		return nil
	})
	for i := len(below) - 1; i >= 0; i-- {
		waitFor(t, func() bool { err := os.Remove(below[i]); return err == nil || errors.Is(err, os.ErrNotExist) })
	}
	for path := filepath.Dir(directory); path != top && len(path) > len(top); path = filepath.Dir(path) {
		if os.Remove(path) != nil {
			return
		}
	}
}

// idOf returns the id of a cgroup: the inode of its directory.
func idOf(t *testing.T, directory string) uint64 {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Stat(directory, &stat); err != nil {
		t.Fatal(err)
	}
	return stat.Ino
}

// originOf runs a command in a cgroup, which must exit with 3, and returns the origin in its record.
func originOf(t *testing.T, ring *ring.Ring, directory, command string) record.Origin {
	t.Helper()
	from := ring.Written()
	shell := exec.Command("/bin/sh", "-c", fmt.Sprintf("echo $$ > %s/cgroup.procs && exec %s", directory, command))
	output, err := shell.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Fatalf("%s: %v: %s", command, err, output)
	}
	events := recordsOf(t, ring, from, shell.Process.Pid)
	if len(events) != 1 {
		t.Fatalf("%s: %d records", command, len(events))
	}
	ring.Ack(ring.Written())
	return events[0].Origin
}

func TestTheOriginIsTheOutermostUnitContainerPodOrUserSlice(t *testing.T) {
	_, ring := attachedWith(t, 1<<20)
	const pod = "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0e1d2c3b_0000_4000_8000_000000000000.slice"
	for _, test := range []struct{ path, origin string }{
		{"system.slice/nginx.service", "system.slice/nginx.service"},
		{"system.slice/system-getty.slice/getty@tty1.service/a/b", "system.slice/system-getty.slice/getty@tty1.service"},
		{"user.slice/user-1000.slice/session-3.scope", "user.slice/user-1000.slice"},
		{"user.slice/user-1000.slice/user@1000.service/app.slice/x.service", "user.slice/user-1000.slice"},
		{"system.slice/docker-0123456789abcdef.scope/init.scope", "system.slice/docker-0123456789abcdef.scope"},
		{"docker/0123456789abcdef/docker/fedcba9876543210", "docker/0123456789abcdef"},
		{pod + "/cri-containerd-0123.scope", pod},
		{"kubepods.slice/kubepods-pod1.slice/crio-0123.scope", "kubepods.slice/kubepods-pod1.slice"},
		{"kubepods/besteffort/pod1/0123", "kubepods/besteffort/pod1"},
		{"machine.slice/libpod-0123.scope/container", "machine.slice/libpod-0123.scope"},
		{"lxc.payload.web/system.slice/nginx.service", "lxc.payload.web"},
		{"init.scope", "init.scope"},
		{"a.slice/b.slice/c.slice/d.slice/e.slice/f.slice/g.slice/h.slice", "a.slice/b.slice/c.slice/d.slice/e.slice/f.slice/g.slice"},
	} {
		top := tree(t, test.path)
		if got, want := originOf(t, ring, filepath.Join(top, test.path), "sh -c 'exit 3'"), (record.Origin{Cgroup: idOf(t, filepath.Join(top, test.origin))}); got != want {
			t.Errorf("%s: %+v, want %+v (%s)", test.path, got, want, test.origin)
		}
	}
}

func TestNoCgroupThatAUserCanCreateIsAnOrigin(t *testing.T) {
	_, ring := attachedWith(t, 1<<20)
	top := tree(t, "user.slice/user-61000.slice/user@61000.service@", "hers.slice@", "shared.slice")
	if err := os.Chmod(filepath.Join(top, "shared.slice"), 0o777); err != nil {
		t.Fatal(err)
	}
	service, hers, shared := filepath.Join(top, "user.slice/user-61000.slice/user@61000.service"), filepath.Join(top, "hers.slice"), filepath.Join(top, "shared.slice")
	deep := strings.Repeat("/docker", 40)
	for _, made := range []string{service + "/docker/1", service + "/system.slice/a.service", hers + "/docker/2", hers + "/b.slice/c.slice/d", shared + "/e", hers + deep} {
		if output, err := exec.Command("sh", "-c", asMallory+"mkdir -p "+made).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
	}
	for _, test := range []struct{ directory, origin string }{
		{service + "/docker/1", filepath.Dir(service)},
		{service + "/system.slice/a.service", filepath.Dir(service)},
		{hers + "/docker/2", hers},
		{hers + "/b.slice/c.slice/d", hers},
		{shared + "/e", shared},
		{hers + deep, hers},
	} {
		if got, want := originOf(t, ring, test.directory, asMallory+"sh -c 'exit 3'"), (record.Origin{Cgroup: idOf(t, test.origin), UID: mallory}); got != want {
			t.Errorf("%s: %+v, want %+v", test.directory, got, want)
		}
	}
}

func TestTheUserIsTheRealOneAndInANamespaceItsOwner(t *testing.T) {
	_, ring := attachedWith(t, 1<<20)
	top := tree(t, "system.slice/a.service")
	directory := filepath.Join(top, "system.slice/a.service")
	for _, test := range []struct {
		name, command string
		uid           uint32
	}{
		{"root", "sh -c 'exit 3'", 0},
		{"an effective user", "setpriv --ruid=61000 sh -c 'exit 3'", mallory},
		{"the root of a namespace", asMallory + "unshare --map-root-user sh -c 'exit 3'", mallory},
		{"nested namespaces", asMallory + "unshare --map-root-user unshare --map-root-user unshare --map-root-user sh -c 'exit 3'", mallory},
		{"a namespace of root", "unshare --map-user=1000 sh -c 'exit 3'", 0},
	} {
		if got, want := originOf(t, ring, directory, test.command), (record.Origin{Cgroup: idOf(t, directory), UID: test.uid}); got != want {
			t.Errorf("%s: %+v, want %+v", test.name, got, want)
		}
	}
}
