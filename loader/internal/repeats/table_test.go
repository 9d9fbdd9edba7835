// SPDX-License-Identifier: Apache-2.0

package repeats

import (
	"errors"
	"maps"
	"testing"
	"time"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/wire"
)

const reserves = 4

// memory is what the probes keep while loaders come and go.
type memory struct {
	keys    map[abi.RepeatKey]abi.RepeatPlace
	totals  []abi.RepeatTotal
	cleared []uint32
	now     uint64
	broken  bool
}

func newMemory(size int) *memory {
	return &memory{keys: map[abi.RepeatKey]abi.RepeatPlace{}, totals: make([]abi.RepeatTotal, size), now: uint64(time.Hour)}
}

func (m *memory) Insert(key abi.RepeatKey, place abi.RepeatPlace) error {
	if _, known := m.keys[key]; known || m.broken {
		return errors.New("refused")
	}
	m.keys[key] = place
	return nil
}

func (m *memory) Delete(key abi.RepeatKey) error { delete(m.keys, key); return nil }

func (m *memory) Each(do func(abi.RepeatKey, abi.RepeatPlace)) error {
	for key, place := range maps.All(m.keys) {
		do(key, place)
	}
	return nil
}

func (m *memory) ClearReserve(index uint32) error { m.cleared = append(m.cleared, index); return nil }

// terminate does what the probe does, n times. false: not armed.
func (m *memory) terminate(key abi.RepeatKey, n uint64) bool {
	place, armed := m.keys[key]
	if !armed || m.now >= m.totals[all].UntilNs || m.now >= m.totals[place.Total].UntilNs {
		return false
	}
	m.totals[place.Total].Count += n
	return true
}

func (m *memory) open(t *testing.T) *Table {
	t.Helper()
	table, err := Open(m, m.totals, reserves, func() uint64 { return m.now })
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func key(uid, status uint32) abi.RepeatKey {
	return abi.RepeatKey{Origin: abi.Origin{Uid: uid}, StatusRaw: status}
}

func (m *memory) arm(t *testing.T, table *Table, key abi.RepeatKey, as string) (full string) {
	t.Helper()
	full, err := table.Arm(wire.Arm{Key: textOf(key), As: as, UntilNs: m.now + uint64(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	return full
}

func retire(t *testing.T, table *Table) (left int) {
	t.Helper()
	if err := table.Retire(); err != nil {
		t.Fatal(err)
	}
	return len(table.Entries())
}

func TestAKeyIsArmedForAMinuteAtMost(t *testing.T) {
	m := newMemory(8)
	table := m.open(t)
	if m.terminate(key(1, 256), 1) {
		t.Error("counted before it was armed")
	}
	if _, err := table.Arm(wire.Arm{Key: textOf(key(1, 256)), As: wire.AsAggregated, UntilNs: ^uint64(0)}); err != nil {
		t.Fatal(err)
	}
	m.now += uint64(time.Minute) - 1
	if !m.terminate(key(1, 256), 1) || m.terminate(key(1, 512), 1) || m.terminate(key(2, 256), 1) {
		t.Error("it must be armed, and no other key")
	}
	m.now++
	if m.terminate(key(1, 256), 1) {
		t.Error("armed for longer than a minute")
	}
}

func TestAKeyCountsAsWhatItWasArmedForUntilItsTimeIsOver(t *testing.T) {
	m := newMemory(8)
	table := m.open(t)
	m.arm(t, table, key(1, 256), wire.AsFiltered)
	m.arm(t, table, key(2, 256), wire.AsAggregated)
	for _, test := range []struct {
		key  string
		want string
	}{{textOf(key(1, 256)), wire.AsFiltered}, {textOf(key(2, 256)), wire.AsAggregated}, {textOf(key(3, 256)), ""}, {"bad", ""}} {
		if as := table.Armed(test.key); as != test.want {
			t.Errorf("%s: %q, want %q", test.key, as, test.want)
		}
	}
	m.now += uint64(time.Minute)
	if as := table.Armed(textOf(key(1, 256))); as != "" {
		t.Errorf("%q after its time", as)
	}
}

func TestAnEntryRetiresAfterItsWholeTotalWasAcknowledgedAndNoProbeCanCountAnyMore(t *testing.T) {
	m := newMemory(8)
	table := m.open(t)
	m.arm(t, table, key(1, 256), wire.AsFiltered)
	m.terminate(key(1, 256), 5)
	id := table.Entries()[0].ID
	table.Counted(id, 5)
	if retire(t, table) != 1 {
		t.Fatal("retired while it was armed")
	}
	m.terminate(key(1, 256), 2)
	m.now += uint64(time.Minute + linger)
	if retire(t, table) != 1 {
		t.Fatal("retired although two were counted after the acknowledgement")
	}
	table.Counted(id+1, 7)
	if retire(t, table) != 1 {
		t.Fatal("retired by the acknowledgement of another entry")
	}
	table.Counted(id, 7)
	m.now -= 1
	if retire(t, table) != 1 {
		t.Fatal("retired while a probe may still run")
	}
	m.now += 1
	if retire(t, table) != 0 || len(m.keys) != 0 {
		t.Fatal("it did not retire")
	}
}

func TestAnEntryThatIsArmedAgainBeforeItRetiresGoesOnAndOneAfterwardsIsAnother(t *testing.T) {
	m := newMemory(8)
	table := m.open(t)
	m.arm(t, table, key(1, 256), wire.AsAggregated)
	m.terminate(key(1, 256), 5)
	first := table.Entries()[0]
	m.now += uint64(time.Minute + linger)
	m.arm(t, table, key(1, 256), wire.AsAggregated)
	if !m.terminate(key(1, 256), 1) || table.Entries()[0].ID != first.ID || table.Entries()[0].Total != 6 {
		t.Fatalf("%+v", table.Entries())
	}
	table.Counted(first.ID, 6)
	m.now += uint64(time.Minute + linger)
	retire(t, table)
	m.arm(t, table, key(1, 256), wire.AsAggregated)
	if again := table.Entries()[0]; again.ID <= first.ID || again.Total != 0 {
		t.Fatalf("%+v", again)
	}
}

func TestAnotherLoaderReportsTheSameTotalsAgain(t *testing.T) {
	m := newMemory(8)
	before := m.open(t)
	m.arm(t, before, key(1, 256), wire.AsAggregated)
	m.arm(t, before, key(2, 256), wire.AsFiltered)
	m.terminate(key(1, 256), 5)
	before.Counted(before.Entries()[0].ID, 5)
	after := m.open(t)
	if got, want := after.Entries(), before.Entries(); len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Fatalf("%+v, want %+v", got, want)
	}
	m.now += uint64(time.Minute + linger)
	if retire(t, after) != 1 || after.Entries()[0].Total != 5 {
		t.Fatal("a total that this loader has no acknowledgement of was removed")
	}
	m.arm(t, after, key(3, 256), wire.AsAggregated)
	if entries := after.Entries(); entries[1].ID <= entries[0].ID {
		t.Fatal("an id of the earlier loader was used again")
	}
}

func TestAnOutcomeChangesOnlyWhenTheTotalUnderTheOtherIsAcknowledged(t *testing.T) {
	m := newMemory(8)
	table := m.open(t)
	m.arm(t, table, key(1, 256), wire.AsFiltered)
	m.now += uint64(time.Minute)
	m.arm(t, table, key(1, 256), wire.AsAggregated)
	if m.terminate(key(1, 256), 1) || table.Entries()[0].As != wire.AsFiltered {
		t.Fatal("armed as filtered and aggregated at once")
	}
}

func TestAFullTableAndAFullShareOfAnOriginLeaveTheKeyUnarmed(t *testing.T) {
	m := newMemory(OriginKeysMax + 3)
	table := m.open(t)
	for status := range uint32(OriginKeysMax) {
		if full := m.arm(t, table, key(1, status), wire.AsAggregated); full != "" {
			t.Fatal(full)
		}
	}
	if m.arm(t, table, key(1, 9999), wire.AsAggregated) == "" {
		t.Error("an origin exceeded its share")
	}
	for uid := range uint32(2) {
		if full := m.arm(t, table, key(2+uid, 256), wire.AsAggregated); full != "" {
			t.Errorf("a full share of one origin is in the way of another: %s", full)
		}
	}
	if m.arm(t, table, key(4, 256), wire.AsAggregated) == "" || len(m.keys) != OriginKeysMax+2 {
		t.Error("more keys than there are totals")
	}
}

func TestEachOriginHasAReserveOfItsOwnWhileItHasKeys(t *testing.T) {
	m := newMemory(64)
	table := m.open(t)
	for uid := range uint32(reserves) {
		m.arm(t, table, key(uid, 256), wire.AsAggregated)
		m.arm(t, table, key(uid, 512), wire.AsAggregated)
	}
	owner := map[uint32]uint32{}
	for key, place := range m.keys {
		if uid, known := owner[place.Reserve]; known && uid != key.Origin.Uid {
			t.Errorf("two origins have the reserve %d", place.Reserve)
		}
		owner[place.Reserve] = key.Origin.Uid
	}
	if len(owner) != reserves || len(m.cleared) != reserves {
		t.Errorf("%d reserves, %d cleared", len(owner), len(m.cleared))
	}
	if m.arm(t, table, key(9, 256), wire.AsAggregated) == "" {
		t.Error("an origin without a reserve")
	}
}

func TestAKeyThatIsMalformedOrThatTheMapRefusesIsAnError(t *testing.T) {
	m := newMemory(8)
	table := m.open(t)
	for _, text := range []string{"", "00", "zz", textOf(key(1, 1)) + "00"} {
		if _, err := table.Arm(wire.Arm{Key: text, As: wire.AsAggregated, UntilNs: m.now + 1}); err == nil {
			t.Errorf("no error for %q", text)
		}
	}
	m.broken = true
	if _, err := table.Arm(wire.Arm{Key: textOf(key(1, 1)), As: wire.AsAggregated, UntilNs: m.now + 1}); err == nil || len(table.Entries()) != 0 {
		t.Error("no error of the map")
	}
}
