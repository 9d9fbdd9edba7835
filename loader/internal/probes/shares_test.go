// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"whodunit/loader/internal/record"
	"whodunit/loader/internal/record/recordtest"
	"whodunit/loader/internal/ring"
)

// floodedRing attaches probes that watch a unit only, whose directory it returns: other programs fill no ring of these tests.
func floodedRing(t *testing.T, ringBytes int) (probes *Probes, ring *ring.Ring, unit string) {
	t.Helper()
	top := tree(t, "system.slice/noisy.service", "system.slice/quiet.service")
	scope, err := FindScope("/" + filepath.Base(top))
	if err != nil {
		t.Fatal(err)
	}
	probes, ring = attachedFor(t, ringBytes, scope)
	return probes, ring, filepath.Join(top, "system.slice/noisy.service")
}

// enter returns the commands with which a shell enters a cgroup.
func enter(directory string) string { return fmt.Sprintf("echo $$ > %s/cgroup.procs; ", directory) }

// runIn runs a script as a user in a cgroup, and returns its pid when it has ended.
func runIn(t *testing.T, unit string, uid int, script string) (pid int) {
	t.Helper()
	command := exec.Command("/bin/sh", "-c", `echo $$ > "$0/cgroup.procs" && exec setpriv --reuid=$1 --regid=$1 --clear-groups -- sh -c "$2" mark`, unit, strconv.Itoa(uid), script)
	output, err := command.CombinedOutput()
	if len(output) > 0 {
		t.Fatalf("%v: %s", err, output)
	}
	return command.Process.Pid
}

// flood lets that many processes of a user exit with 1.
func flood(t *testing.T, unit string, uid, processes int) {
	t.Helper()
	script := fmt.Sprintf("i=0; while [ $i -lt %d ]; do (exit 1); i=$((i+1)); done", processes)
	runIn(t, unit, uid, script)
}

// wholeVictim fails the test unless a process of the user that terminates now is reported with all parts.
func wholeVictim(t *testing.T, ring *ring.Ring, unit string, uid int) {
	t.Helper()
	from := ring.Written()
	events := recordsOf(t, ring, from, runIn(t, unit, uid, "exit 3"))
	if len(events) != 1 {
		t.Fatalf("uid %d: %d records in a ring with %d of %d bytes used", uid, len(events), ring.Written()-ring.Acked(), ring.Size())
	}
	if got := events[0]; got.Shrunk || !slices.Contains(got.Process.Args, "mark") || len(got.Process.Ancestors) == 0 {
		t.Errorf("uid %d: shrunk %v, %+v", uid, got.Shrunk, got.Process)
	}
}

func TestFloodsLeaveRoomForOthers(t *testing.T) {
	probes, ring, unit := floodedRing(t, 1<<20)
	quiet := filepath.Join(filepath.Dir(unit), "quiet.service")
	// Each flood alone would fill the ring.
	for flooder := range 4 {
		flood(t, unit, mallory+flooder, 2_500)
		if used := ring.Written() - ring.Acked(); used < ring.Size()*3/4 {
			t.Errorf("one user alone may hold %d of %d bytes", used, ring.Size())
		}
		for _, uid := range []int{0, mallory + 10, 200_000} {
			wholeVictim(t, ring, unit, uid)
			wholeVictim(t, ring, quiet, uid)
		}
	}
	counters, err := probes.Counters()
	if err != nil {
		t.Fatal(err)
	}
	var lost uint64
	for _, loss := range counters.LostByOrigin {
		lost += loss.Terminations
		if loss.Unit != "noisy.service" || loss.Origin.UID < mallory || loss.Origin.UID >= mallory+4 {
			t.Errorf("%+v", loss)
		}
	}
	if lost == 0 || lost != counters.Lost.RingFull {
		t.Errorf("lost %d: %+v", counters.Lost.RingFull, counters.LostByOrigin)
	}
	ring.Ack(ring.Written())
	wholeVictim(t, ring, unit, mallory)
}

func TestAShareIsUsedAgainWhenItIsAcknowledged(t *testing.T) {
	probes, ring, unit := floodedRing(t, 1<<20)
	for range 5 {
		flood(t, unit, mallory, 700) // about half of the ring
		ring.Ack(ring.Written())
	}
	if counters, err := probes.Counters(); err != nil || counters.Lost.RingFull != 0 || len(counters.LostByOrigin) != 0 {
		t.Errorf("%+v, %v", counters, err)
	}
}

// Set-user-ID programs make subordinate ids (subuid(5)) real ones; a container's root may have all.
func TestManyUserIdsBeyondTheAccountsTakeNothingFromOthers(t *testing.T) {
	_, ring, unit := floodedRing(t, 256<<10)
	for i := range 700 {
		runIn(t, unit, 200_000+i, "exit 1")
	}
	users := map[uint32]bool{}
	eachTermination(t, ring, 0, recordtest.Symbols{}, func(event *record.Event) { users[event.Origin.UID] = true })
	if len(users) < 100 || len(users) > 600 {
		t.Fatalf("%d users have a record", len(users))
	}
	wholeVictim(t, ring, unit, 0)
	wholeVictim(t, ring, unit, mallory)
}

func TestARestartIsFoundAfterAnotherUserTerminatedManyPrograms(t *testing.T) {
	_, ring, unit := floodedRing(t, 8<<20)
	quiet := filepath.Join(filepath.Dir(unit), "quiet.service")
	terminated := runIn(t, quiet, 0, "exit 3")
	runIn(t, unit, mallory, `i=0; while [ $i -lt 1200 ]; do (exec sh -c "exit 1" "$x"); x=x$x; i=$((i+1)); done`)
	restarted := runIn(t, quiet, 0, "exit 3")
	found := map[uint32]uint32{}
	eachRecord(t, ring, 0, recordtest.Symbols{}, func(event *record.Event) {
		if event.Predecessor != nil {
			found[event.Predecessor.Pid] = event.Process.Pid
		}
	})
	if found[uint32(terminated)] != uint32(restarted) {
		t.Errorf("the restart of %d is that by %d, not by %d", terminated, found[uint32(terminated)], restarted)
	}
}
