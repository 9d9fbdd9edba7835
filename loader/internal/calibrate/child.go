// SPDX-License-Identifier: Apache-2.0

package calibrate

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// child is a process with known properties, as its parent sees it.
type child struct {
	properties
	process          *exec.Cmd
	in               *os.File
	pid              int
	startMin, starts uint64 // CLOCK_BOOTTIME before and after its start
}

func startChild(number int) (*child, error) {
	inRead, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer inRead.Close()
	started := &child{properties: properties{number}, in: in}
	started.process = exec.Command("/proc/self/exe", Command, "--number", strconv.Itoa(number))
	started.process.Args[0], started.process.Stdin, started.process.Stderr = os.Args[0], inRead, os.Stderr
	if started.isolated() {
		started.process.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
	}
	out, err := started.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	started.startMin = boottime()
	if err := started.process.Start(); err != nil {
		return nil, fmt.Errorf("start a child: %w", err)
	}
	started.starts, started.pid = boottime(), started.process.Process.Pid
	if number >= children { // It says nothing.
		return started, nil
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return nil, fmt.Errorf("child %d did not start: %q, %w", number, line, err)
	}
	return started, nil
}

// end ends the child, whatever its state.
func (c *child) end() {
	c.in.Close()
	c.process.Process.Kill()
	c.process.Wait()
}

func boottime() uint64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		panic(err) // It fails only for an unknown clock.
	}
	return uint64(now.Nano())
}

// stat returns the fields of proc_pid_stat(5) by their numbers there.
func (c *child) stat() (fields [53]uint64, err error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.pid))
	if err != nil {
		return fields, err
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	for i, word := range strings.Fields(rest) {
		if i+3 < len(fields) {
			fields[i+3], _ = strconv.ParseUint(word, 10, 64)
		}
	}
	return fields, nil
}

// status returns the hexadecimal words of proc_pid_status(5).
func (c *child) status() (words map[string]uint64, err error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.pid))
	if err != nil {
		return nil, err
	}
	words = map[string]uint64{}
	for line := range strings.Lines(string(raw)) {
		name, value, _ := strings.Cut(line, ":")
		words[name], _ = strconv.ParseUint(strings.TrimSpace(value), 16, 64)
	}
	return words, nil
}

// shown is what proc(5) shows of a child at a moment.
type shown struct {
	stat   [53]uint64
	status map[string]uint64
}

func (c *child) shown() (now shown, err error) {
	if now.stat, err = c.stat(); err == nil {
		now.status, err = c.status()
	}
	return now, err
}

// equal compares what changes by itself: the flags, and the pending signals of the thread and of the process.
func (s shown) equal(other shown) bool {
	return s.stat[9] == other.stat[9] && s.status["SigPnd"] == other.status["SigPnd"] && s.status["ShdPnd"] == other.status["ShdPnd"]
}

// threadIDs returns the ids of the threads, the first one's first.
func (c *child) threadIDs() (ids []int, err error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", c.pid))
	for _, entry := range entries {
		if id, err := strconv.Atoi(entry.Name()); err == nil {
			ids = append(ids, id)
		}
	}
	return ids, err
}
