// The output of a case: the twin of ../truth.ts.
//
// SPDX-License-Identifier: Apache-2.0
package main

import "syscall"

// truth is the result of one case.
type truth struct {
	Case   string  `json:"case"`
	Deaths []death `json:"deaths"`
	// Discarded are terminations of failed attempts at the case. They are real, but not checked.
	Discarded []death `json:"discarded"`
}

// death is the termination of one process as its parent saw it.
type death struct {
	PID       int      `json:"pid"`
	VPID      int      `json:"vpid"`       // in its own pid namespace
	ParentPID int      `json:"parent_pid"` // 0: it changed during the termination
	Comm      string   `json:"comm"`
	Exe       string   `json:"exe"`
	Args      []string `json:"args"`
	UID       int      `json:"uid"` // effective
	RealUID   int      `json:"real_uid"`
	Cgroups   []string `json:"cgroups"` // one for each hierarchy
	// ContainerID names the container that the undertaker started it in; empty: none.
	ContainerID string `json:"container_id"`

	StartUnixNs string `json:"start_unix_ns"` // from /proc/PID/stat, with the resolution of a clock tick
	TickNs      int64  `json:"tick_ns"`
	// The process terminated between these two times of the wall clock.
	BeforeUnixNs string `json:"before_unix_ns"`
	AfterUnixNs  string `json:"after_unix_ns"`

	StatusRaw  uint32 `json:"status_raw"`
	ExitCode   *int   `json:"exit_code"` // null: terminated by a signal
	Signal     *int   `json:"signal"`    // null: exited
	CoreDumped bool   `json:"core_dumped"`

	Killer *actor    `json:"killer"` // the process ordered to send the signal; null: none
	OOM    *oomSizes `json:"oom"`    // null: no OOM kill
}

// ancestor is a running process, as far as it can be read: of another user's namespace, Exe is "" and Args nil.
type ancestor struct {
	PID  int      `json:"pid"`
	Comm string   `json:"comm"`
	Exe  string   `json:"exe"`
	Args []string `json:"args"`
}

// actor is the process that sent the signal.
type actor struct {
	PID       int        `json:"pid"`
	Comm      string     `json:"comm"`
	Exe       string     `json:"exe"`
	Args      []string   `json:"args"`
	UID       int        `json:"uid"` // effective
	RealUID   int        `json:"real_uid"`
	Ancestors []ancestor `json:"ancestors"` // nearest first

	ContainerID string `json:"container_id"` // as in death
}

func (a *actor) asAncestor() ancestor {
	return ancestor{PID: a.PID, Comm: a.Comm, Exe: a.Exe, Args: a.Args}
}

func (d *death) setStatus(status syscall.WaitStatus) {
	d.StatusRaw = uint32(status)
	if status.Exited() {
		code := status.ExitStatus()
		d.ExitCode = &code
	}
	if status.Signaled() {
		signal := int(status.Signal())
		d.Signal = &signal
		d.CoreDumped = status.CoreDump()
	}
}
