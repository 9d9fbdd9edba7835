// SPDX-License-Identifier: Apache-2.0

package ring_test

import (
	"testing"

	"whodunit/loader/internal/record/recordtest"
	"whodunit/loader/internal/ring"
	"whodunit/loader/internal/ring/ringtest"
)

func TestABusyRecordIsNotRead(t *testing.T) {
	memory := ringtest.New(t, 1<<12)
	memory.Put(recordtest.Record(256), ring.Busy)
	memory.Put(recordtest.Record(512), 0)
	if _, _, ok, err := memory.Reader().Next(0); ok || err != nil {
		t.Error("read a record that is not committed")
	}
}
