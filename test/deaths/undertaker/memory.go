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

// outOfMemory has one process use up the memory of its cgroup.
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
	return u.reapOOM(v)
}

// reapOOM reaps a victim of the out-of-memory killer, and adds the sizes that the kernel logged.
func (u *undertaker) reapOOM(v *victim) error {
	if err := awaitZombie(v.PID); err != nil {
		return err
	}
	var err error
	if v.OOM, err = readOomLine(v.PID); err != nil {
		return err
	}
	return u.reap(v, nil)
}

// oomScoreMax is the oom_score_adj of the process that the out-of-memory killer chooses first.
const oomScoreMax = "1000"

// startScored starts a victim with that oom_score_adj. The victim inherits it; the undertaker resets its own.
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

// innocentAllocator: the process that uses up the memory is not the one that the kernel kills. Whether it survives depends on how soon
// the memory is freed.
func innocentAllocator(u *undertaker) error {
	directory, err := u.limitedCgroup()
	if err != nil {
		return err
	}
	v, err := u.startScored(oomScoreMax, "in-cgroup", directory, "hold-memory", "20")
	if err != nil {
		return err
	}
	if err := v.awaitReady(); err != nil {
		return err
	}
	v.Cgroups = []string{"/" + filepath.Base(directory)}
	enter, err := u.enterCgroup(directory)
	if err != nil {
		return err
	}
	v.markBefore()
	if _, err := u.bare(0, append([]call{enter, allocate(20 << 20)}, u.waitLong()...)...); err != nil {
		return err
	}
	return u.reapOOM(v)
}

// enterCgroup is a call by which a bare process enters a cgroup.
func (u *undertaker) enterCgroup(directory string) (call, error) {
	procs, err := unix.Open(filepath.Join(directory, "cgroup.procs"), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return call{}, err
	}
	itself := []byte("0")
	return call{number: unix.SYS_WRITE, args: [6]uintptr{uintptr(procs), u.hold(itself), uintptr(len(itself))}}, nil
}

// enterLimitedCgroup makes a cgroup with a memory limit, and the call by which a bare process enters it.
func (u *undertaker) enterLimitedCgroup() (directory string, enter call, err error) {
	if directory, err = u.limitedCgroup(); err == nil {
		enter, err = u.enterCgroup(directory)
	}
	return directory, enter, err
}

// allocate maps memory and has the kernel populate all pages at once.
func allocate(bytes uintptr) call {
	const how = unix.MAP_PRIVATE | unix.MAP_ANON | unix.MAP_POPULATE
	return call{number: unix.SYS_MMAP, args: [6]uintptr{0, bytes, unix.PROT_READ | unix.PROT_WRITE, how, ^uintptr(0)}}
}

// sharedMemory: a process that shares the memory of an out-of-memory victim is killed too, without mark_oom_victim() (mm/oom_kill.c).
func sharedMemory(u *undertaker) error {
	directory, enter, err := u.enterLimitedCgroup()
	if err != nil {
		return err
	}
	sharer, start, err := u.inAnnouncedChild(unix.CLONE_VM|unix.CLONE_PARENT, u.waitLong()...)
	if err != nil {
		return err
	}
	eater, err := u.bare(0, append(append([]call{enter}, start...), append([]call{allocate(2 * memoryLimitBytes)}, u.waitLong()...)...)...)
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
		if err := u.reap(v, nil); err != nil {
			return err
		}
	}
	if marked != 1 {
		return fmt.Errorf("the kernel chose %d of the two processes", marked)
	}
	return nil
}

// childOutOfMemory: a child is the victim. Its parent, in the same cgroup, exits later; its record must not mention the OOM kill.
func childOutOfMemory(u *undertaker) error {
	if err := becomeSubreaper(); err != nil {
		return err
	}
	directory, enter, err := u.enterLimitedCgroup()
	if err != nil {
		return err
	}
	child, start, err := u.inAnnouncedChild(0, append([]call{allocate(2 * memoryLimitBytes)}, u.waitLong()...)...)
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
	if err := u.reap(parent, nil); err != nil {
		return err
	}
	return u.reapOOM(v)
}

// chosenAndKilled sends SIGKILL to an out-of-memory victim that is already exiting. Its tracer stops it there.
func chosenAndKilled(u *undertaker) error {
	directory, enter, err := u.enterLimitedCgroup()
	if err != nil {
		return err
	}
	release, err := u.newChannel()
	if err != nil {
		return err
	}
	life := append([]call{enter, release.receive(u), allocate(2 * memoryLimitBytes)}, u.waitLong()...)
	t, err := u.startTracedWith(unix.PTRACE_O_TRACEEXIT, life...)
	if err != nil {
		return err
	}
	t.Cgroups = []string{"/" + filepath.Base(directory)}
	t.markBefore()
	if err := release.signal(); err != nil {
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
	return u.reapTraced(t, nil)
}
