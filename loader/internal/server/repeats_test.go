// SPDX-License-Identifier: Apache-2.0

package server

import (
	"io"
	"strings"
	"testing"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/log"
	"whodunit/loader/internal/record/recordtest"
	"whodunit/loader/internal/ring/ringtest"
	"whodunit/loader/internal/wire"
)

func TestOnlyTheConsumerMayArmKeysAndAcknowledgeTotals(t *testing.T) {
	s := serve(t, 1<<16)
	for _, line := range []string{
		`{"v":1,"type":"arm","key":"00","as":"aggregated","until_ns":"7"}`, `{"v":1,"type":"counted","id":"7","total":"8"}`,
	} {
		watcher := s.connect(t)
		watcher.Send("%s", line)
		if refusal := watcher.Next("error"); refusal["code"] != "NOT_CONSUMER" {
			t.Errorf("%v", refusal)
		}
	}
	if len(s.repeats.armed)+len(s.repeats.counted) != 0 {
		t.Error("a watcher changed what is armed")
	}
}

func TestTheConsumerArmsKeysAndGetsTheirTotalsUntilTheyAreGone(t *testing.T) {
	s := serve(t, 1<<16)
	s.repeats.set(wire.Repeat{ID: 7, Key: "00", As: wire.AsFiltered, Total: 3})
	c := s.connect(t)
	c.Claim()
	if repeat := c.Next("repeat"); repeat["id"] != "7" || repeat["total"] != "3" {
		t.Errorf("%v", repeat)
	}
	if list := c.Next("repeats"); len(list["ids"].([]any)) != 1 {
		t.Errorf("%v", list)
	}
	c.Send(`{"v":1,"type":"arm","key":"00","as":"filtered","until_ns":"99"}`)
	c.Send(`{"v":1,"type":"counted","id":"7","total":"3"}`)
	waitFor(t, func() bool {
		s.repeats.mu.Lock()
		defer s.repeats.mu.Unlock()
		return len(s.repeats.armed) == 1 && s.repeats.armed[0] == wire.Arm{Key: "00", As: wire.AsFiltered, UntilNs: 99} && len(s.repeats.counted) == 1
	})
	s.repeats.set(wire.Repeat{ID: 7, Key: "00", As: wire.AsFiltered, Total: 5}, wire.Repeat{ID: 8, Key: "01", As: wire.AsFiltered, Total: 1})
	if repeat := c.Next("repeat"); repeat["total"] != "5" {
		t.Errorf("%v", repeat)
	}
	if repeat := c.Next("repeat"); repeat["id"] != "8" {
		t.Errorf("%v", repeat)
	}
	s.repeats.set()
	for len(c.Next("repeats")["ids"].([]any)) > 0 {
	}
}

func TestARecordWhoseKeyWasArmedMeanwhileIsSentInShortToAConsumerThatReadsThat(t *testing.T) {
	own, caused := abi.RepeatKey{StatusRaw: 256}, abi.RepeatKey{StatusRaw: 256, Flags: uint32(abi.RepeatFlagREPEAT_BY_ANOTHER)}
	s := serve(t, 1<<16)
	c, watcher := s.connect(t), s.connect(t)
	c.Claim()
	put := func(key abi.RepeatKey) {
		s.ring.Put(recordtest.Record(256, recordtest.Part(abi.PartKindPART_REPEAT_KEY, 0, recordtest.Raw(key))), 0)
	}
	arm := func(key abi.RepeatKey, more string) {
		c.Send(`{"v":1,"type":"arm","key":"%x","as":"filtered","until_ns":"99"%s}`, recordtest.Raw(key), more)
	}
	armed := func(count int) func() bool {
		return func() bool {
			s.repeats.mu.Lock()
			defer s.repeats.mu.Unlock()
			return len(s.repeats.armed) == count
		}
	}
	put(own)
	c.Next("death")
	arm(own, "")
	waitFor(t, armed(1))
	put(own)
	c.Next("death") // for a reader that does not know the short line
	arm(caused, `,"equal":true`)
	waitFor(t, armed(2))
	put(own)
	if line := c.Next("equal"); line["as"] != "filtered" || line["pid"] != 42.0 || line["start_boottime_ns"] != "5" || line["time_ns"] != "7" {
		t.Errorf("%v", line)
	}
	put(caused)
	c.Next("death") // another caused it: that has a reserve of records
	watcher.Deaths(4)
	c.Send(`{"v":1,"type":"ack","seq":"%d"}`, s.ring.Written())
	waitFor(t, func() bool { return s.ring.Acked() == s.ring.Written() })
}

func TestAKeyThatIsMalformedClosesTheConnection(t *testing.T) {
	s := serve(t, 1<<16)
	c := s.connect(t)
	c.Claim()
	c.Send(`{"v":1,"type":"arm","key":"bad","as":"filtered","until_ns":"99"}`)
	if refusal := c.Next("error"); refusal["code"] != "BAD_LINE" {
		t.Errorf("%v", refusal)
	}
}

func TestAKeyWithoutAPlaceIsLogged(t *testing.T) {
	s := serve(t, 1<<16)
	s.repeats.full = "7 keys are armed, the limit"
	c := s.connect(t)
	c.Claim()
	c.Send(`{"v":1,"type":"arm","key":"00","as":"filtered","until_ns":"99"}`)
	waitFor(t, func() bool { return strings.Contains(s.log.String(), "7 keys are armed, the limit") })
}

func TestAClientThatReadsTheTotalsFirstDoesNotKeepThemFromTheConsumer(t *testing.T) {
	repeats := &fakeRepeats{}
	server := New(Config{Ring: ringtest.New(t, 1<<16).Ring, Probes: &fakeProbes{}, Repeats: repeats, Log: log.New(io.Discard)})
	consumer, watcher := newSession(server, nil, peer{}), newSession(server, nil, peer{})
	server.sessions[consumer] = struct{}{}
	repeats.set(wire.Repeat{ID: 7, Key: "00", As: wire.AsFiltered, Total: 3})
	if _, err := watcher.appendState(nil, &sentState{}, wire.RoleWatcher); err != nil {
		t.Fatal(err)
	}
	if len(consumer.woken) == 0 {
		t.Error("the consumer was not woken: it gets the totals seconds later")
	}
}
