// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"whodunit/loader/internal/stormtest"
	"whodunit/loader/internal/victim"
)

func TestTypesAreVerifiedWhileVeryManyProcessesTerminate(t *testing.T) {
	privileged(t)
	storms := []*stormtest.Storm{stormtest.Start(t, 0), stormtest.Start(t, 0)}
	if err := KernelTypes().Verify(); err != nil {
		t.Error(err)
	}
	for _, storm := range storms {
		storm.Stop(t)
	}
}

func TestARecordOfAVictimIsComparedWithWhatIsKnown(t *testing.T) {
	known := victim.Terminated{Way: victim.Killed, Pid: 70, Status: syscall.WaitStatus(syscall.SIGKILL), StartMin: 100, EndMax: 200}
	right := testimony{status: 9, startBoottimeNs: 150, pid: 70, signo: 9, sender: uint32(os.Getpid())}
	with := func(change func(*testimony)) testimony {
		changed := right
		change(&changed)
		return changed
	}
	status := with(func(one *testimony) { one.status = 0 })
	for _, test := range []struct {
		name      string
		said      []testimony
		otherPids bool
		want      string // in the error; "": none
	}{
		{"no record", nil, false, "no record"},
		{"a right one", []testimony{right}, false, ""},
		{"another status", []testimony{status}, false, "wait status 0x0"},
		{"another process with its name, before it", []testimony{status, right}, false, ""},
		{"another process with its name, after it", []testimony{right, status}, false, ""},
		{"it began before it was started", []testimony{with(func(one *testimony) { one.startBoottimeNs = 99 })}, false, "start time 99"},
		{"it began after it had ended", []testimony{with(func(one *testimony) { one.startBoottimeNs = 201 })}, false, "start time 201"},
		{"another pid", []testimony{with(func(one *testimony) { one.pid = 71 })}, false, "pid 71"},
		{"another pid and another sender, of another pid namespace", []testimony{with(func(one *testimony) { one.pid, one.sender = 71, 72 })}, true, ""},
		{"no signal", []testimony{with(func(one *testimony) { one.signo, one.sender = 0, 0 })}, false, "signal"},
		{"another sender", []testimony{with(func(one *testimony) { one.sender = 1 })}, false, "sender 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := differenceOf(test.said, known, !test.otherPids)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}
