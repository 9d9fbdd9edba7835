// Users whose processes terminate as fast as the machine can, in as many cgroups and under as many user ids as they can have.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// codes are the exit codes of a flood that varies them, so that no two processes in a row end alike.
const codes = 200

// exits forks processes that exit with 1, or with each code in turn if the argument is `varied`, until it is killed.
func exits(args []string) error {
	varied := len(args) > 0 && args[0] == "varied"
	fmt.Println("ready")
	for i := uintptr(0); ; i++ {
		code := uintptr(1)
		if varied {
			code += i % codes
		}
		if err := exitOnce(code); err != nil {
			return err
		}
	}
}

// cgroups is a flood from as many cgroups as the second argument says, which it makes below the first.
func cgroups(args []string) error {
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	places := make([]string, count)
	for i := range places {
		place := filepath.Join(args[0], fmt.Sprintf("docker-%d.scope", i))
		if err := os.Mkdir(place, 0o755); err != nil {
			return err
		}
		places[i] = filepath.Join(place, "cgroup.procs")
	}
	fmt.Println("ready")
	for i := 0; ; i++ {
		// 0: the writer itself. Its children start where it is.
		if err := os.WriteFile(places[i%count], []byte("0"), 0); err != nil {
			return err
		}
		for range 10 {
			if err := exitOnce(uintptr(1 + i%codes)); err != nil {
				return err
			}
		}
	}
}

// subordinates is a flood of processes of many users, whose first id and number are the arguments. In a user namespace, it waits until the
// test has mapped ids.
func subordinates(args []string) error {
	first, firstErr := strconv.Atoi(args[0])
	count, err := strconv.Atoi(args[1])
	if err := errors.Join(firstErr, err); err != nil {
		return err
	}
	fmt.Println("ready")
	for mapped := []byte(nil); len(mapped) == 0; time.Sleep(time.Millisecond) {
		if mapped, err = os.ReadFile("/proc/self/uid_map"); err != nil {
			return err
		}
	}
	for i := 0; ; i++ {
		calls := []call{
			{number: unix.SYS_SETUID, args: [6]uintptr{uintptr(first + i%count)}},
			{number: unix.SYS_EXIT_GROUP, args: [6]uintptr{uintptr(1 + i%codes)}},
		}
		if err := reap(fork(syscall.SIGCHLD, calls)); err != nil {
			return err
		}
	}
}

func exitOnce(code uintptr) error {
	return reap(fork(syscall.SIGCHLD, []call{{number: unix.SYS_EXIT_GROUP, args: [6]uintptr{code}}}))
}

func reap(child int) error {
	if child < 0 {
		return fmt.Errorf("fork: %w", syscall.Errno(-child))
	}
	for {
		if _, err := unix.Wait4(child, nil, 0, nil); err != unix.EINTR {
			return err
		}
	}
}
