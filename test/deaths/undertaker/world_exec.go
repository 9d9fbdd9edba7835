// Processes that `docker exec` starts in a running container.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// executed is a process that `docker exec` started, and the client that waits for it.
type executed struct {
	*victim
	client *exec.Cmd
	input  *os.File
}

// exec starts a program in the container and waits until it is ready.
func (c *container) exec(command ...string) (*executed, error) {
	cmd := c.d.command(append([]string{"exec", "--interactive", c.id}, command...)...)
	orders, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer orders.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdin, cmd.Stderr = orders, os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c.d.u.atClose = append(c.d.u.atClose, func() { _ = ours.Close(); _ = cmd.Process.Kill() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		return nil, fmt.Errorf("docker exec %v is not ready: %q, %w", command, line, err)
	}
	pid, err := c.find(filepath.Base(command[0]))
	if err != nil {
		return nil, err
	}
	v, err := c.d.adopt(pid, c.id)
	return &executed{victim: v, client: cmd, input: ours}, err
}

// find returns the only process of that name in the container, besides process 1.
func (c *container) find(comm string) (int, error) {
	text, err := c.d.call("top", c.id, "-e", "-o", "pid,comm")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 2 && words[1] == comm && words[0] != strconv.Itoa(c.PID) {
			return strconv.Atoi(words[0])
		}
	}
	return 0, fmt.Errorf("no %s in the container:\n%s", comm, text)
}

// reap waits for the client. Its exit code is the status of the process as shells encode it.
func (e *executed) reap(u *undertaker, killer *actor) error {
	err := e.client.Wait()
	var failed *exec.ExitError
	if !errors.As(err, &failed) {
		return fmt.Errorf("docker exec failed: %v", err)
	}
	u.recordStatus(e.victim, statusOfShell(failed.ExitCode()), killer)
	return nil
}
