// SPDX-License-Identifier: Apache-2.0

package server

import (
	"slices"
	"strconv"

	"whodunit/loader/internal/host"
	"whodunit/loader/internal/record"
	"whodunit/loader/internal/wire"
)

// Repeats arms the keys of terminations, and has their totals.
type Repeats interface {
	// Arm arms a key. full: which limit is reached; then its terminations are reported. The error is that of a key that is malformed, or of the
	// probes' maps.
	Arm(arm wire.Arm) (full string, err error)
	// Armed returns what the terminations with this key are counted as; "": the key is not armed.
	Armed(key string) (as string)
	// Counted notes that the service has stored the total of an entry.
	Counted(id, total uint64)
	// Retire removes the entries whose time is over and whose whole total is stored.
	Retire() error
	Entries() []wire.Repeat
}

// sentRepeats is what a consumer was sent of the entries: the last total of each.
type sentRepeats struct {
	no     uint64
	totals map[uint64]uint64
}

// arm arms a key for the consumer. An error closes the connection.
func (s *session) arm(arm wire.Arm) error {
	if s.role() != wire.RoleConsumer {
		return &wire.Error{Code: wire.CodeNotConsumer, Message: "only the consumer may arm keys"}
	}
	if arm.Equal {
		s.readsEqual.Store(true)
	}
	full, err := s.server.config.Repeats.Arm(arm)
	if err != nil {
		return &wire.Error{Code: wire.CodeBadLine, Message: err.Error()}
	}
	if full != "" {
		s.server.config.Log.Limitf("armed", "equal terminations are not counted in the kernel but reported one by one: %s", full)
	}
	return nil
}

// countedAs returns what a termination counts as that was in the ring when its key was armed: the probes would have counted it, too. "": it is
// to be reported.
func (s *session) countedAs(repeat *record.Repeat) (as string) {
	if repeat == nil || repeat.Caused || !s.readsEqual.Load() {
		return ""
	}
	return s.server.config.Repeats.Armed(repeat.Key)
}

// counted notes a total that the consumer has stored. An error closes the connection.
func (s *session) counted(counted wire.Counted) error {
	if s.role() != wire.RoleConsumer {
		return &wire.Error{Code: wire.CodeNotConsumer, Message: "only the consumer may acknowledge totals"}
	}
	s.server.config.Repeats.Counted(counted.ID, counted.Total)
	return nil
}

// refreshRepeats removes what is acknowledged, and reads the totals. It returns false if nothing has changed.
func (s *Server) refreshRepeats() bool {
	if err := s.config.Repeats.Retire(); err != nil {
		s.config.Log.Limitf("retire", "could not remove the keys of counted terminations: %v", err)
	}
	entries := s.config.Repeats.Entries()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.repeatsNo > 0 && slices.Equal(entries, s.repeats) {
		return false
	}
	s.repeats = entries
	s.repeatsNo++
	return true
}

// countsRepeats reports whether terminations may be counted in the kernel, which do not arrive.
func (s *Server) countsRepeats() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.repeats) > 0
}

// appendRepeats appends the totals that the consumer was not sent yet, then the list of all entries.
func (s *session) appendRepeats(batch []byte, sent *sentRepeats) ([]byte, error) {
	s.server.mu.Lock()
	entries, no := s.server.repeats, s.server.repeatsNo
	s.server.mu.Unlock()
	if no == sent.no || len(entries) == 0 && len(sent.totals) == 0 {
		return batch, nil
	}
	totals, list := map[uint64]uint64{}, wire.Repeats{IDs: make([]string, 0, len(entries))}
	offset := host.ClockOffsetNs()
	for _, entry := range entries {
		totals[entry.ID] = entry.Total
		list.IDs = append(list.IDs, strconv.FormatUint(entry.ID, 10))
		if total, known := sent.totals[entry.ID]; known && total == entry.Total {
			continue
		}
		entry.ClockOffsetNs = offset
		line, err := wire.EncodeLine("repeat", entry)
		if err != nil {
			return nil, err
		}
		batch = append(batch, line...)
	}
	line, err := wire.EncodeLine("repeats", list)
	if err != nil {
		return nil, err
	}
	*sent = sentRepeats{no, totals}
	return append(batch, line...), nil
}
