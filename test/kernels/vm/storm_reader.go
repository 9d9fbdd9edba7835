// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// reader is a consumer that remembers what it read, over all its connections.
type reader struct {
	conn     net.Conn
	mu       sync.Mutex
	statuses map[process]uint32 // of children; a record comes twice if the loader was killed before it was acknowledged
	gaps     []gap
	lost     uint64
	last     time.Time
}

func (r *reader) connect() error {
	r.disconnect()
	conn, err := connect()
	if err == nil {
		err = acknowledge(conn, "0")
	}
	if err != nil {
		return err
	}
	r.conn, r.last = conn, time.Now()
	go r.read(conn)
	return nil
}

func (r *reader) disconnect() {
	if r.conn != nil {
		r.conn.Close()
		r.conn = nil
	}
}

// read ends with the connection.
func (r *reader) read(conn net.Conn) {
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, lineBytesMax)
	for lines.Scan() {
		if err := r.take(conn, lines.Bytes()); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, unix.EPIPE) {
			emitJSON("failed", failure{Error: fmt.Sprintf("read a line of a storm: %v", err)})
		}
	}
}

func (r *reader) take(conn net.Conn, text []byte) error {
	var line struct {
		Type, Seq string
		Process   struct {
			Pid    int
			Parent int    `json:"parent_pid"`
			Start  string `json:"start_boottime_ns"`
		}
		Status uint32            `json:"status_raw"`
		From   uint64            `json:"from_ns,string"`
		Time   uint64            `json:"time_ns,string"`
		Lost   map[string]string `json:"lost"`
	}
	if err := json.Unmarshal(text, &line); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch line.Type {
	case "death":
		if line.Process.Parent == os.Getpid() {
			r.statuses[process{line.Process.Pid, line.Process.Start}] = line.Status
		}
	case "gap":
		r.gaps = append(r.gaps, gap{line.From, line.Time})
	case "status":
		r.lost = 0
		for _, of := range line.Lost {
			var count uint64
			if _, err := fmt.Sscan(of, &count); err != nil {
				return err
			}
			r.lost += count
		}
		return nil
	default:
		return nil
	}
	r.last = time.Now()
	return acknowledge(conn, line.Seq)
}

// settle waits until no more records come. The status, which says what is lost, comes within a second after the last one.
func (r *reader) settle() {
	for ; ; time.Sleep(settle / 10) {
		r.mu.Lock()
		isSettled := time.Since(r.last) > 2*settle
		r.mu.Unlock()
		if isSettled {
			return
		}
	}
}

// compare emits what became of the terminations. lost: what was counted before them.
func (r *reader) compare(name string, all []ended, lost uint64) {
	r.settle()
	r.mu.Lock()
	defer r.mu.Unlock()
	result := storm{Name: name, Happened: len(all), Gaps: len(r.gaps), Lost: r.lost - lost}
	reported := map[outcome]int{}
	for known, status := range r.statuses {
		reported[outcome{known.pid, status}]++
	}
	for _, one := range all {
		of := outcome{one.pid, one.status}
		switch {
		case reported[of] > 0:
			result.Reported++
			reported[of]--
		default:
			result.Absent++
			if r.isInGap(one) {
				result.InGap++
			}
		}
	}
	for _, unexplained := range reported {
		result.Wrong += unexplained
	}
	clear(r.statuses)
	r.gaps = nil
	emitJSON("storm", result)
}

func (r *reader) isInGap(one ended) bool {
	for _, gap := range r.gaps {
		if one.from <= gap.to && one.to >= gap.from {
			return true
		}
	}
	return false
}
