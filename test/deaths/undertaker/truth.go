// What is printed: the twin of ../truth.ts.
//
// SPDX-License-Identifier: Apache-2.0
package main

import "syscall"

// truth is one case that happened.
type truth struct {
	Case   string  `json:"case"`
	Deaths []death `json:"deaths"`
	// Discarded are deaths of tries that did not become the case: real, and of no interest.
	Discarded []death `json:"discarded"`
}

// death is the end of one process as its parent saw it.
type death struct {
	PID       int      `json:"pid"`
	VPID      int      `json:"vpid"`       // in its own pid namespace
	ParentPID int      `json:"parent_pid"` // 0: it changed while it died
	Comm      string   `json:"comm"`
	Exe       string   `json:"exe"`
	Args      []string `json:"args"`
	UID       int      `json:"uid"`
	Cgroups   []string `json:"cgroups"` // it was in these, and in no other: one for each hierarchy
	// ContainerID is of the container that the undertaker had it started in; empty: in none.
	ContainerID string `json:"container_id"`

	StartUnixNs string `json:"start_unix_ns"` // from /proc/PID/stat: cut to a clock tick
	TickNs      int64  `json:"tick_ns"`
	// The death happened between these two, by the wall clock.
	BeforeUnixNs string `json:"before_unix_ns"`
	AfterUnixNs  string `json:"after_unix_ns"`

	StatusRaw  uint32 `json:"status_raw"`
	ExitCode   *int   `json:"exit_code"` // null: a signal
	Signal     *int   `json:"signal"`    // null: an exit
	CoreDumped bool   `json:"core_dumped"`

	Killer *actor    `json:"killer"` // the process ordered to send the signal; null: none
	OOM    *oomSizes `json:"oom"`    // null: nothing ran out of memory
}

// actor is the process that was let do the killing.
type actor struct {
	PID       int      `json:"pid"`
	Comm      string   `json:"comm"`
	Exe       string   `json:"exe"`
	Args      []string `json:"args"`
	UID       int      `json:"uid"`
	Ancestors []string `json:"ancestors"` // "comm(pid)", nearest first

	ContainerID string `json:"container_id"` // as in death
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
