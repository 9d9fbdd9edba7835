// Package vminit makes a program the init of a virtual machine of the tests: process 1 mounts the file systems that Linux needs, starts the
// same program again as its child, reaps orphans until that child exits, and powers the machine off.
//
// SPDX-License-Identifier: Apache-2.0
package vminit

import (
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

const roleChild = "child"

// Run calls run in the child, and failed in process 1 if the child could not be started. It does not return in either.
func Run(run func(), failed func(error)) {
	if len(os.Args) > 1 && os.Args[1] == roleChild {
		run()
		os.Exit(0)
	}
	if err := initialise(); err != nil {
		failed(err)
	}
	unix.Sync()
	// tcdrain(3): up to 4 KiB of the last lines may wait in the console's buffer. Fails where the output is no terminal.
	unix.IoctlSetInt(int(os.Stdout.Fd()), unix.TCSBRK, 1)
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

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
	child := exec.Command("/init", roleChild)
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	child.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := child.Start(); err != nil {
		return err
	}
	for {
		pid, err := unix.Wait4(-1, nil, 0, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid == child.Process.Pid {
			return err
		}
	}
}
