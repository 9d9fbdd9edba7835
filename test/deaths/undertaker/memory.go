// Cases in which a cgroup runs out of memory.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// outOfMemory lets one process eat all that its cgroup may have.
func outOfMemory(u *undertaker) error {
	directory, err := u.limitedCgroup()
	if err != nil {
		return err
	}
	v, err := u.start("in-cgroup", directory, "eat-memory")
	if err != nil {
		return err
	}
	v.Cgroups = []string{"/" + filepath.Base(directory)}
	return u.buryOOM(v)
}

// buryOOM buries a victim of the out-of-memory killer, with what the kernel printed about it.
func (u *undertaker) buryOOM(v *victim) error {
	if err := awaitZombie(v.PID); err != nil {
		return err
	}
	var err error
	if v.OOM, err = readOomLine(v.PID); err != nil {
		return err
	}
	return u.bury(v, nil)
}

// chosen makes the out-of-memory killer take this process before any other.
const chosen = "1000"

// startScored starts a victim with that score. It is inherited, and nothing else that this process does may have it.
func (u *undertaker) startScored(score string, args ...string) (*victim, error) {
	const own = "/proc/self/oom_score_adj"
	if err := os.WriteFile(own, []byte(score), 0); err != nil {
		return nil, err
	}
	v, err := u.start(args...)
	if back := os.WriteFile(own, []byte("0"), 0); back != nil {
		return nil, back
	}
	return v, err
}

// innocentAllocator: the one that takes the last of the memory is not the one that the kernel chooses. What becomes of it afterwards
// depends on how soon the memory is free.
func innocentAllocator(u *undertaker) error {
	directory, err := u.limitedCgroup()
	if err != nil {
		return err
	}
	v, err := u.startScored(chosen, "in-cgroup", directory, "hold-memory", "20")
	if err != nil {
		return err
	}
	if err := v.awaitReady(); err != nil {
		return err
	}
	v.Cgroups = []string{"/" + filepath.Base(directory)}
	enter, err := u.entering(directory)
	if err != nil {
		return err
	}
	v.markBefore()
	if _, err := u.bare(0, append([]call{enter, take(20 << 20)}, u.waitLong()...)...); err != nil {
		return err
	}
	return u.buryOOM(v)
}

// entering is how a bare life enters a cgroup.
func (u *undertaker) entering(directory string) (call, error) {
	procs, err := unix.Open(filepath.Join(directory, "cgroup.procs"), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return call{}, err
	}
	itself := []byte("0")
	return call{number: unix.SYS_WRITE, args: [6]uintptr{uintptr(procs), u.hold(itself), uintptr(len(itself))}}, nil
}

// enteringLimited makes a cgroup with a memory limit, and the way into it.
func (u *undertaker) enteringLimited() (directory string, enter call, err error) {
	if directory, err = u.limitedCgroup(); err == nil {
		enter, err = u.entering(directory)
	}
	return directory, enter, err
}

// take has the kernel fill in all the pages at once.
func take(bytes uintptr) call {
	const how = unix.MAP_PRIVATE | unix.MAP_ANON | unix.MAP_POPULATE
	return call{number: unix.SYS_MMAP, args: [6]uintptr{0, bytes, unix.PROT_READ | unix.PROT_WRITE, how, ^uintptr(0)}}
}

// sharedMemory: a process that shares the memory of an out-of-memory victim is killed too, and not marked (mm/oom_kill.c).
func sharedMemory(u *undertaker) error {
	directory, enter, err := u.enteringLimited()
	if err != nil {
		return err
	}
	sharer, start, err := u.inOffspring(unix.CLONE_VM|unix.CLONE_PARENT, u.waitLong()...)
	if err != nil {
		return err
	}
	eater, err := u.bare(0, append(append([]call{enter}, start...), append([]call{take(2 * memoryLimitBytes)}, u.waitLong()...)...)...)
	if err != nil {
		return err
	}
	other, err := sharer.victim(u, os.Getpid())
	if err != nil {
		return err
	}
	marked := 0
	for _, v := range []*victim{eater, other} {
		v.Cgroups = []string{"/" + filepath.Base(directory)}
		if err := awaitZombie(v.PID); err != nil {
			return err
		}
		if v.OOM, err = readOomLine(v.PID); err == nil {
			marked++
		}
		if err := u.bury(v, nil); err != nil {
			return err
		}
	}
	if marked != 1 {
		return fmt.Errorf("the kernel chose %d of them", marked)
	}
	return nil
}

// childOutOfMemory: a child is the victim. Its parent, in the same cgroup, later ends by itself, which nothing of that may taint.
func childOutOfMemory(u *undertaker) error {
	if err := inherit(); err != nil {
		return err
	}
	directory, enter, err := u.enteringLimited()
	if err != nil {
		return err
	}
	child, start, err := u.inOffspring(0, append([]call{take(2 * memoryLimitBytes)}, u.waitLong()...)...)
	if err != nil {
		return err
	}
	parent, err := u.bare(0, append(append([]call{enter}, start...), waitForChild(unix.WEXITED), exitGroup(1))...)
	if err != nil {
		return err
	}
	v, err := child.victim(u, parent.PID)
	if err != nil {
		return err
	}
	v.Cgroups = []string{"/" + filepath.Base(directory)}
	parent.Cgroups = v.Cgroups
	if err := u.bury(parent, nil); err != nil {
		return err
	}
	return u.buryOOM(v)
}

// chosenAndKilled is exiting as the victim of the out-of-memory killer, held there by its tracer, when it is sent SIGKILL.
func chosenAndKilled(u *undertaker) error {
	directory, enter, err := u.enteringLimited()
	if err != nil {
		return err
	}
	release, err := u.newChannel()
	if err != nil {
		return err
	}
	life := append([]call{enter, release.listen(u), take(2 * memoryLimitBytes)}, u.waitLong()...)
	t, err := u.startTracedLife(unix.PTRACE_O_TRACEEXIT, life...)
	if err != nil {
		return err
	}
	t.Cgroups = []string{"/" + filepath.Base(directory)}
	t.markBefore()
	if err := release.free(); err != nil {
		return err
	}
	if err := t.tracer.order("await", t.PID, 0); err != nil {
		return err
	}
	if t.OOM, err = readOomLine(t.PID); err != nil {
		return err
	}
	if err := t.killer.order("kill", t.PID, int(unix.SIGKILL)); err != nil {
		return err
	}
	if err := t.tracer.order("continue", t.PID, 0); err != nil {
		return err
	}
	return u.buryTraced(t, nil)
}
