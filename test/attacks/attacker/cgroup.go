// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// enterCgroup makes the cgroup of its first argument, moves this process into it, and exits with code 3. A second argument is a pid: it
// sends SIGKILL to that process instead, and waits.
func enterCgroup(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("cgroup takes a directory")
	}
	if err := os.MkdirAll(args[0], 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(args[0], "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
		return err
	}
	if len(args) == 1 {
		os.Exit(3)
	}
	pid, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	victim, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	if err := victim.Kill(); err != nil {
		return err
	}
	return wait(nil)
}
