// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/probes"
	"whodunit/loader/internal/record"
	"whodunit/loader/internal/stormtest"
	"whodunit/loader/internal/wire"
)

func TestMain(m *testing.M) { os.Exit(stormtest.Main(m)) }

// releasedLoader returns the path of the loader of release 0.1.0. If it cannot be built, the test is skipped with a message, or fails with CI=true.
func releasedLoader(t *testing.T) string {
	t.Helper()
	command := exec.Command("go", "run", "whodunit/test/released")
	var stderr strings.Builder
	command.Stderr = &stderr
	path, err := command.Output()
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatalf("with CI=true the upgrade from release 0.1.0 must be tested: %v\n%s", err, &stderr)
	case err != nil:
		t.Skipf("SKIPPED, the upgrade from release 0.1.0 is not tested: %v\n%s", err, &stderr)
	}
	return strings.TrimSpace(string(path))
}

// build builds the loader of this source tree.
func build(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "whodunit-loader")
	command := exec.Command("go", "build", "-o", path, ".")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// site has the pin directory and the socket that the loaders of a test use, one after the other.
type site struct{ pins, socket string }

func newSite(t *testing.T) site {
	t.Helper()
	pins := fmt.Sprintf("%s-test-%d", probes.DefaultPinDirectory, time.Now().UnixNano())
	t.Cleanup(func() {
		if _, err := probes.Unload(pins); err != nil {
			t.Error(err)
		}
	})
	return site{pins, filepath.Join(t.TempDir(), "s")}
}

// start starts a loader. The function that it returns sends the signal and waits until the loader has ended.
func (s site) start(t *testing.T, binary string) (end func(syscall.Signal)) {
	t.Helper()
	command := exec.Command(binary, "run", "--pin-dir", s.pins, "--socket", s.socket)
	var log strings.Builder
	command.Stderr = &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { command.Process.Kill() })
	return func(signal syscall.Signal) {
		t.Helper()
		command.Process.Signal(signal)
		if err := command.Wait(); err != nil && signal != syscall.SIGKILL {
			t.Fatalf("%v\n%s", err, &log)
		}
	}
}

// serving waits until a loader serves the socket, and has attached its probes.
func (s site) serving(t *testing.T, binary string) {
	t.Helper()
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = exec.Command(binary, "health", "--socket", s.socket).Run(); err == nil {
			return
		}
	}
	t.Fatal(err)
}

// service is a consumer that connects again whenever a loader has ended, as the real service does.
type service struct {
	site   site
	storm  *stormtest.Storm
	ended  sync.WaitGroup
	ending chan struct{}

	mu       sync.Mutex
	seen     map[uint64]bool // by position in the ring: what was not acknowledged is sent again
	reported stormtest.Reported
	ours     map[uint32]*record.Event // of this process's children, by pid: other processes use a pid again
	status   wire.Status
}

func (s site) serve(storm *stormtest.Storm) *service {
	c := &service{site: s, storm: storm, ending: make(chan struct{}), seen: map[uint64]bool{}, reported: stormtest.Reported{}, ours: map[uint32]*record.Event{}}
	c.ended.Go(func() {
		for {
			select {
			case <-c.ending:
				return
			case <-time.After(10 * time.Millisecond):
				c.consume()
			}
		}
	})
	return c
}

func (c *service) stop() { close(c.ending); c.ended.Wait() }

// consume reads from one loader until it ends.
func (c *service) consume() {
	conn, err := net.Dial("unix", c.site.socket)
	if err != nil {
		return
	}
	defer conn.Close()
	stopped := make(chan struct{})
	defer close(stopped)
	go func() {
		select {
		case <-c.ending:
			conn.Close()
		case <-stopped:
		}
	}()
	fmt.Fprintln(conn, `{"v":1,"type":"ack","seq":"0"}`)
	for lines := bufio.NewReaderSize(conn, wire.LineBytesMax); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		if seq := c.receive(line); seq > 0 && lines.Buffered() == 0 {
			fmt.Fprintf(conn, `{"v":1,"type":"ack","seq":"%d"}`+"\n", seq)
		}
	}
}

// receive records a line. It returns its position in the ring; 0: it has none.
func (c *service) receive(line []byte) (seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var head struct {
		Type string `json:"type"`
		Seq  uint64 `json:"seq,string"`
	}
	if json.Unmarshal(line, &head); head.Type == "status" {
		json.Unmarshal(line, &c.status)
	}
	if head.Type != "death" || c.seen[head.Seq] {
		return head.Seq
	}
	event := &record.Event{}
	if json.Unmarshal(line, event) == nil {
		c.seen[head.Seq] = true
		if event.Process.ParentPid == uint32(os.Getpid()) {
			c.ours[event.Process.Pid] = event
		}
		c.reported.Add(event, c.storm)
	}
	return head.Seq
}

// eventually waits until the condition holds, with c.mu locked.
func (c *service) eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		c.mu.Lock()
		held := holds()
		c.mu.Unlock()
		if held {
			return
		}
	}
	t.Errorf("not within 20 s: %s", what)
}

// startHandler starts a process that handles a SIGTERM, and later exits with 5 when its input is closed.
func startHandler(t *testing.T) (pid uint32, exit func()) {
	t.Helper()
	command := exec.Command("/bin/sh", "-c", "trap 'echo term' TERM; echo ready; while read line; do :; done; cat; exit 5")
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(output)
	expect := func(want string) {
		t.Helper()
		if line, err := lines.ReadString('\n'); err != nil || line != want+"\n" {
			t.Fatalf("%q, %v; want %q", line, err, want)
		}
	}
	expect("ready")
	command.Process.Signal(syscall.SIGTERM)
	expect("term")
	return uint32(command.Process.Pid), func() {
		t.Helper()
		input.Close()
		var status *exec.ExitError
		if err := command.Wait(); !errors.As(err, &status) || status.ExitCode() != 5 {
			t.Fatal(err)
		}
	}
}

// This loader replaces that of release 0.1.0, whose probes have another ABI, during a storm. Every termination must arrive exactly once.
func TestTheLoaderOfRelease010IsReplacedUnderLoad(t *testing.T) {
	privileged(t)
	released, current := releasedLoader(t), build(t)
	const stretch = 500 * time.Millisecond // of the storm, before and after
	for _, test := range []struct {
		name     string
		consumer bool // it is connected all the time; false: only at the end
		kills    int  // of the new loader, while it starts
	}{
		{"while a consumer is connected", true, 0},
		{"while no consumer is connected", false, 0},
		{"while the new loader is killed eight times", true, 8},
	} {
		t.Run(test.name, func(t *testing.T) {
			site := newSite(t)
			end := site.start(t, released)
			site.serving(t, released)
			handler, exit := startHandler(t)
			storm := stormtest.Start(t, 0)
			service := site.serve(storm)
			if !test.consumer {
				service.stop()
			}
			time.Sleep(stretch)
			end(syscall.SIGTERM)
			for range test.kills {
				end = site.start(t, current)
				time.Sleep(rand.N(stretch))
				end(syscall.SIGKILL)
			}
			end = site.start(t, current)
			site.serving(t, current)
			time.Sleep(stretch)
			storm.Stop(t)
			exit()
			if !test.consumer {
				service = site.serve(storm)
			}
			service.eventually(t, "the last termination arrives", func() bool { return service.ours[handler] != nil })
			service.eventually(t, "every counted termination arrives", func() bool { return service.status.Terminations == uint64(len(service.seen)) })
			service.stop()
			end(syscall.SIGTERM)

			terminated, absent, doubled := service.reported.Compare(storm)
			t.Logf("%d terminations: %d absent, %d doubled; status %+v", terminated, absent, doubled, service.status)
			if absent > 0 || doubled > 0 || terminated < 100 || service.status.Lost != (wire.LostCounts{}) {
				t.Errorf("%d terminations: %d absent, %d doubled, lost %+v", terminated, absent, doubled, service.status.Lost)
			}
			if event := service.ours[handler]; event != nil && (event.Request == nil || event.Request.Signo != uint32(syscall.SIGTERM) || event.Request.Sender.Pid != uint32(os.Getpid())) {
				t.Errorf("the SIGTERM before the upgrade does not explain the exit after it: %+v", event.Request)
			}
			pinned, err := os.ReadDir(site.pins)
			if err != nil || len(pinned) != 1 || pinned[0].Name() != fmt.Sprintf("v%d", abi.EventAbiEVENT_ABI) {
				t.Errorf("pinned afterwards: %v, %v", pinned, err)
			}
		})
	}
}
