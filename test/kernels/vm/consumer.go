// The consumer of the loader: claims the role, prints every line, and acknowledges each termination.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	connectWithin = 2 * time.Minute
	connectPause  = 50 * time.Millisecond
	lineBytesMax  = 131_072
)

// consumed is what was read of terminations.
type consumed struct {
	last   atomic.Int64 // the time of the last one, in nanoseconds since 1970
	stacks sync.Map     // pid → stack
}

// stack is what a line says of one (docs/wire.md). Empty: none was copied.
type stack struct{ State, End string }

// hung is how the stack ends of a process that took so long that it was replaced, or that failed.
const hung = "the process that unwound it failed, or hung"

// isLate reports whether there was not enough time for it.
func (s stack) isLate() bool { return s.State == "timeout" || s.End == "limit" || s.End == hung }

// consume returns after the hello of the loader, and continues in the background.
func (c *consumed) consume() error {
	conn, err := connect()
	if err != nil {
		return err
	}
	if err := acknowledge(conn, "0"); err != nil {
		return err
	}
	greeted := make(chan error, 1)
	go func() { greeted <- c.read(conn, greeted) }()
	c.last.Store(time.Now().UnixNano())
	return <-greeted
}

func connect() (net.Conn, error) {
	for start := time.Now(); ; time.Sleep(connectPause) {
		conn, err := net.Dial("unix", socketPath)
		if err == nil || time.Since(start) > connectWithin {
			return conn, err
		}
	}
}

func acknowledge(conn net.Conn, seq string) error {
	_, err := fmt.Fprintf(conn, `{"v":1,"type":"ack","seq":%q}`+"\n", seq)
	return err
}

func (c *consumed) read(conn net.Conn, greeted chan<- error) error {
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, lineBytesMax)
	for lines.Scan() {
		emit("wire", lines.Bytes())
		var line struct {
			Type, Role, Seq string
			Process         struct{ Pid int }
			Crash           stack
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return err
		}
		switch {
		case line.Type == "hello" && line.Role == "consumer":
			greeted <- nil
		case line.Type == "death":
			c.last.Store(time.Now().UnixNano())
			c.stacks.Store(line.Process.Pid, line.Crash)
			if err := acknowledge(conn, line.Seq); err != nil {
				return err
			}
		}
	}
	return lines.Err()
}
