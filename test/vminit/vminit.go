// Package vminit makes a program the init of a test's virtual machine. Process 1 mounts the file systems, starts the same program again as
// the conductor, reaps orphans until the conductor has exited, and powers the machine off.
//
// SPDX-License-Identifier: Apache-2.0
package vminit

import (
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

const roleConductor = "conductor"

// Run calls conduct in the conductor. In process 1 it calls failed if the conductor cannot be started or waited for. It does not return in
// either process. The program must be /init.
func Run(conduct func(), failed func(error)) {
	if len(os.Args) > 1 && os.Args[1] == roleConductor {
		conduct()
		os.Exit(0)
	}
	if err := initialise(); err != nil {
		failed(err)
	}
	unix.Sync()
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// initialise returns when the conductor has exited.
func initialise() error {
	for _, mount := range []struct{ source, target, kind, options string }{
		{"proc", "/proc", "proc", ""},
		{"sysfs", "/sys", "sysfs", ""},
		{"devtmpfs", "/dev", "devtmpfs", ""},
		{"devpts", "/dev/pts", "devpts", "ptmxmode=0666"},
		{"tmpfs", "/tmp", "tmpfs", ""},
		{"tmpfs", "/run", "tmpfs", ""},
		{"cgroup2", "/sys/fs/cgroup", "cgroup2", ""},
	} {
		if err := os.MkdirAll(mount.target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(mount.source, mount.target, mount.kind, 0, mount.options); err != nil && err != unix.EBUSY {
			return fmt.Errorf("mount %s: %w", mount.target, err)
		}
	}
	os.Setenv("PATH", "/")
	conductor := exec.Command("/init", roleConductor)
	conductor.Stdout, conductor.Stderr = os.Stdout, os.Stderr
	conductor.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := conductor.Start(); err != nil {
		return err
	}
	for {
		pid, err := unix.Wait4(-1, nil, 0, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid == conductor.Process.Pid {
			return err
		}
	}
}
