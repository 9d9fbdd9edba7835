// SPDX-License-Identifier: Apache-2.0

// Names of kernel functions, from /proc/kallsyms. Addresses show only with CAP_SYSLOG (or root, by kernel.kptr_restrict), so the
// table is read once at the start, before privileges are dropped.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
)

// functionBytesMax tells the last function before a gap from what lies beyond: modules and BPF programs loaded later.
const functionBytesMax = 256 << 10

// kernelSymbols is sorted by address. The names lie in one block: an address table of a whole kernel stays below 3 MB.
type kernelSymbols struct {
	addresses []uint64
	ends      []uint32
	names     []byte
}

// loadKernelSymbols fails if the addresses are hidden; the text says what to do.
func loadKernelSymbols() (*kernelSymbols, error) {
	file, err := os.Open("/proc/kallsyms")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return parseKernelSymbols(file)
}

// parseKernelSymbols reads lines "address type name [module]" and keeps the functions (types t, T, w, W).
func parseKernelSymbols(from io.Reader) (*kernelSymbols, error) {
	type symbol struct {
		address    uint64
		start, end uint32
	}
	var symbols []symbol
	var names []byte
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		fields := bytes.Fields(lines.Bytes())
		if len(fields) < 3 || len(fields[1]) != 1 || bytes.IndexByte([]byte("tTwW"), fields[1][0]) < 0 {
			continue
		}
		address, err := strconv.ParseUint(string(fields[0]), 16, 64)
		if err != nil || address == 0 {
			continue
		}
		start := uint32(len(names))
		names = append(names, fields[2]...)
		symbols = append(symbols, symbol{address, start, uint32(len(names))})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read /proc/kallsyms: %w", err)
	}
	if len(symbols) == 0 {
		return nil, fmt.Errorf("/proc/kallsyms shows no addresses: it needs CAP_SYSLOG, and kernel.kptr_restrict below 2")
	}
	sort.SliceStable(symbols, func(i, j int) bool { return symbols[i].address < symbols[j].address })
	out := &kernelSymbols{addresses: make([]uint64, len(symbols)), ends: make([]uint32, len(symbols)), names: make([]byte, 0, len(names))}
	for i, symbol := range symbols {
		out.addresses[i] = symbol.address
		out.names = append(out.names, names[symbol.start:symbol.end]...)
		out.ends[i] = uint32(len(out.names))
	}
	return out, nil
}

// name returns the function that the address lies in; "" if the table is empty (nil) or begins later. What the compiler split off
// (name.isra.0, name.cold) goes by the function's own name.
func (s *kernelSymbols) name(address uint64) string {
	if s == nil {
		return ""
	}
	i := sort.Search(len(s.addresses), func(i int) bool { return s.addresses[i] > address }) - 1
	if i < 0 || address-s.addresses[i] > functionBytesMax {
		return ""
	}
	start := uint32(0)
	if i > 0 {
		start = s.ends[i-1]
	}
	name, _, _ := bytes.Cut(s.names[start:s.ends[i]], []byte("."))
	return string(name)
}
