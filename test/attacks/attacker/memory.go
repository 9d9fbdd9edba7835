// Filling what the probes remember about signals.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// hoard starts that many processes that ignore SIGTERM. Each sends it to itself, or gets it from this process. They exit with code 0 at the
// end of standard input. `hoard COUNT self|other`. It prints how many there are.
func hoard(args []string) error {
	var gate [2]int
	if err := unix.Pipe(gate[:]); err != nil {
		return err
	}
	send := call{number: unix.SYS_KILL, args: [6]uintptr{0, uintptr(unix.SIGTERM)}}
	calls := []call{
		ignoring(unix.SIGTERM),
		{number: unix.SYS_CLOSE, args: [6]uintptr{uintptr(gate[1])}},
		{number: unix.SYS_GETPID},
		send,
		{number: unix.SYS_READ, args: [6]uintptr{uintptr(gate[0]), hold(new([1]byte)), 1}},
		{number: unix.SYS_EXIT_GROUP},
	}
	calls[2].into = &calls[3].args[0]
	if args[1] == "other" {
		calls[3].args[1] = 0
	}
	var pids []int
	for range number(args[0]) {
		pid := fork(unix.SIGCHLD, calls)
		if pid < 0 {
			return fmt.Errorf("clone: %w after %d processes", syscall.Errno(-pid), len(pids))
		}
		pids = append(pids, pid)
	}
	for _, pid := range pids {
		for !ignores(pid, unix.SIGTERM) {
			time.Sleep(time.Millisecond)
		}
		if args[1] == "other" {
			if err := unix.Kill(pid, unix.SIGTERM); err != nil {
				return err
			}
		}
	}
	time.Sleep(100 * time.Millisecond) // until the last one has sent it to itself
	fmt.Println(len(pids))
	bufio.NewReader(os.Stdin).ReadString('\n')
	return unix.Close(gate[1])
}

// ignoring makes the process ignore a signal.
func ignoring(signal syscall.Signal) call {
	action := [sigactionBytes]byte{1} // SIG_IGN
	return call{number: unix.SYS_RT_SIGACTION, args: [6]uintptr{uintptr(signal), hold(&action), 0, sigsetBytes}}
}

// ignores reports whether the process ignores the signal.
func ignores(pid int, wanted syscall.Signal) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		fail(err)
	}
	var set uint64
	for _, line := range strings.Split(string(status), "\n") {
		if text, found := strings.CutPrefix(line, "SigIgn:\t"); found {
			set, _ = strconv.ParseUint(text, 16, 64)
		}
	}
	return set>>(wanted-1)&1 != 0
}

// obey handles one SIGTERM, then exits when it reads a line or standard input ends. `obey CODE`.
func obey(args []string) error {
	requests := make(chan os.Signal, 1)
	signal.Notify(requests, unix.SIGTERM)
	fmt.Println("ready")
	<-requests
	fmt.Println("asked")
	bufio.NewReader(os.Stdin).ReadString('\n')
	os.Exit(number(args[0]))
	return nil
}
