// The consumer of the loader: claims the role, prints every line, and acknowledges each termination.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

const (
	connectWithin = 2 * time.Minute
	connectPause  = 50 * time.Millisecond
	lineBytesMax  = 131_072
)

// consume returns after the hello of the loader, and continues in the background. lastLine is the time of the last termination, in
// nanoseconds since 1970.
func consume(lastLine *atomic.Int64) error {
	conn, err := connect()
	if err != nil {
		return err
	}
	if err := acknowledge(conn, "0"); err != nil {
		return err
	}
	greeted := make(chan error, 1)
	go func() { greeted <- read(conn, lastLine, greeted) }()
	lastLine.Store(time.Now().UnixNano())
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

func read(conn net.Conn, lastLine *atomic.Int64, greeted chan<- error) error {
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, lineBytesMax)
	for lines.Scan() {
		emit("wire", lines.Bytes())
		var line struct {
			Type, Role, Seq string
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return err
		}
		switch {
		case line.Type == "hello" && line.Role == "consumer":
			greeted <- nil
		case line.Type == "death":
			lastLine.Store(time.Now().UnixNano())
			if err := acknowledge(conn, line.Seq); err != nil {
				return err
			}
		}
	}
	return lines.Err()
}
