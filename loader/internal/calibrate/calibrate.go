// SPDX-License-Identifier: Apache-2.0

// Package calibrate finds where the fields of a task lie on a kernel that does not describe its types (BTF): it starts children with known
// properties and looks for these in the kernel's memory. A field with more than one place is not found. infer.go and synthetic.go
// are pure; properties.go (a child), child.go, peek.go and this file have the effects.
package calibrate

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	children = 4
	// taskBytesMax is how much of a task is looked at: less, if the next one begins before.
	taskBytesMax = 4 * 4096
	// signalBytesMax: a process's structure of signals has about 1,200 bytes, and another process's may follow.
	signalBytesMax = 1024 + 512
	settlePause    = time.Millisecond
	settleLongest  = 20 * time.Second
)

// minimum is what no verdict can do without.
func minimum() []string {
	return []string{
		"task_struct.flags", "task_struct.ptrace", "task_struct.exit_code", "task_struct.pid", "task_struct.tgid", "task_struct.comm", "task_struct.start_boottime",
		"task_struct.real_parent", "task_struct.group_leader", "task_struct.signal", "task_struct.sighand", "task_struct.cred", "task_struct.mm",
		"task_struct.blocked", "task_struct.pending", "signal_struct.live", "signal_struct.group_exit_code", "signal_struct.flags", "signal_struct.shared_pending",
		"signal_struct.pids", "pid.level", "pid_namespace.reboot",
	}
}

// attemptsMax: on a busy machine, a child may not get into a state in time, or something changes while it is recorded.
const attemptsMax = 4

// Find starts the children and returns what was found. It fails if something of the minimum was not.
func Find() (*Search, error) { return find(record) }

// find records again after a failure, and while something is missing: what is missing twice in a row cannot be found on this kernel.
func find(record func() (Recording, error)) (found *Search, err error) {
	var missing []string
	for range attemptsMax {
		recording, failed := record()
		if err = failed; err != nil {
			continue
		}
		before := missing
		found = Infer(recording)
		if missing = found.Missing(); len(missing) == 0 || slices.Equal(missing, before) {
			break
		}
	}
	if found == nil {
		return nil, fmt.Errorf("find the fields of a task: %w", err)
	}
	return found, found.lacks()
}

// lacks returns an error that names what of the minimum was not found.
func (s *Search) lacks() error {
	missing := slices.DeleteFunc(minimum(), func(name string) bool { _, found := s.Offsets[name]; return found })
	if len(missing) == 0 {
		return nil
	}
	for i, name := range missing {
		missing[i] = fmt.Sprintf("%s (%d places)", name, len(s.Places[name]))
	}
	return fmt.Errorf("these fields of the kernel were not found: %s", strings.Join(missing, ", "))
}

// record starts the children, and ends them when everything is recorded.
func record() (Recording, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p, err := newPeeker()
	if err != nil {
		return Recording{}, err
	}
	w := &watch{peeker: p, search: newSearch(), recording: Recording{Pointees: Pointees{}}, leaders: map[int]uint64{}, strideMax: taskBytesMax}
	if w.directories, err = makeDirectories(); err != nil {
		return Recording{}, errors.Join(fmt.Errorf("make cgroups: %w", err), p.close())
	}
	err = errors.Join(w.run(), p.close())
	for _, child := range w.children {
		child.end()
	}
	return w.recording, errors.Join(err, w.directories.remove())
}

// watch is the state of one calibration.
type watch struct {
	*peeker
	search      *Search // what is known meanwhile
	children    []*child
	directories directories    // nil: cgroups are not looked for
	leaders     map[int]uint64 // the task of a child's first thread
	own         uint64
	strideMax   int
	recording   Recording
}

func (w *watch) run() (err error) {
	if w.own, _, err = w.signal(os.Getpid(), w.tid, 0); err != nil {
		return err
	}
	for number := range children {
		child, err := startChild(number)
		if err != nil {
			return err
		}
		w.children = append(w.children, child)
		if err := w.directories.add(child); err != nil {
			return err
		}
	}
	if w.recording.Hierarchies, err = w.directories.known(); err != nil {
		return err
	}
	last, err := w.findTasks()
	if err != nil {
		return err
	}
	if err := w.recordAlive(last); err != nil {
		return err
	}
	if w.search.Pointers(w.recording); w.search.Offsets["task_struct.signal"] == 0 {
		return fmt.Errorf("task_struct.signal has %d places", len(w.search.Places["task_struct.signal"]))
	}
	if err := w.recordRunning(); err != nil {
		return err
	}
	if err := errors.Join(w.recordCgroups(), w.recordNamespaces()); err != nil {
		return err
	}
	for _, child := range w.children {
		if err := w.recordStates(child); err != nil {
			return err
		}
	}
	w.recording.GroupDead = w.hasSecondArgument("sched_process_exit")
	return nil
}

// recordAlive records the children before anything is known.
func (w *watch) recordAlive(last map[int][2]uint64) error {
	for _, child := range w.children {
		if err := w.setPending(child); err != nil {
			return err
		}
	}
	for _, child := range w.children {
		first, other, err := w.sampleAlive(child, last[child.number])
		if err != nil {
			return err
		}
		w.recording.First, w.recording.Other = append(w.recording.First, first), append(w.recording.Other, other)
	}
	return w.readPointees(w.recording.First, "task_struct")
}

// recordRunning records the children when the structure of signals is known.
func (w *watch) recordRunning() error {
	for _, child := range w.children {
		sample, err := w.sampleRunning(child)
		if err != nil {
			return err
		}
		w.recording.Running = append(w.recording.Running, sample)
	}
	return w.readPointees(w.recording.Running, "signal_struct")
}

// findTasks finds the tasks of all threads, and how far they are apart. last has the task of a further thread of each child.
func (w *watch) findTasks() (last map[int][2]uint64, _ error) {
	addresses := []uint64{w.own}
	last = map[int][2]uint64{}
	for _, child := range w.children {
		ids, err := child.threadIDs()
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			task, _, err := w.signal(child.pid, id, 0)
			if err != nil {
				return nil, err
			}
			addresses = append(addresses, task)
			if id == child.pid {
				w.leaders[child.number] = task
			} else {
				last[child.number] = [2]uint64{uint64(id), task}
			}
		}
	}
	slices.Sort(addresses)
	for i := 1; i < len(addresses); i++ {
		if apart := addresses[i] - addresses[i-1]; apart > 0 && apart < uint64(w.strideMax) {
			w.strideMax = int(apart)
		}
	}
	return last, nil
}

// setPending sends signals that the child blocks.
func (w *watch) setPending(c *child) error {
	if c.number&1 != 0 {
		if err := unix.Tgkill(c.pid, c.pid, threadSignal); err != nil {
			return err
		}
	}
	if c.number&2 != 0 {
		if err := unix.Kill(c.pid, groupSignal); err != nil {
			return err
		}
	}
	return nil
}

// sampleAlive returns a sample of the first thread, and one of another.
func (w *watch) sampleAlive(c *child, other [2]uint64) (leader, thread Sample, err error) {
	if thread, err = w.sample(c, other[1]); err != nil {
		return leader, thread, err
	}
	leader, shown, err := w.sampleSettled(c)
	if err != nil {
		return leader, thread, err
	}
	for i, name := range argumentFields() {
		leader.Values[name] = shown.stat[48+i]
	}
	thread.Values["task_struct.pid"], thread.Values["task_struct.seccomp"] = other[0], 0
	leader.Values["task_struct.jobctl"], thread.Values["task_struct.jobctl"] = 0, 0
	leader.Values["task_struct.blocked"], leader.Values["task_struct.pending"] = shown.status["SigBlk"], shown.status["SigPnd"]
	leader.Values["signal_struct.shared_pending"] = shown.status["ShdPnd"]
	leader.Values["task_struct.seccomp"] = c.seccomp()
	if runtime.GOARCH == "amd64" {
		leader.Values["task_struct.thread"], leader.Values["thread_struct.error_code"] = c.fault()
	}
	for _, sample := range []Sample{leader, thread} {
		sample.Values["task_struct.ptrace"] = 0
	}
	return leader, thread, nil
}

// sampleSettled returns a sample of the first thread between two readings of what proc(5) shows of it that are equal: a thread that runs changes
// its flags, and a signal that it handles is pending until it runs.
func (w *watch) sampleSettled(c *child) (sample Sample, after shown, err error) {
	for begin := time.Now(); time.Since(begin) < settleLongest; time.Sleep(settlePause) {
		before, err := c.shown()
		if err != nil {
			return sample, after, err
		}
		if sample, err = w.sample(c, w.leaders[c.number]); err != nil {
			return sample, after, err
		}
		if after, err = c.shown(); err != nil {
			return sample, after, err
		}
		if after.equal(before) {
			sample.Values["task_struct.flags"] = after.stat[9]
			return sample, after, nil
		}
	}
	return sample, after, fmt.Errorf("flags and pending signals of child %d do not stay the same", c.number)
}

// sample reads a task, and its structure of signals if that is found already.
func (w *watch) sample(c *child, task uint64) (Sample, error) {
	window, err := w.read(task, w.strideMax)
	if err != nil {
		return Sample{}, err
	}
	sample := Sample{Child: c.number, Address: task, Windows: map[string][]byte{"task_struct": window[:w.strideMax]}, Values: map[string]uint64{
		"task_struct.tgid": uint64(c.pid), "task_struct.real_parent": w.own, "task_struct.group_leader": w.leaders[c.number],
	}}
	if task == w.leaders[c.number] {
		sample.Values["task_struct.pid"], sample.Values["task_struct.pdeath_signal"] = uint64(c.pid), uint64(c.pdeath())
		sample.Texts = map[string]string{"task_struct.comm": c.name()}
		sample.Ranges = map[string][2]uint64{"task_struct.start_boottime": {c.startMin, c.starts}}
	}
	at, found := w.search.Offsets["task_struct.signal"]
	if !found {
		return sample, nil
	}
	signal, err := w.read(wordAt(window, at, 8), signalBytesMax)
	if err != nil {
		return Sample{}, err
	}
	sample.Windows["signal_struct"] = signal[:signalBytesMax]
	return sample, nil
}
