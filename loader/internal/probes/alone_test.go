// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"whodunit/loader/internal/abi"
)

// alone is the cgroup that this process is in, with all that it starts: of the hierarchy of version 1 for pids, as tests move processes within
// that of version 2.
var alone cgroupAlone

type cgroupAlone struct{ top, directory string }

// enter returns the scope of the cgroup, and the whole host where there is no such hierarchy.
func (c *cgroupAlone) enter() (Scope, error) {
	mounts, err := cgroupMounts()
	at := slices.IndexFunc(mounts, func(mount cgroupMount) bool { return mount.hierarchy == abi.CgroupHierarchyHIERARCHY_PIDS })
	if err != nil || at < 0 {
		return Scope{}, err
	}
	c.top, c.directory = mounts[at].path, filepath.Join(mounts[at].path, fmt.Sprintf("whodunit-test-%d", os.Getpid()))
	if err := os.Mkdir(c.directory, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return Scope{}, err
	}
	scope, err := FindScope("/" + filepath.Base(c.directory))
	return scope, errors.Join(err, moveTo(c.directory))
}

// leave removes the cgroup.
func (c *cgroupAlone) leave() error {
	if c.directory == "" {
		return nil
	}
	err := moveTo(c.top)
	for end := time.Now().Add(10 * time.Second); os.Remove(c.directory) != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return errors.Join(err, fmt.Errorf("processes remain in %s", c.directory))
		}
	}
	return err
}

// moveTo moves this process to the cgroup.
func moveTo(directory string) error {
	return os.WriteFile(filepath.Join(directory, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0)
}
