// SPDX-License-Identifier: Apache-2.0

package calibrate

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// The bits of signal_struct.flags, in include/linux/sched/signal.h.
const (
	signalStopStopped = 1
	signalGroupExit   = 4
	signalUnkillable  = 0x40 // of PID 1
)

// ptraceSeized is task_struct.ptrace of a child that is seized with PTRACE_O_TRACEEXIT (include/linux/ptrace.h): PT_PTRACED, PT_SEIZED, and
// the option shifted by PT_OPT_FLAG_SHIFT.
const ptraceSeized = 0x1 | 0x10000 | unix.PTRACE_O_TRACEEXIT<<3

// recordStates takes the child through the further states of a process: stopped, traced, exiting and zombie.
func (w *watch) recordStates(c *child) error {
	if err := w.sampleStopped(c); err != nil {
		return err
	}
	tracer := newTracer()
	defer tracer.close()
	return errors.Join(w.sampleTraced(c, tracer), w.sampleExiting(c, tracer), w.sampleZombie(c, tracer))
}

func (w *watch) keep(c *child, values map[string]uint64) error {
	sample, err := w.sampleWith(c, values)
	w.recording.Later = append(w.recording.Later, sample)
	return err
}

// sampleWith returns a sample of the first thread in which these values are known.
func (w *watch) sampleWith(c *child, values map[string]uint64) (Sample, error) {
	sample, err := w.sample(c, w.leaders[c.number])
	if err == nil {
		sample.add(c, values)
	}
	return sample, err
}

// add adds what is known of the child's first thread.
func (s *Sample) add(c *child, values map[string]uint64) {
	maps.Copy(s.Values, values)
	if flags, known := values["signal_struct.flags"]; known && flags != signalGroupExit && c.isolated() { // do_group_exit() sets only one.
		s.Values["signal_struct.flags"] |= signalUnkillable
	}
}

func (w *watch) sampleRunning(c *child) (sample Sample, err error) {
	threads, err := c.threadIDs()
	if err != nil {
		return sample, err
	}
	sample, shown, err := w.sampleSettled(c)
	if err != nil {
		return sample, err
	}
	sample.add(c, map[string]uint64{
		"signal_struct.live": uint64(len(threads)), "signal_struct.nr_threads": uint64(len(threads)), "signal_struct.flags": 0, "signal_struct.group_exit_code": 0,
		"signal_struct.shared_pending": shown.status["ShdPnd"], "signal_struct.oom_score_adj": uint64(c.score()), "task_struct.exit_code": 0, "task_struct.seccomp": c.seccomp(), "task_struct.jobctl": 0,
	})
	return sample, nil
}

func (w *watch) sampleStopped(c *child) error {
	if err := unix.Kill(c.pid, unix.SIGSTOP); err != nil {
		return err
	}
	if err := unix.Waitid(unix.P_PID, c.pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil); err != nil {
		return fmt.Errorf("wait for a child that stops: %w", err)
	}
	err := w.keep(c, map[string]uint64{"signal_struct.flags": signalStopStopped, "signal_struct.group_exit_code": uint64(unix.SIGSTOP), "task_struct.jobctl": uint64(unix.SIGSTOP), "task_struct.seccomp": c.seccomp()})
	return errors.Join(err, unix.Kill(c.pid, unix.SIGCONT))
}

// tracer is a thread that traces children: another one than their parent, so that the fields parent and real_parent differ.
type tracer struct{ work chan func() }

func newTracer() tracer {
	started := tracer{make(chan func())}
	go func() {
		runtime.LockOSThread()
		for work := range started.work {
			work()
		}
	}()
	return started
}

func (t tracer) close() { close(t.work) }

func (t tracer) do(act func() error) error {
	result := make(chan error)
	t.work <- func() { result <- act() }
	return <-result
}

func (w *watch) sampleTraced(c *child, t tracer) error {
	err := t.do(func() error { return seize(c.pid) })
	if err != nil {
		return fmt.Errorf("trace a child: %w", err)
	}
	return w.keep(c, map[string]uint64{"task_struct.ptrace": ptraceSeized, "task_struct.seccomp": c.seccomp()})
}

func seize(pid int) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(pid), 0, unix.PTRACE_O_TRACEEXIT, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// sampleExiting lets the first thread exit, and stops it there: all others have ended, and it still counts as alive.
func (w *watch) sampleExiting(c *child, t tracer) error {
	if _, err := c.in.Write([]byte{'\n'}); err != nil {
		return err
	}
	err := t.do(func() error {
		for {
			var status unix.WaitStatus
			if _, err := unix.Wait4(c.pid, &status, unix.WALL, nil); err != nil {
				return fmt.Errorf("wait for a child that exits: %w", err)
			}
			if status.Stopped() && status.TrapCause() == unix.PTRACE_EVENT_EXIT {
				return nil
			}
			if status.Exited() || status.Signaled() {
				return errors.New("a child ended without a stop")
			}
			if err := unix.PtraceCont(c.pid, 0); err != nil {
				return err
			}
		}
	})
	if err != nil {
		return err
	}
	for begin := time.Now(); ; time.Sleep(settlePause) {
		threads, err := c.threadIDs()
		if err != nil {
			return err
		}
		if len(threads) == 1 {
			break
		}
		if time.Since(begin) > settleLongest {
			return fmt.Errorf("child %d still has %d threads", c.number, len(threads))
		}
	}
	return w.keep(c, map[string]uint64{
		"signal_struct.live": 1, "signal_struct.nr_threads": 1, "signal_struct.flags": signalGroupExit, "signal_struct.group_exit_code": uint64(c.exitCode()) << 8,
		"task_struct.exit_code": 0, // as the stop was waited for; before Linux 5.18, ptrace_message keeps the status
	})
}

func (w *watch) sampleZombie(c *child, t tracer) error {
	if err := t.do(func() error { return unix.PtraceCont(c.pid, 0) }); err != nil {
		return fmt.Errorf("let a child exit: %w", err)
	}
	if err := unix.Waitid(unix.P_PID, c.pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		return fmt.Errorf("wait for a child that exited: %w", err)
	}
	dead, _, err := w.sampleSettled(c)
	if err != nil {
		return err
	}
	code := uint64(c.exitCode()) << 8
	dead.Values["task_struct.exit_code"], dead.Values["signal_struct.group_exit_code"] = code, code
	dead.Values["signal_struct.live"], dead.Values["signal_struct.nr_threads"], dead.Values["signal_struct.flags"] = 0, 1, signalGroupExit
	w.recording.Later = append(w.recording.Later, dead)
	return nil
}

// recordNamespaces records pid namespaces: those of the children, and some that were turned off.
func (w *watch) recordNamespaces() error {
	w.search.Pids(w.recording.Running, w.recording.Pointees)
	if _, found := w.search.Offsets["upid.ns"]; !found {
		return nil
	}
	for _, child := range w.children {
		if err := w.keepNamespace(child, w.leaders[child.number], 0); err != nil {
			return err
		}
	}
	for i, end := range ends {
		child, err := startChild(children + i)
		if err != nil {
			return err
		}
		defer child.end()
		if err := unix.Waitid(unix.P_PID, child.pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
			return fmt.Errorf("wait for a pid namespace that is turned off: %w", err)
		}
		task, _, err := w.signal(child.pid, child.pid, 0)
		if err != nil {
			return err
		}
		if err := w.keepNamespace(child, task, end.reboot); err != nil {
			return err
		}
	}
	return nil
}

// keepNamespace records the innermost pid namespace of a task.
func (w *watch) keepNamespace(c *child, task, reboot uint64) error {
	at := w.search.Offsets["pid.numbers"] + w.search.Offsets["upid.ns"]
	if c.isolated() {
		at += upidBytes
	}
	address := task
	var window []byte
	var err error
	for _, next := range []int{w.search.Offsets["task_struct.signal"], w.search.Offsets["signal_struct.pids"] + 8, at} {
		if window, err = w.read(address, w.strideMax); err != nil {
			return err
		}
		address = wordAt(window, next, 8)
	}
	if window, err = w.read(address, windowBytes); err != nil {
		return err
	}
	w.recording.Namespaces = append(w.recording.Namespaces, Sample{
		Child: c.number, Windows: map[string][]byte{"pid_namespace": window[:namespaceBytes]}, Values: map[string]uint64{"pid_namespace.reboot": reboot},
	})
	return nil
}

// namespaceBytes is what is looked at of a pid namespace: the next one may follow.
const namespaceBytes = 256
