// SPDX-License-Identifier: Apache-2.0

package probes

import (
	"errors"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/repeats"
)

// Repeats opens the table of the keys that are only counted.
func (p *Probes) Repeats() (*repeats.Table, error) {
	return repeats.Open(repeatKeys{p.repeats, p.repeatReserves}, p.totals, int(p.repeatReserves.MaxEntries()), bootNs)
}

// repeatKeys implements repeats.Keys with the probes' maps.
type repeatKeys struct{ keys, reserves *ebpf.Map }

func (k repeatKeys) Insert(key abi.RepeatKey, place abi.RepeatPlace) error {
	return k.keys.Update(&key, &place, ebpf.UpdateNoExist)
}

func (k repeatKeys) Delete(key abi.RepeatKey) error {
	if err := k.keys.Delete(&key); !errors.Is(err, ebpf.ErrKeyNotExist) {
		return err
	}
	return nil
}

func (k repeatKeys) Each(do func(abi.RepeatKey, abi.RepeatPlace)) error {
	var key abi.RepeatKey
	var place abi.RepeatPlace
	keys := k.keys.Iterate()
	for keys.Next(&key, &place) {
		do(key, place)
	}
	return keys.Err()
}

func (k repeatKeys) ClearReserve(index uint32) error {
	return k.reserves.Update(index, abi.RepeatReserve{}, ebpf.UpdateAny)
}

// bootNs returns CLOCK_BOOTTIME, the clock of bpf_ktime_get_boot_ns().
func bootNs() uint64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		panic(err) // It fails only for an unknown clock.
	}
	return uint64(now.Nano())
}
