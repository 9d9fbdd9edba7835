// A real systemd as process 1 of new namespaces. It stops, kills and watches its services as on a whole machine.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	roleSystemd = "systemd" // process 1 of its namespaces

	systemdUnit    = "victim.service"
	serviceOutput  = "/run/victim.out"
	serviceEnd     = "/run/victim.end"
	emptyTarget    = "/run/systemd/system/empty.target" // boots nothing
	cgroupRoot     = "/sys/fs/cgroup"
	systemdProgram = "/lib/systemd/systemd"
)

type systemd struct {
	u *undertaker
	*victim
}

// keepSystemd starts a systemd, prints its pid, and kills it with its services at the end of standard input.
func keepSystemd() error {
	u, err := newUndertaker()
	if err != nil {
		return err
	}
	defer u.close()
	s, err := u.startSystemd()
	if err != nil {
		return err
	}
	if _, err := fmt.Println(s.PID); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// startSystemd gives systemd its own cgroup in each hierarchy, so that nothing is left behind on the machine.
func (u *undertaker) startSystemd() (*systemd, error) {
	hierarchies, err := cgroupHierarchies()
	if err != nil {
		return nil, err
	}
	args := []string{u.self, roleSystemd}
	for _, h := range hierarchies {
		if strings.Contains(h.controllers, "cpuset") {
			continue // systemd does not use cpuset, and a new cpuset of version 1 has no processors
		}
		directory, err := u.newCgroup(h.mount)
		if err != nil {
			return nil, err
		}
		u.atClose = append(u.atClose, func() { removeBelow(directory) })
		args = append(args, directory)
	}
	const namespaces = unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWNET
	v, err := u.launch(launch{exe: u.self, args: args, attr: &syscall.SysProcAttr{Cloneflags: namespaces}})
	if err != nil {
		return nil, err
	}
	s := &systemd{u: u, victim: v}
	return s, awaitTrue("systemd answers", func() error {
		_, err := s.call("systemctl", "show", "--property=Version")
		return err
	})
}

// removeBelow removes the cgroups below one whose processes were killed. newCgroup removes the directory itself.
func removeBelow(directory string) {
	entries, _ := os.ReadDir(directory) // if it does not exist, there is nothing to remove
	for _, entry := range entries {
		if entry.IsDir() {
			below := filepath.Join(directory, entry.Name())
			removeBelow(below)
			removeCgroup(below)
		}
	}
}

// becomeSystemd enters the cgroups, makes them the roots of its cgroup namespace, and executes systemd. Like with systemd-nspawn, the root
// file system, /proc/sys and /sys are read-only.
func becomeSystemd(cgroups []string) error {
	runtime.LockOSThread() // unshare(2) affects only this thread until it executes
	for _, directory := range cgroups {
		if err := os.WriteFile(filepath.Join(directory, "cgroup.procs"), []byte("0"), 0); err != nil {
			return err
		}
	}
	hierarchies, err := cgroupHierarchies()
	if err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return err
	}
	if err := mountCgroups(hierarchies); err != nil {
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(emptyTarget), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(emptyTarget, []byte("[Unit]\nDefaultDependencies=no\n"), 0o644); err != nil {
		return err
	}
	if err := unix.Mount("/proc/sys", "/proc/sys", "", unix.MS_BIND, ""); err != nil {
		return err
	}
	for _, path := range []string{"/", "/sys", "/proc/sys"} {
		if err := unix.Mount("", path, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
			return fmt.Errorf("make %s read-only: %w", path, err)
		}
	}
	args := []string{systemdProgram, "--system", "--unit=" + filepath.Base(emptyTarget), "--log-target=null", "--show-status=no"}
	return unix.Exec(systemdProgram, args, append(os.Environ(), "container=whodunit-deaths"))
}

// mountCgroups mounts the hierarchies again in their places. Their roots are now the cgroups of this process.
func mountCgroups(hierarchies []hierarchy) error {
	if hierarchies[0].mount != cgroupRoot {
		if err := unix.Mount("tmpfs", cgroupRoot, "tmpfs", 0, "mode=755"); err != nil {
			return err
		}
	}
	for _, h := range hierarchies {
		if err := os.MkdirAll(h.mount, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("cgroup", h.mount, h.kind, 0, h.controllers); err != nil {
			return fmt.Errorf("mount the cgroups of %q: %w", h.controllers, err)
		}
	}
	return nil
}

// call runs a program in the namespaces of systemd.
func (s *systemd) call(command ...string) (string, error) {
	args := append([]string{"--target", strconv.Itoa(s.PID), "--pid", "--mount", "--cgroup", "--"}, command...)
	return output(exec.Command("nsenter", args...))
}

// service starts a transient service with systemd-run, and waits until it is ready.
func (s *systemd) service(properties []string, command ...string) (*victim, error) {
	args := []string{"systemd-run", "--quiet", "--unit=" + systemdUnit, "--property=DefaultDependencies=no",
		"--property=Type=exec", "--property=StandardOutput=file:" + serviceOutput,
		"--property=ExecStopPost=/bin/sh -c 'echo $EXIT_CODE $EXIT_STATUS > " + serviceEnd + "'"}
	for _, property := range properties {
		args = append(args, "--property="+property)
	}
	if _, err := s.call(append(args, command...)...); err != nil {
		return nil, err
	}
	err := awaitTrue("the service is ready", func() error {
		said, err := os.ReadFile(s.inside(serviceOutput))
		if err == nil && string(said) != "ready\n" {
			err = fmt.Errorf("it printed %q", said)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	text, err := s.call("systemctl", "show", "--value", "--property=MainPID", systemdUnit)
	if err != nil {
		return nil, err
	}
	vpid, err := strconv.Atoi(text)
	if err != nil {
		return nil, err
	}
	pid, err := hostPID(s.PID, vpid)
	if err != nil {
		return nil, err
	}
	return adopt(pid)
}

// reap waits for the output of ExecStopPost=: EXIT_CODE and EXIT_STATUS are the result of waitid(2) in systemd, as text.
func (s *systemd) reap(v *victim, killer *actor) error {
	var how, what string
	err := awaitTrue("the service has ended", func() error {
		text, err := os.ReadFile(s.inside(serviceEnd))
		if err == nil {
			_, err = fmt.Sscanln(string(text), &how, &what)
		}
		return err
	})
	if err != nil {
		return err
	}
	var status syscall.WaitStatus
	switch how {
	case "exited":
		code, err := strconv.Atoi(what)
		if err != nil {
			return err
		}
		status = syscall.WaitStatus(code << 8)
	case "killed":
		status = syscall.WaitStatus(unix.SignalNum("SIG" + what))
	default:
		return fmt.Errorf("EXIT_CODE %q, EXIT_STATUS %q", how, what)
	}
	s.u.recordStatus(v, status, killer)
	return nil
}

// inside returns the path outside of a file that systemd sees.
func (s *systemd) inside(path string) string { return fmt.Sprintf("/proc/%d/root%s", s.PID, path) }

// serviceEnds starts a service that systemd terminates: on the command, or by itself without a command.
func serviceEnds(by []string, properties []string, way ...string) func(u *undertaker) error {
	return func(u *undertaker) error {
		s, v, who, err := u.startService(properties, way...)
		if err != nil {
			return err
		}
		if len(by) > 0 {
			if _, err := s.call(append(by, systemdUnit)...); err != nil {
				return err
			}
		}
		return s.reap(v, who)
	}
}

// serviceOutOfMemory has a service reach MemoryMax.
func serviceOutOfMemory(u *undertaker) error {
	s, err := u.startSystemd()
	if err != nil {
		return err
	}
	fifo := filepath.Join(u.workDir, "go")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		return err
	}
	limits := []string{fmt.Sprintf("MemoryMax=%d", memoryLimitBytes), "MemorySwapMax=0"}
	v, err := s.service(limits, afterOrder(fifo, "exec "+u.mortal+" eat-memory")...)
	if err != nil {
		return err
	}
	v.markBefore()
	if err := os.WriteFile(fifo, []byte("\n"), 0); err != nil {
		return err
	}
	v.Exe, v.Args = u.mortal, []string{u.mortal, "eat-memory"}
	if err := s.reap(v, nil); err != nil {
		return err
	}
	u.deaths[0].OOM, err = readOomLine(v.PID)
	return err
}
