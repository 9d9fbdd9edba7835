// SPDX-License-Identifier: Apache-2.0

package oldprobes

import (
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/host"
	"whodunit/loader/internal/probes"
	"whodunit/loader/internal/record"
)

// keeper keeps copies of files, as systemd does.
type keeper struct {
	t     *testing.T
	files []*os.File
}

func (k *keeper) Files() []*os.File { return k.copies(k.files, "") }

func (k *keeper) Keep(name string, files []*os.File) error {
	k.files = append(k.files, k.copies(files, name)...)
	return nil
}

func (k *keeper) Remove(name string) error {
	var others []*os.File
	for _, file := range k.files {
		if file.Name() == name {
			file.Close()
		} else {
			others = append(others, file)
		}
	}
	k.files = others
	return nil
}

// copies of files, under a name or their own.
func (k *keeper) copies(files []*os.File, name string) (copied []*os.File) {
	for _, file := range files {
		fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			k.t.Fatal(err)
		}
		if name == "" {
			copied = append(copied, os.NewFile(uintptr(fd), file.Name()))
		} else {
			copied = append(copied, os.NewFile(uintptr(fd), name))
		}
	}
	return copied
}

func keptBy(t *testing.T) *keeper {
	k := &keeper{t: t}
	t.Cleanup(func() {
		for _, file := range k.files {
			file.Close()
		}
	})
	return k
}

func start(t *testing.T, directory string, kept Kept) (p *Probes, stop func()) {
	t.Helper()
	return attachedWith(t, Options{PinDirectory: directory, RingBytes: queueBytes, Types: probes.KernelTypes(), Kept: kept})
}

// events returns what the ring has from a position on.
func events(t *testing.T, p *Probes, from uint64) (all []record.Event) {
	t.Helper()
	for event := range records(t, p, from) {
		all = append(all, *event)
	}
	return all
}

func gapsOf(events []record.Event) (gaps []oldGap) {
	for _, event := range events {
		if event.GapFromNs != 0 {
			gaps = append(gaps, oldGap{FromNs: event.GapFromNs, ToNs: event.TimeNs})
		}
	}
	return gaps
}

func recordsOf(events []record.Event, pid int) (count int) {
	for _, event := range events {
		if event.GapFromNs == 0 && event.Process.Pid == uint32(pid) {
			count++
		}
	}
	return count
}

func TestAGapIsARecordUntilItIsAcknowledged(t *testing.T) {
	directory := pinDirectory(t)
	const uid = 54334
	p, stop := start(t, directory, nil)
	if p.Gap != nil || len(gapsOf(events(t, p, 0))) != 0 {
		t.Errorf("the first loader has a gap: %+v", p.Gap)
	}
	earlier := exits(t, uid)
	before := host.BoottimeNs()
	stop()
	missed := exits(t, uid)
	p, stop = start(t, directory, nil)
	after := host.BoottimeNs()
	later := exits(t, uid)
	awaited(t, p, p.Ring().Acked(), later)
	all := events(t, p, p.Ring().Acked())
	gaps := gapsOf(all)
	if len(gaps) != 1 || gaps[0].FromNs < before || gaps[0].ToNs <= gaps[0].FromNs || gaps[0].ToNs > after {
		t.Fatalf("%+v, not one from %d on and before %d", gaps, before, after)
	}
	if p.Gap == nil || p.Gap.FromNs != gaps[0].FromNs || p.Gap.ToNs != gaps[0].ToNs {
		t.Errorf("%+v in hello, %+v as a record", p.Gap, gaps[0])
	}
	if recordsOf(all, missed) != 0 || recordsOf(all, earlier) != 1 {
		t.Errorf("%d records of a process that exited in the gap, %d of one before it", recordsOf(all, missed), recordsOf(all, earlier))
	}
	at := func(is func(record.Event) bool) int { return slices.IndexFunc(all, is) }
	of := func(pid int) func(record.Event) bool {
		return func(event record.Event) bool { return event.Process.Pid == uint32(pid) }
	}
	gapAt := at(func(event record.Event) bool { return event.GapFromNs != 0 })
	if at(of(earlier)) > gapAt || gapAt > at(of(later)) {
		t.Error("records and gap are not in the order of their time")
	}
	if p.Gap == nil || p.Gap.FromNs != gaps[0].FromNs || p.Gap.ToNs != gaps[0].ToNs {
		t.Errorf("%+v in hello, %+v as a record", p.Gap, gaps[0])
	}
	if recordsOf(all, missed) != 0 || recordsOf(all, earlier) != 1 {
		t.Errorf("%d records of a process that exited in the gap, %d of one before it", recordsOf(all, missed), recordsOf(all, earlier))
	}
	stop()
	p, stop = start(t, directory, nil)
	awaited(t, p, p.Ring().Acked(), exits(t, uid))
	if again := gapsOf(events(t, p, p.Ring().Acked())); len(again) != 2 || again[0] != gaps[0] {
		t.Errorf("%+v: the one of before is not acknowledged", again)
	}
	p.Ring().Ack(p.Ring().Written())
	stop()
	p, _ = start(t, directory, nil)
	awaited(t, p, p.Ring().Acked(), exits(t, uid))
	if last := gapsOf(events(t, p, p.Ring().Acked())); len(last) != 1 || last[0].FromNs <= gaps[0].ToNs {
		t.Errorf("%+v: those of before are acknowledged", last)
	}
}

func TestMoreGapsThanThereIsRoomForAreOne(t *testing.T) {
	p, _ := start(t, pinDirectory(t), nil)
	last := uint64(p.gaps.MaxEntries())
	for at := uint64(1); at <= last+2; at++ {
		if err := keepGap(p.gaps, oldGap{FromNs: 10 * at, ToNs: 10*at + 1}); err != nil {
			t.Fatal(err)
		}
	}
	var kept oldGap
	if err := p.gaps.Lookup(uint32(last-1), &kept); err != nil || kept != (oldGap{FromNs: 10 * last, ToNs: 10*(last+2) + 1}) {
		t.Errorf("%+v, %v", kept, err)
	}
}

func TestKeptProbesGoOnWithoutALoader(t *testing.T) {
	directory, kept := pinDirectory(t), keptBy(t)
	const uid = 54332
	_, stop := start(t, directory, kept)
	before := exits(t, uid)
	stop()
	meanwhile := exits(t, uid)
	p, stop := start(t, directory, kept)
	after := exits(t, uid)
	awaited(t, p, p.Ring().Acked(), after)
	all := events(t, p, p.Ring().Acked())
	for _, pid := range []int{before, meanwhile, after} {
		if n := recordsOf(all, pid); n != 1 {
			t.Errorf("process %d of %d, %d and %d has %d records", pid, before, meanwhile, after, n)
		}
	}
	if !p.TookOver || p.Gap != nil || len(gapsOf(all)) != 0 {
		t.Errorf("%v, %+v, %+v: the probes were kept", p.TookOver, p.Gap, gapsOf(all))
	}
	if len(kept.files) != len(oldObject().hooks) {
		t.Errorf("%d files are kept", len(kept.files))
	}
	stop()
}

// Both are attached for the time that it takes to attach five programs. Here the former ones stay.
func TestTheProbesOfTwoLoadersReportATerminationOnce(t *testing.T) {
	directory, kept := pinDirectory(t), keptBy(t)
	_, stop := start(t, directory, kept)
	stop()
	former := kept.copies(kept.files, "")
	p, _ := start(t, directory, kept)
	const uid = 54333
	var pids []int
	for range 50 {
		pids = append(pids, exits(t, uid))
	}
	killed := killedBySIGTERM(t, uid)
	awaited(t, p, p.Ring().Acked(), killed)
	all := events(t, p, p.Ring().Acked())
	for _, pid := range append(pids, killed) {
		if n := recordsOf(all, pid); n != 1 {
			t.Errorf("process %d has %d records", pid, n)
		}
	}
	event, _ := found(t, p, p.Ring().Acked(), killed)
	if event.Signal == nil || !event.Signal.Committed || event.Signal.Sender.Pid != uint32(os.Getpid()) || event.Process.Exe == nil {
		t.Errorf("%+v", event)
	}
	for _, file := range former {
		file.Close()
	}
}

// A map of another layout, as another object has it, cannot be shared.
func TestProbesOfAnotherObjectAreReplacedWithoutDoubles(t *testing.T) {
	directory, kept := pinDirectory(t), keptBy(t)
	const uid = 54335
	p, stop := start(t, directory, kept)
	path := p.directory + "/" + oldMapTexts
	stop()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	p, _ = start(t, directory, kept)
	pid := exits(t, uid)
	awaited(t, p, p.Ring().Acked(), pid)
	all := events(t, p, p.Ring().Acked())
	if n := recordsOf(all, pid); n != 1 {
		t.Errorf("%d records", n)
	}
	gaps := gapsOf(all)
	if p.TookOver || len(gaps) != 1 || gaps[0].ToNs-gaps[0].FromNs > uint64(within) || len(kept.files) != len(oldObject().hooks) {
		t.Errorf("%v, %+v, %d files kept", p.TookOver, gaps, len(kept.files))
	}
	if err := EndKept(kept); err != nil || len(kept.files) != 0 {
		t.Errorf("%d files are kept, %v", len(kept.files), err)
	}
}
