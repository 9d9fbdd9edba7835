// SPDX-License-Identifier: Apache-2.0

// Package repeats arms keys in the probes, so that they only count equal terminations (bpf/repeats.h), and reports the totals until they are
// acknowledged. All state is in the probes' maps, which outlive the loader, except what was acknowledged: a new loader reports it again.
package repeats

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/wire"
)

const (
	// armedMax is the longest time for which a key is armed. Then one termination is reported again, and the service decides again.
	armedMax = time.Minute
	// linger passes between the end of that time and the removal of the key: a probe that found the key armed has counted long before. One
	// that runs for so long, with preemption disabled, would be a soft lockup.
	linger = 10 * time.Second
	// OriginKeysMax of one origin: no origin can use up the table. The hello has it, so that the service asks for no more.
	OriginKeysMax = 128
	// all is the element of the totals that is no key's: REPEAT_NO_KEY in bpf/.
	all = 0
)

// Keys is the probes' map of armed keys.
type Keys interface {
	// Insert fails if the key is there.
	Insert(abi.RepeatKey, abi.RepeatPlace) error
	Delete(abi.RepeatKey) error
	// Each calls do for every key.
	Each(do func(abi.RepeatKey, abi.RepeatPlace)) error
	// ClearReserve sets an element of the reserves to 0.
	ClearReserve(index uint32) error
}

// Table has the armed keys, and those whose total is not acknowledged. Safe for concurrent use.
type Table struct {
	keys     Keys
	totals   []abi.RepeatTotal // memory that the probes write
	reserves int
	nowNs    func() uint64 // CLOCK_BOOTTIME

	mu      sync.Mutex
	entries map[abi.RepeatKey]*entry
	lastID  uint64
}

type entry struct {
	place abi.RepeatPlace
	total *abi.RepeatTotal
	acked uint64
}

// Open reads the keys that an earlier loader left in the map. totals and reserves are as large as the maps.
func Open(keys Keys, totals []abi.RepeatTotal, reserves int, nowNs func() uint64) (*Table, error) {
	t := &Table{keys: keys, totals: totals, reserves: reserves, nowNs: nowNs, entries: map[abi.RepeatKey]*entry{}}
	err := keys.Each(func(key abi.RepeatKey, place abi.RepeatPlace) {
		if place.Total == all || int(place.Total) >= len(totals) {
			return
		}
		total := &totals[place.Total]
		t.entries[key] = &entry{place: place, total: total}
		t.lastID = max(t.lastID, total.Id)
	})
	if err != nil {
		return nil, fmt.Errorf("read the armed keys: %w", err)
	}
	return t, nil
}

// Arm arms a key, or prolongs the time of one that is armed. It returns which limit is reached if it does not; then each termination of the
// key is reported.
func (t *Table) Arm(arm wire.Arm) (full string, _ error) {
	key, err := keyOf(arm.Key)
	if err != nil {
		return "", err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.nowNs()
	until := min(arm.UntilNs, now+uint64(armedMax))
	if until <= now {
		return "", nil // The service read the termination late: the time is over.
	}
	known := t.entries[key]
	if known == nil {
		if known, full, err = t.add(key, outcomeOf(arm.As), now); known == nil {
			return full, err
		}
	}
	if known.total.Outcome == uint32(outcomeOf(arm.As)) { // Else its total must be acknowledged under the other one first.
		raise(&known.total.UntilNs, until)
		raise(&t.totals[all].UntilNs, until)
	}
	return "", nil
}

// Armed returns what the terminations with this key are counted as; "": the key is not armed.
func (t *Table) Armed(text string) (as string) {
	key, err := keyOf(text)
	if err != nil {
		return ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.entries[key]
	if known == nil || atomic.LoadUint64(&known.total.UntilNs) <= t.nowNs() {
		return ""
	}
	return nameOf(abi.RepeatOutcome(known.total.Outcome))
}

// add inserts a key that is not armed yet. nil: a limit is reached, or the map refuses it.
func (t *Table) add(key abi.RepeatKey, outcome abi.RepeatOutcome, now uint64) (_ *entry, full string, _ error) {
	usedTotals, usedReserves := map[uint32]bool{all: true}, map[uint32]bool{}
	place, sameOrigin := abi.RepeatPlace{}, 0
	for armed, other := range t.entries {
		usedTotals[other.place.Total], usedReserves[other.place.Reserve] = true, true
		if armed.Origin == key.Origin {
			sameOrigin++
			place.Reserve = other.place.Reserve
		}
	}
	var found bool
	switch place.Total, found = firstFree(usedTotals, len(t.totals)); {
	case !found:
		return nil, fmt.Sprintf("%d keys are armed, the limit", len(t.totals)-1), nil
	case sameOrigin >= OriginKeysMax:
		return nil, fmt.Sprintf("%d keys of the user %d in the cgroup %d are armed, the limit", sameOrigin, key.Origin.Uid, key.Origin.Cgroup), nil
	}
	if sameOrigin == 0 {
		if place.Reserve, found = firstFree(usedReserves, t.reserves); !found {
			return nil, fmt.Sprintf("keys of %d users are armed, the limit", t.reserves), nil
		}
		if err := t.keys.ClearReserve(place.Reserve); err != nil {
			return nil, "", fmt.Errorf("clear the reserve of an origin: %w", err)
		}
	}
	t.lastID = max(t.lastID+1, now)
	total := &t.totals[place.Total] // No probe uses it: no key refers to it.
	*total = abi.RepeatTotal{Id: t.lastID, Outcome: uint32(outcome)}
	if err := t.keys.Insert(key, place); err != nil {
		return nil, "", fmt.Errorf("arm a key: %w", err)
	}
	added := &entry{place: place, total: total}
	t.entries[key] = added
	return added, "", nil
}

// Counted notes that the service has stored the total of the entry with this id.
func (t *Table) Counted(id, total uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, entry := range t.entries {
		if entry.total.Id == id {
			entry.acked = max(entry.acked, total)
		}
	}
}

// Retire removes the keys whose time is over, when their whole total is acknowledged.
func (t *Table) Retire() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.nowNs()
	for key, entry := range t.entries {
		over := atomic.LoadUint64(&entry.total.UntilNs) + uint64(linger)
		if now < over || entry.acked != atomic.LoadUint64(&entry.total.Count) {
			continue
		}
		if err := t.keys.Delete(key); err != nil {
			return fmt.Errorf("remove a key: %w", err)
		}
		delete(t.entries, key)
	}
	return nil
}

// Entries returns the totals of all entries, in the order in which they were armed first.
func (t *Table) Entries() []wire.Repeat {
	t.mu.Lock()
	defer t.mu.Unlock()
	repeats := make([]wire.Repeat, 0, len(t.entries))
	for key, entry := range t.entries {
		total := entry.total
		repeats = append(repeats, wire.Repeat{
			ID: total.Id, Key: textOf(key), As: nameOf(abi.RepeatOutcome(total.Outcome)), Total: atomic.LoadUint64(&total.Count),
			FirstNs: atomic.LoadUint64(&total.FirstNs), LastNs: atomic.LoadUint64(&total.LastNs),
		})
	}
	slices.SortFunc(repeats, func(a, b wire.Repeat) int { return cmp.Compare(a.ID, b.ID) })
	return repeats
}

// raise sets a time that the probes read, unless it is later already.
func raise(at *uint64, until uint64) { atomic.StoreUint64(at, max(atomic.LoadUint64(at), until)) }

func firstFree(used map[uint32]bool, size int) (index uint32, found bool) {
	for index := range uint32(size) {
		if !used[index] {
			return index, true
		}
	}
	return 0, false
}

// textOf returns the key as the wire has it: its bytes in hexadecimal. The service does not read them.
func textOf(key abi.RepeatKey) string {
	return hex.EncodeToString(unsafe.Slice((*byte)(unsafe.Pointer(&key)), unsafe.Sizeof(key)))
}

func keyOf(text string) (key abi.RepeatKey, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != int(unsafe.Sizeof(key)) {
		return key, fmt.Errorf("%q is not the key of a termination: it must have %d bytes in hexadecimal", text, unsafe.Sizeof(key))
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&key)), unsafe.Sizeof(key)), raw)
	return key, nil
}

func outcomeOf(as string) abi.RepeatOutcome {
	if as == wire.AsFiltered {
		return abi.RepeatOutcomeREPEAT_FILTERED
	}
	return abi.RepeatOutcomeREPEAT_AGGREGATED
}

func nameOf(outcome abi.RepeatOutcome) string {
	if outcome == abi.RepeatOutcomeREPEAT_FILTERED {
		return wire.AsFiltered
	}
	return wire.AsAggregated
}
