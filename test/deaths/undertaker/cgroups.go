// Cases with a cgroup of their own: a memory limit that is hit, and cgroup.kill.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	memoryLimitBytes = 32 << 20
	rmdirTries       = 100
	rmdirPause       = 10 * time.Millisecond
)

// mounts of /proc/self/mountinfo: the cgroup v2 tree, and the v1 tree with the memory controller. Empty: none.
func cgroupMounts() (v2, v1Memory string, err error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", "", err
	}
	for line := range strings.Lines(string(text)) {
		mount, filesystem, found := strings.Cut(strings.TrimSpace(line), " - ")
		fields, kind := strings.Fields(mount), strings.Fields(filesystem)
		if !found || len(fields) < 5 || len(kind) < 3 {
			continue
		}
		switch {
		case kind[0] == "cgroup2":
			v2 = fields[4]
		case kind[0] == "cgroup" && strings.Contains(","+kind[2]+",", ",memory,"):
			v1Memory = fields[4]
		}
	}
	return v2, v1Memory, nil
}

// newCgroup makes a cgroup below the mount, and removes it at the end.
func (u *undertaker) newCgroup(mount string) (string, error) {
	directory := filepath.Join(mount, "whodunit-deaths-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(directory, 0o755); err != nil {
		return "", err
	}
	u.atClose = append(u.atClose, func() {
		// The dead leave their cgroup a moment after they were waited for.
		for range rmdirTries {
			if err := syscall.Rmdir(directory); !errors.Is(err, syscall.EBUSY) {
				return
			}
			time.Sleep(rmdirPause)
		}
	})
	return directory, nil
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
		// Swap may be accounted or not; the order matters: memory first, then memory and swap.
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

func outOfMemory(u *undertaker) error {
	directory, err := u.limitedCgroup()
	if err != nil {
		return err
	}
	log, err := openKernelLog()
	if err != nil {
		return err
	}
	defer log.Close()
	v, err := u.start("in-cgroup", directory, "eat-memory")
	if err != nil {
		return err
	}
	v.Cgroups = []string{"/" + filepath.Base(directory)}
	if err := awaitZombie(v.PID); err != nil {
		return err
	}
	if v.OOM, err = findOomLine(log, v.PID); err != nil {
		return err
	}
	return u.bury(v, nil)
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
	v, err := u.startReady("in-cgroup", directory, "wait")
	if err != nil {
		return err
	}
	if v.Cgroups, err = readCgroups(v.PID); err != nil {
		return err
	}
	k, err := u.hire(0)
	if err != nil {
		return err
	}
	v.markBefore()
	if err := k.order("write", "1", filepath.Join(directory, "cgroup.kill")); err != nil {
		return err
	}
	return u.bury(v, &k.actor)
}
