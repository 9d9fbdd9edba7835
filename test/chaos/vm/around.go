// The environment of whodunit in the machine: the collector, and clients of /status and of the loader's socket.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	collectorAddress = "127.0.0.1:4318"
	healthAddress    = "127.0.0.1:9465"
	answerWithin     = 30 * time.Second // emulation is slow, and slower on a busy machine
	lineBytesMax     = 131_072
	// settle is how long the counters must not change before everything counts as delivered: longer than the pause between two attempts.
	settle = 4 * time.Second
)

// collect is the collector: OTLP/HTTP in JSON. It writes out each request before it accepts it.
func collect() error {
	listener, err := net.Listen("tcp", collectorAddress)
	if err != nil {
		return err
	}
	go http.Serve(listener, http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return // aborted: no answer
		}
		emit("otlp", string(body))
		answer.Header().Set("Content-Type", "application/json")
		io.WriteString(answer, "{}")
	}))
	return nil
}

// serviceStatus is an answer of the health endpoint.
type serviceStatus struct {
	ready   bool
	body    string
	deaths  string // the counters, as JSON
	waiting int    // terminations not delivered yet
}

var client = http.Client{Timeout: answerWithin}

func askService(path string) (serviceStatus, error) {
	answer, err := client.Get("http://" + healthAddress + path)
	if err != nil {
		return serviceStatus{}, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return serviceStatus{}, err
	}
	var status struct {
		Deaths json.RawMessage
	}
	var deaths struct{ Pending int }
	if err := json.Unmarshal(body, &status); err != nil {
		return serviceStatus{}, fmt.Errorf("%s: %w", path, err)
	}
	if status.Deaths != nil {
		if err := json.Unmarshal(status.Deaths, &deaths); err != nil {
			return serviceStatus{}, fmt.Errorf("%s: %w", path, err)
		}
	}
	return serviceStatus{answer.StatusCode == http.StatusOK, string(body), string(status.Deaths), deaths.Pending}, nil
}

// reportSafe watches the positions of the ring: terminations before `written` was read are safe once `acked` has reached it.
func reportSafe() error {
	type mark struct{ before, written uint64 }
	var marks []mark
	for ; ; time.Sleep(poll) {
		now, err := bootNs()
		if err != nil {
			return err
		}
		acked, written, err := ringPositions()
		if err != nil {
			return err
		}
		marks = append(marks, mark{now, written})
		for len(marks) > 0 && marks[0].written <= acked {
			emit("safe", fmt.Sprint(marks[0].before))
			marks = marks[1:]
		}
	}
}

// ringPositions reads the positions from the status line that the loader sends to each new client.
func ringPositions() (acked, written uint64, err error) {
	conn, err := net.DialTimeout("unix", socketPath, answerWithin)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(answerWithin))
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, lineBytesMax)
	for lines.Scan() {
		var line struct {
			Type  string
			Acked uint64 `json:"acked_seq,string"`
			Used  uint64 `json:"ring_used_bytes"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return 0, 0, err
		}
		if line.Type == "status" {
			return line.Acked, line.Acked + line.Used, nil
		}
	}
	return 0, 0, fmt.Errorf("the loader sent no status: %w", lines.Err())
}

func bootNs() (uint64, error) {
	var now unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now)
	return uint64(now.Nano()), err
}

func emitLines(kind string, file *os.File) error {
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		emit(kind, lines.Text())
	}
	return lines.Err()
}
