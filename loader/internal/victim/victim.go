// SPDX-License-Identifier: Apache-2.0

// Package victim has processes that terminate in known ways. The loader compares what the probes record of them with what wait4(2) returns,
// where the types that the probes are relocated by may be wrong (probes.Types.Verify).
package victim

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/host"
)

// Command is the command of this program that becomes a victim.
const Command = "victim"

// Way is how a victim terminates.
type Way string

// The ways. Where the status is depends on them: a thread's, the first thread's, the group's.
const (
	Exits      Way = "exit"        // exit_group(2)
	LastThread Way = "last-thread" // the first thread ended by exit(2); the last one calls exit_group(2)
	Killed     Way = "killed"      // SIGKILL by the loader
)

// Ways returns all ways.
func Ways() []Way { return []Way{Exits, LastThread, Killed} }

const (
	exitCode   = 3
	firstCode  = 9 // of the first thread
	lastCode   = 7
	firstPause = time.Millisecond
	// firstLongest is how long the first thread may take to end.
	firstLongest = 10 * time.Second
	nameBytesMax = 15
)

// init keeps the main goroutine of a victim on the first thread of the process, which ends before the others.
func init() {
	if len(os.Args) > 1 && os.Args[1] == Command {
		runtime.LockOSThread()
	}
}

// Terminated is what is known of a victim.
type Terminated struct {
	Way              Way
	Name             string // its comm, which no other process has
	Pid              int
	Status           syscall.WaitStatus
	StartMin, EndMax uint64 // CLOCK_BOOTTIME, before it began and after it ended
}

// Terminate starts a victim and returns when it has terminated. name is for its comm: at most 15 bytes.
func Terminate(way Way, name string) (Terminated, error) {
	victim := Terminated{Way: way, Name: name, StartMin: host.BoottimeNs()}
	status, err := victim.run()
	if err != nil {
		return victim, fmt.Errorf("let a process terminate (%s): %w", way, err)
	}
	victim.Status, victim.EndMax = status, host.BoottimeNs()
	return victim, nil
}

func (victim *Terminated) run() (syscall.WaitStatus, error) {
	process := exec.Command("/proc/self/exe", Command, "--way", string(victim.Way), "--name", victim.Name)
	process.Args[0], process.Stderr, process.Env = os.Args[0], os.Stderr, []string{}
	input, err := process.StdinPipe()
	if err != nil {
		return 0, err
	}
	output, err := process.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := process.Start(); err != nil {
		return 0, err
	}
	defer input.Close()
	victim.Pid = process.Process.Pid
	_, unread := io.ReadFull(output, make([]byte, 1)) // It has its name.
	var killed error
	if unread == nil && victim.Way == Killed {
		killed = process.Process.Kill()
	}
	var exit *exec.ExitError
	if err := process.Wait(); err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	return process.ProcessState.Sys().(syscall.WaitStatus), errors.Join(unread, killed)
}

// Run makes this process a victim. It returns only if it fails, or if the loader ended before it killed the victim.
func Run(way Way, name string) error {
	if len(name) > nameBytesMax {
		return fmt.Errorf("the name %q has %d bytes; the limit is %d", name, len(name), nameBytesMax)
	}
	if err := os.WriteFile("/proc/self/comm", []byte(name), 0); err != nil {
		return err
	}
	if _, err := os.Stdout.Write([]byte{'\n'}); err != nil {
		return err
	}
	switch way {
	case Exits:
		os.Exit(exitCode)
	case LastThread:
		return exitByLastThread()
	case Killed:
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	}
	return fmt.Errorf("unknown way %q", way)
}

func exitByLastThread() error {
	go func() {
		for begin := time.Now(); !firstThreadEnded() && time.Since(begin) < firstLongest; time.Sleep(firstPause) {
		}
		os.Exit(lastCode)
	}()
	_, _, errno := unix.Syscall(unix.SYS_EXIT, firstCode, 0, 0) // Raw, the thread would keep what goroutines run on: all of it, with one processor.
	return errno
}

// firstThreadEnded reports whether the first thread is a zombie (proc_pid_stat(5)).
func firstThreadEnded() bool {
	stat, err := os.ReadFile("/proc/self/stat")
	return err == nil && strings.Contains(string(stat), ") Z ")
}
