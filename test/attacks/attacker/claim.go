// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// claimExit is how the processes of claim end.
const claimExit = 3

var padding = strings.Repeat("x", 1000)

// claim runs processes one after the other, each of which claims a name of a service and exits with code 3. `claim COUNT NAME MARK
// [DIRECTORY]`: a # in NAME stands for the number of the process, MARK is among its arguments. With DIRECTORY, each has a cgroup of its own
// below it, and as long a record as a process can cause. In a user namespace it waits until users are mapped; each process is then another
// one.
func claim(args []string) error {
	count, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	fmt.Println("ready")
	users, err := mappedUsers()
	if err != nil {
		return err
	}
	for number := range count {
		if err := claimOnce(number, users, args[1:]); err != nil {
			return fmt.Errorf("process %d: %w", number, err)
		}
	}
	return nil
}

func claimOnce(number int, users uint32, args []string) error {
	text := strconv.Itoa(number)
	child := exec.Command("sh", "-c", fmt.Sprintf("exit %d", claimExit), args[1])
	child.Env = []string{"OTEL_SERVICE_NAME=" + strings.ReplaceAll(args[0], "#", text)}
	child.SysProcAttr = &syscall.SysProcAttr{}
	if users > 1 {
		child.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(number) % users, NoSetGroups: true}
	}
	if len(args) > 2 {
		for range 12 {
			child.Args = append(child.Args, padding[:256])
		}
		child.Env = append(child.Env, fmt.Sprintf("OTEL_RESOURCE_ATTRIBUTES=a=%[1]s,b=%[1]s,c=%[1]s", padding))
		path := filepath.Join(args[2], "claim-"+text)
		if err := os.Mkdir(path, 0o755); err != nil {
			return err
		}
		directory, err := os.Open(path)
		if err != nil {
			return err
		}
		defer os.Remove(path)
		defer directory.Close()
		child.SysProcAttr.UseCgroupFD, child.SysProcAttr.CgroupFD = true, int(directory.Fd())
	}
	if err := child.Run(); child.ProcessState == nil || child.ProcessState.ExitCode() != claimExit {
		return err
	}
	return nil
}

// mappedUsers returns how many users the user namespace maps; 1: it is the initial one.
func mappedUsers() (uint32, error) {
	for range 6000 {
		text, err := os.ReadFile("/proc/self/uid_map")
		if err != nil {
			return 0, err
		}
		if fields := strings.Fields(string(text)); len(fields) == 3 {
			users, err := strconv.ParseUint(fields[2], 10, 32)
			if err != nil || users == 1<<32-1 {
				return 1, err
			}
			return uint32(users), nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return 0, fmt.Errorf("no users were mapped")
}
