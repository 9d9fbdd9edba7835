// Cases with their own cgroup: a memory limit, cgroup.kill, and the paths that container runtimes and systemd create.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	memoryLimitBytes = 32 << 20
	containerID      = "4c01db0b339c4f9c8b4a5d5f8f3f3c7a0d6a9a1ec4b9c9c4f0b4f7d5a1c2e3f4" // not a container, only part of a path
	rmdirTries       = 100
	rmdirPause       = 10 * time.Millisecond
)

// hierarchy is a mounted tree of cgroups.
type hierarchy struct {
	mount       string
	kind        string // cgroup2, or cgroup for version 1
	controllers string // of version 1, as an option of mount(8); empty for version 2
}

// cgroupHierarchies reads all that are mounted from /proc/self/mountinfo.
func cgroupHierarchies() ([]hierarchy, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var all []hierarchy
	for line := range strings.Lines(string(text)) {
		mount, filesystem, found := strings.Cut(strings.TrimSpace(line), " - ")
		fields, kind := strings.Fields(mount), strings.Fields(filesystem)
		if !found || len(fields) < 5 || len(kind) < 3 || !strings.HasPrefix(kind[0], "cgroup") {
			continue
		}
		all = append(all, hierarchy{mount: fields[4], kind: kind[0], controllers: controllersOf(kind[0], kind[2])})
	}
	if len(all) == 0 {
		return nil, errors.New("no cgroup file system is mounted")
	}
	return all, nil
}

// controllersOf returns the mount options that name the hierarchy.
func controllersOf(kind, options string) string {
	if kind != "cgroup" {
		return ""
	}
	var names []string
	for option := range strings.SplitSeq(options, ",") {
		key, _, _ := strings.Cut(option, "=")
		switch key {
		case "rw", "ro", "xattr", "release_agent", "clone_children", "noprefix":
		case "name":
			names = append(names, "none", option)
		default:
			names = append(names, option)
		}
	}
	return strings.Join(names, ",")
}

// cgroupMounts returns the mount points of cgroup v2 and of the v1 hierarchy with the memory controller. Empty: none.
func cgroupMounts() (v2, v1Memory string, err error) {
	all, err := cgroupHierarchies()
	for _, h := range all {
		switch {
		case h.kind == "cgroup2":
			v2 = h.mount
		case slices.Contains(strings.Split(h.controllers, ","), "memory"):
			v1Memory = h.mount
		}
	}
	return v2, v1Memory, err
}

// newCgroup makes a cgroup for this undertaker below the mount, and one below the other by the names. close removes them.
func (u *undertaker) newCgroup(mount string, below ...string) (string, error) {
	directory := mount
	for _, name := range append([]string{"whodunit-deaths-" + strconv.Itoa(os.Getpid())}, below...) {
		directory = filepath.Join(directory, name)
		if err := os.Mkdir(directory, 0o755); err != nil {
			return "", err
		}
		u.atClose = append(u.atClose, func() { removeCgroup(directory) })
	}
	return directory, nil
}

// removeCgroup retries: a process leaves its cgroup shortly after its parent has waited for it.
func removeCgroup(directory string) {
	for range rmdirTries {
		if err := syscall.Rmdir(directory); !errors.Is(err, syscall.EBUSY) {
			return
		}
		time.Sleep(rmdirPause)
	}
}

// limitedCgroup makes a cgroup with a memory limit and no swap, v2 if the controller is there, else v1.
func (u *undertaker) limitedCgroup() (string, error) {
	v2, v1, err := cgroupMounts()
	if err != nil {
		return "", err
	}
	limit := []byte(strconv.Itoa(memoryLimitBytes))
	if v1 != "" {
		directory, err := u.newCgroup(v1)
		if err != nil {
			return "", err
		}
		// Swap accounting is optional. The order matters: first memory, then memory and swap.
		err = os.WriteFile(filepath.Join(directory, "memory.limit_in_bytes"), limit, 0)
		_ = os.WriteFile(filepath.Join(directory, "memory.memsw.limit_in_bytes"), limit, 0)
		return directory, err
	}
	if v2 == "" {
		return "", errors.New("no cgroup file system with the memory controller is mounted")
	}
	if err := os.WriteFile(filepath.Join(v2, "cgroup.subtree_control"), []byte("+memory"), 0); err != nil {
		return "", fmt.Errorf("the memory controller of %s cannot be enabled: %w", v2, err)
	}
	directory, err := u.newCgroup(v2)
	if err != nil {
		return "", err
	}
	_ = os.WriteFile(filepath.Join(directory, "memory.swap.max"), []byte("0"), 0)
	return directory, os.WriteFile(filepath.Join(directory, "memory.max"), limit, 0)
}

func cgroupKill(u *undertaker) error {
	v2, _, err := cgroupMounts()
	if err != nil {
		return err
	}
	if v2 == "" {
		return errors.New("no cgroup v2 file system is mounted")
	}
	directory, err := u.newCgroup(v2)
	if err != nil {
		return err
	}
	v, k, err := u.pairFor(directory)
	if err != nil {
		return err
	}
	return u.killedBy(v, k, "write", "1", filepath.Join(directory, "cgroup.kill"))
}

// pairFor starts a victim in that cgroup, and a killer outside it.
func (u *undertaker) pairFor(directory string) (*victim, *killerHandle, error) {
	v, err := u.startReady("in-cgroup", directory, "wait")
	if err != nil {
		return nil, nil, err
	}
	if v.Cgroups, err = readCgroups(v.PID); err != nil {
		return nil, nil, err
	}
	k, err := u.startKiller(0)
	return v, k, err
}

// killedIn kills a victim in a cgroup with a path as container runtimes or systemd create it, in version 2 if that is mounted.
func killedIn(path ...string) func(u *undertaker) error {
	return func(u *undertaker) error {
		v2, v1, err := cgroupMounts()
		if err != nil {
			return err
		}
		directory, err := u.newCgroup(cmp.Or(v2, v1), path...)
		if err != nil {
			return err
		}
		v, k, err := u.pairFor(directory)
		if err != nil {
			return err
		}
		return u.killedBy(v, k, "kill", v.PID, int(unix.SIGKILL))
	}
}
