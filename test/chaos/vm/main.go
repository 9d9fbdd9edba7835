// Command vm is the init of the virtual machine of the chaos tests, for clock jumps, power loss and cgroups of version 2. It runs loader, service and reaper, acts
// as the collector, and writes out what happens. The host checks the result.
//
// The kernel command line selects the mode, mode=…:
//
//	jump   with a collector; the clock jumps during terminations; power off when everything is delivered
//	fill   without a collector; processes terminate, and the machine reports which are safe, until its power is cut
//	drain  with a collector, without terminations; power off when the queue is empty
//	memory with a collector; a cgroup runs out of memory (memory.go); power off when everything is delivered
//
// Each line of the output (a virtio-serial port, so that nothing is in a cache when the power fails) is "@kind text":
//
//	@awake   the output works
//	@death   a line of the ledger
//	@otlp    a request that the collector accepted
//	@safe    the service has acknowledged all terminations before this time (ns of CLOCK_BOOTTIME)
//	@clock   the wall clock was changed by this number of seconds
//	@killed  the pid of the process that our init killed with SIGKILL, before the other terminations
//	@holder  the pid of the process that holds memory while another one is killed for it
//	@before  a line of what `whodunit list` and `whodunit show` print of it after the next boot, before the service starts
//	@after   the same while the service runs
//	@end     finished; the last /status of the service
//	@failed  failed, and why
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"whodunit/test/vminit"
)

const (
	socketPath  = "/run/whodunit.sock"
	ledgerPath  = "/tmp/ledger"
	portPath    = "/dev/vport0p1"
	diskPath    = "/dev/vda"
	killedPath  = "/state/killed"
	statePath   = "/state/whodunit"
	servicePath = "/whodunit/dist/main.js"
	portWithin  = 2 * time.Minute
	readyWithin = 10 * time.Minute
	endWithin   = 10 * time.Minute
	deathsRate  = "25" // a second: emulation is slow
	jumpDeaths  = "400"
	poll        = 100 * time.Millisecond
	afterExec   = 3 * time.Second // killed before, the process would have no name of its own
)

// jumps are the changes of the clock, betweenJumps apart.
var jumps = []time.Duration{time.Hour, -2 * time.Hour, 365 * 24 * time.Hour, -365*24*time.Hour + time.Hour}

const betweenJumps = 3 * time.Second

var (
	port     *os.File
	emitting sync.Mutex
)

// emit writes one line with a single write, so that lines do not mix.
func emit(kind, text string) {
	emitting.Lock()
	defer emitting.Unlock()
	port.WriteString("@" + kind + " " + text + "\n")
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == roleHold {
		fmt.Fprintln(os.Stderr, "vm:", holdMemory(os.Args[2], os.Args[3]))
		os.Exit(1)
	}
	vminit.Run(func() {
		if err := runMode(); err != nil {
			fmt.Fprintln(os.Stderr, "vm:", err)
			if port != nil {
				emit("failed", strings.ReplaceAll(err.Error(), "\n", " | "))
			}
		}
	}, func(err error) { fmt.Fprintln(os.Stderr, "vm:", err) })
}

func runMode() error {
	if err := prepare(); err != nil {
		return err
	}
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	_, mode, _ := strings.Cut(string(line), "mode=")
	mode, _, _ = strings.Cut(strings.TrimSpace(mode), " ")
	if mode != "fill" {
		if err := collect(); err != nil {
			return err
		}
	}
	if err := showKilled("before"); err != nil {
		return err
	}
	if err := startWhodunit(); err != nil {
		return err
	}
	switch mode {
	case "jump":
		return jump()
	case "fill":
		return fill()
	case "drain":
		return drain()
	case "memory":
		return exhaust()
	}
	return fmt.Errorf("unknown mode: %q", mode)
}

// prepare loads the drivers, in the order of their names, opens the port and mounts the disk.
func prepare() error {
	drivers, err := filepath.Glob("/drivers/*.ko")
	if err != nil {
		return err
	}
	for _, path := range drivers {
		driver, err := os.Open(path)
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(driver.Fd()), "", 0)
		driver.Close()
		if err != nil {
			return fmt.Errorf("load %s: %w", path, err)
		}
	}
	if port, err = openWithin(portPath, portWithin); err != nil {
		return err
	}
	emit("awake", "")
	if err := unix.Mount(diskPath, "/state", "ext4", 0, ""); err != nil {
		return fmt.Errorf("mount the disk: %w", err)
	}
	// The loopback interface is down after boot.
	return linkUp("lo")
}

func openWithin(path string, within time.Duration) (*os.File, error) {
	for start := time.Now(); ; time.Sleep(poll) {
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err == nil || time.Since(start) > within {
			return file, err
		}
	}
}

func linkUp(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("bring up %s: %w", name, err)
	}
	return nil
}

// startWhodunit starts loader and service, and waits until the service is ready.
func startWhodunit() error {
	loader := exec.Command("/loader", "run", "--socket", socketPath)
	service := exec.Command("/node", servicePath, "run")
	service.Env = []string{
		"WHODUNIT_SOCKET=" + socketPath, "WHODUNIT_STATE_DIR=" + statePath, "WHODUNIT_HEALTH_ADDR=" + healthAddress, "WHODUNIT_REPORT=all",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + collectorAddress, "OTEL_EXPORTER_OTLP_PROTOCOL=http/json", "OTEL_METRICS_EXPORTER=none",
	}
	for _, program := range []*exec.Cmd{loader, service} {
		program.Stdout, program.Stderr = os.Stderr, os.Stderr
		if err := program.Start(); err != nil {
			return err
		}
	}
	for start := time.Now(); time.Since(start) < readyWithin; time.Sleep(poll) {
		if status, err := askService("/readyz"); err == nil && status.ready {
			return nil
		}
	}
	return fmt.Errorf("the service was not ready after %s", readyWithin)
}

// jump sets the clock during terminations, and returns when everything is delivered.
func jump() error {
	reaper, err := startReaper("--count", jumpDeaths)
	if err != nil {
		return err
	}
	for _, by := range jumps {
		time.Sleep(betweenJumps)
		if err := setClock(by); err != nil {
			return err
		}
		emit("clock", fmt.Sprint(int(by.Seconds())))
	}
	if err := reaper(); err != nil {
		return err
	}
	return drain()
}

func setClock(by time.Duration) error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil {
		return err
	}
	then := unix.NsecToTimespec(now.Nano() + int64(by))
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &then); err != nil {
		return fmt.Errorf("set the clock: %w", err)
	}
	return nil
}

// fill kills a process, starts terminations and reports which are safe, until the host cuts the power.
func fill() error {
	if err := killOne(); err != nil {
		return err
	}
	if _, err := startReaper(); err != nil {
		return err
	}
	return reportSafe()
}

// killOne kills a process, and keeps its pid on the disk for the next boot.
func killOne() error {
	sleeper := exec.Command("/node", "--eval", "setTimeout(() => {}, 1e9)")
	if err := sleeper.Start(); err != nil {
		return err
	}
	time.Sleep(afterExec)
	sleeper.Process.Kill()
	sleeper.Wait()
	pid := fmt.Sprint(sleeper.Process.Pid)
	emit("killed", pid)
	if err := awaitHistory(); err != nil {
		return err
	}
	file, err := os.Create(killedPath)
	if err != nil {
		return err
	}
	_, err = file.WriteString(pid)
	return errors.Join(err, file.Sync(), file.Close())
}

// listKilled names the process that killOne kills.
var listKilled = []string{"list", "--limit", "1", "--executable", "node"}

func whodunit(command []string) ([]byte, error) {
	return exec.Command("/node", append([]string{servicePath, "--state-dir", statePath}, command...)...).CombinedOutput()
}

// awaitHistory waits until the process that was killed is in the history, and that on the disk: a starved service is seconds late, and a loss of
// power costs what the history wrote in its last second.
func awaitHistory() error {
	for start := time.Now(); ; time.Sleep(poll) {
		printed, err := whodunit(listKilled)
		if err == nil {
			unix.Sync()
			return nil
		}
		if time.Since(start) > endWithin {
			return fmt.Errorf("whodunit list: %w: %s", err, printed)
		}
	}
}

// showKilled writes out what the commands print of the process that was killed before the last boot, if there is one.
func showKilled(kind string) error {
	pid, err := os.ReadFile(killedPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, command := range [][]string{listKilled, {"show", string(pid)}} {
		printed, err := whodunit(command)
		for line := range strings.Lines(string(printed)) {
			emit(kind, strings.TrimSuffix(line, "\n"))
		}
		if err != nil {
			return fmt.Errorf("whodunit %s: %w", command[0], err)
		}
	}
	return nil
}

// drain waits until everything is delivered.
func drain() error {
	var last string
	quiet := time.Now()
	for start := time.Now(); time.Since(start) < endWithin; time.Sleep(poll) {
		status, err := askService("/status")
		if err != nil { // busy
			last, quiet = err.Error(), time.Now()
			continue
		}
		if status.deaths != last || status.waiting > 0 {
			last, quiet = status.deaths, time.Now()
		}
		if time.Since(quiet) > settle {
			if err := showKilled("after"); err != nil {
				return err
			}
			emit("end", status.body)
			return nil
		}
	}
	return fmt.Errorf("not everything was delivered after %s: %s", endWithin, last)
}

// startReaper starts the reaper and emits the lines of its ledger. The returned function waits for its exit.
func startReaper(arguments ...string) (wait func() error, _ error) {
	if err := unix.Mkfifo(ledgerPath, 0o600); err != nil {
		return nil, err
	}
	reaper := exec.Command("/reaper", append([]string{"--rate", deathsRate, "--ledger", ledgerPath}, arguments...)...)
	reaper.Stderr = os.Stderr
	if err := reaper.Start(); err != nil {
		return nil, err
	}
	ledger, err := os.Open(ledgerPath)
	if err != nil {
		return nil, err
	}
	copied := make(chan error, 1)
	go func() { copied <- emitLines("death", ledger) }()
	return func() error {
		return errors.Join(<-copied, reaper.Wait())
	}, nil
}
