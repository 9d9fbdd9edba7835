// Lets the programs of crashes.json crash, and prints which processes did.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

const (
	// attemptsMax: on a busy machine, emulation may take longer to unwind a stack than a record waits for it, or than the unwinder takes for one.
	// Such a crash happens again, up to so often in succession.
	attemptsMax = 10
	linePause   = 20 * time.Millisecond
	// firstUser of the programs, and usersEach of one: each crash happens as another user, as the loader gives equal crashes of a user one stack.
	firstUser = 10_000
	usersEach = 100_000
)

type crashing struct {
	ID          string   `json:"id"`
	Command     []string `json:"command"`
	Environment []string `json:"environment"`
}

type crashed struct {
	ID   string `json:"id"`
	Pids []int  `json:"pids"`
	Late int    `json:"late"` // crashes that happened again
}

// readCrashes returns how often each program crashes, and the programs.
func readCrashes() (times int, crashes []crashing, _ error) {
	text, err := os.ReadFile("/crashes.json")
	if err != nil {
		return 0, nil, err
	}
	var list struct {
		Times   int        `json:"times"`
		Crashes []crashing `json:"crashes"`
	}
	err = json.Unmarshal(text, &list)
	return list.Times, list.Crashes, err
}

// run lets the program crash so often that it has this many stacks, as this user and those after it.
func (c *crashing) run(lines *consumed, times int, user uint32) {
	result := crashed{ID: c.ID}
	for attempt := 1; len(result.Pids) < times; attempt++ {
		user++
		pid, stack, err := c.crash(user, lines)
		if err == nil && stack.isLate() && attempt < attemptsMax {
			result.Late++
			continue
		}
		if err != nil {
			emitJSON("failed", failure{c.ID, err.Error()})
			break
		}
		attempt = 0
		result.Pids = append(result.Pids, pid)
	}
	emitJSON("crashed", result)
}

// crash runs the program until it crashes, and returns what its line says of the stack.
func (c *crashing) crash(user uint32, lines *consumed) (pid int, _ stack, err error) {
	program := exec.Command(c.Command[0], c.Command[1:]...)
	program.Env = slices.Concat(os.Environ(), c.Environment)
	program.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	var exited *exec.ExitError
	if err := program.Run(); !errors.As(err, &exited) || !exited.Sys().(syscall.WaitStatus).Signaled() {
		return 0, stack{}, fmt.Errorf("%v did not crash: %v", c.Command, err)
	}
	pid = program.Process.Pid
	for begin := time.Now(); time.Since(begin) < caseLongest; time.Sleep(linePause) {
		if found, ok := lines.stacks.Load(pid); ok {
			return pid, found.(stack), nil
		}
	}
	return pid, stack{}, fmt.Errorf("%v (pid %d) has no line", c.Command, pid)
}
