// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"whodunit/loader/internal/record"
	"whodunit/loader/internal/record/recordtest"
	"whodunit/loader/internal/repeats"
	"whodunit/loader/internal/ring"
	"whodunit/loader/internal/stormtest"
	"whodunit/loader/internal/wire"
)

// repeated is a code that other programs on the machine do not exit with.
const repeated = 113

// run runs a shell command, which must exit with this code.
func run(t *testing.T, code int, command string) (pid int) {
	t.Helper()
	shell := exec.Command("/bin/sh", "-c", command)
	output, err := shell.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != code {
		t.Fatalf("%s: %v: %s", command, err, output)
	}
	return shell.Process.Pid
}

var exits = fmt.Sprintf("exit %d", repeated)

func tableOf(t *testing.T, probes *Probes) *repeats.Table {
	t.Helper()
	table, err := probes.Repeats()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// arm arms the key of the last record of that pid.
func arm(t *testing.T, table *repeats.Table, ring *ring.Ring, pid int) {
	t.Helper()
	events := recordsOf(t, ring, ring.Acked(), pid)
	if len(events) == 0 || events[len(events)-1].Repeat == nil {
		t.Fatalf("%d has no record with a key: %+v", pid, events)
	}
	armKey(t, table, events[len(events)-1].Repeat.Key, time.Minute)
}

func armKey(t *testing.T, table *repeats.Table, key string, during time.Duration) {
	t.Helper()
	full, err := table.Arm(wire.Arm{Key: key, As: wire.AsAggregated, UntilNs: bootNs() + uint64(during)})
	if err != nil || full != "" {
		t.Fatal(full, err)
	}
}

func TestOnlyTerminationsWithAnArmedKeyAreCountedAndTheOthersHaveARecord(t *testing.T) {
	probes, ring := attachedWith(t, 1<<20)
	table := tableOf(t, probes)
	copied := filepath.Join(t.TempDir(), "sh")
	if output, err := exec.Command("cp", "/bin/sh", copied).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	if err := os.Chmod(filepath.Dir(copied), 0o755); err != nil {
		t.Fatal(err)
	}
	top := tree(t, "system.slice/a.service")
	elsewhere := fmt.Sprintf("echo $$ > %s/system.slice/a.service/cgroup.procs; ", top)
	before, err := probes.Counters()
	if err != nil {
		t.Fatal(err)
	}
	arm(t, table, ring, run(t, repeated, exits))
	for range 20 {
		if pid := run(t, repeated, exits); len(recordsOf(t, ring, ring.Acked(), pid)) != 0 {
			t.Fatal("a counted termination has a record")
		}
	}
	for name, command := range map[string]string{
		"of another user": strings.Replace(asMallory, "setpriv", "exec setpriv", 1) + "sh -c '" + exits + "'",
		"with a name":     "OTEL_SERVICE_NAME=checkout exec sh -c '" + exits + "'", "of another executable": "exec " + copied + " -c '" + exits + "'",
		"in another cgroup": elsewhere + exits, "in a user namespace": "exec unshare --map-root-user sh -c '" + exits + "'",
	} {
		if pid := run(t, repeated, command); len(recordsOf(t, ring, ring.Acked(), pid)) != 1 {
			t.Errorf("a termination %s has no record", name)
		}
	}
	if pid := run(t, repeated+1, fmt.Sprintf("exit %d", repeated+1)); len(recordsOf(t, ring, ring.Acked(), pid)) != 1 {
		t.Error("a termination with another code has no record")
	}
	entries := table.Entries()
	after, err := probes.Counters()
	if len(entries) != 1 || entries[0].Total != 20 || entries[0].FirstNs == 0 || entries[0].LastNs <= entries[0].FirstNs || err != nil {
		t.Fatalf("%+v, %v", entries, err)
	}
	if after.Counted-before.Counted != 20 || after.Terminations-before.Terminations < 27 {
		t.Errorf("counted %d of %d terminations", after.Counted-before.Counted, after.Terminations-before.Terminations)
	}
}

func TestAKeyWhoseTimeIsOverIsReportedAgain(t *testing.T) {
	probes, ring := attachedWith(t, 1<<20)
	table := tableOf(t, probes)
	first := run(t, repeated, exits)
	key := recordsOf(t, ring, 0, first)[0].Repeat.Key
	armKey(t, table, key, time.Second)
	waitFor(t, func() bool { return len(recordsOf(t, ring, 0, run(t, repeated, exits))) == 1 })
	counted := table.Entries()[0].Total
	run(t, repeated, exits)
	if total := table.Entries()[0].Total; total != counted {
		t.Errorf("counted %d after the time was over", total-counted)
	}
	again := tableOf(t, probes) // as another loader
	if entries := again.Entries(); len(entries) != 1 || entries[0].Total != counted || entries[0].Key != key {
		t.Errorf("%+v", entries)
	}
}

func TestAStormOnAllProcessorsIsCountedExactly(t *testing.T) {
	probes, ring := attachedWith(t, 4<<20)
	table := tableOf(t, probes)
	const enough = 1_000
	storms := []*stormtest.Storm{stormtest.Start(t, 0), stormtest.Start(t, 0)}
	reported, armed, from := stormtest.Reported{}, map[string]bool{}, uint64(0)
	drain := func() {
		from = eachTermination(t, ring, from, recordtest.Symbols{}, func(event *record.Event) {
			before := len(reported)
			reported.Add(event, storms...)
			if len(reported) > before && !armed[event.Repeat.Key] {
				armed[event.Repeat.Key] = true
				armKey(t, table, event.Repeat.Key, time.Minute)
			}
		})
	}
	counted := func() (sum uint64) {
		for _, entry := range table.Entries() {
			sum += entry.Total
		}
		return sum
	}
	waitFor(t, func() bool { drain(); ring.Ack(from); return counted() >= enough })
	for _, storm := range storms {
		storm.Stop(t)
	}
	drain()
	terminated, absent, doubled := reported.Compare(storms...)
	t.Logf("%d terminations: %d counted", terminated, counted())
	if uint64(absent) != counted() || doubled != 0 {
		t.Errorf("%d terminations: %d without a record, %d counted, %d doubled", terminated, absent, counted(), doubled)
	}
}

func TestKillsByAnotherProcessHaveRecordsUntilTheReserveOfTheirOriginIsUsedUp(t *testing.T) {
	const reserve, kills = 1024, 1300
	probes, ring := attachedWith(t, 8<<20)
	table := tableOf(t, probes)
	first, err := stormtest.Terminate(true)
	if err != nil {
		t.Fatal(err)
	}
	arm(t, table, ring, first)
	if inode, key := inodeOf(t, os.Args[0]), table.Entries()[0].Key; !strings.Contains(key, inode) {
		t.Errorf("the key %s does not have the inode of the sender's executable, %s", key, inode)
	}
	from, pids := ring.Written(), map[uint32]bool{}
	for range kills {
		pid, err := stormtest.Terminate(true)
		if err != nil {
			t.Fatal(err)
		}
		pids[uint32(pid)] = true
	}
	records := 0
	eachTermination(t, ring, from, recordtest.Symbols{}, func(event *record.Event) {
		if pids[event.Process.Pid] && event.StatusRaw == 9 {
			records++
		}
	})
	if total := table.Entries()[0].Total; records != reserve || total != kills-reserve {
		t.Errorf("%d kills: %d have a record, %d are counted", kills, records, total)
	}
}

// inodeOf returns the inode as a key has it, and the bytes before it are those of the victim's, which is the same file.
func inodeOf(t *testing.T, path string) string {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		t.Fatal(err)
	}
	inode := hex.EncodeToString(binary.NativeEndian.AppendUint64(nil, stat.Ino))
	return inode + inode
}

func TestACountedTerminationLeavesItsMarkForARestart(t *testing.T) {
	directory, path := newCgroup(t, fmt.Sprintf("whodunit-test-%d-%d", os.Getpid(), time.Now().UnixNano()))
	watched, err := FindScope(path)
	if err != nil {
		t.Fatal(err)
	}
	probes, ring := attachedFor(t, 1<<20, watched)
	table := tableOf(t, probes)
	arm(t, table, ring, exitIn(t, directory, repeated))
	counted := exitIn(t, directory, repeated)
	after := exitIn(t, directory, repeated)
	if total := table.Entries()[0].Total; total != 2 {
		t.Fatalf("%d are counted", total)
	}
	predecessors := map[uint32]uint32{}
	reader, decoder := ring.Reader(), record.NewDecoder(record.Machine{PageBytes: 4096, Symbols: recordtest.Symbols{}})
	defer reader.Close()
	for from := uint64(0); ; {
		raw, next, ok, err := reader.Next(from)
		if !ok {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		from = next
		if raw == nil {
			continue
		}
		event, err := decoder.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		if event.Predecessor != nil {
			predecessors[event.Process.Pid] = event.Predecessor.Pid
		}
	}
	if predecessors[uint32(after)] != uint32(counted) {
		t.Errorf("%d restarted %d, want %d", after, predecessors[uint32(after)], counted)
	}
}
