// SPDX-License-Identifier: Apache-2.0

// Names of kernel functions, from /proc/kallsyms. Reading its five megabytes takes longer than all the rest of the start, so that is
// done while the loader serves already; who asks for a name before waits.
// The kernel shows addresses to whoever had CAP_SYSLOG when the file was opened (kallsyms_open()): open it before privileges are dropped.
package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"sync"
)

const (
	kernelSymbolsPath = "/proc/kallsyms"
	// functionBytesMax tells the last function before a gap from what lies beyond: modules and BPF programs loaded later.
	functionBytesMax = 256 << 10
)

// kernelSymbols finds functions by address. Safe for concurrent use.
type kernelSymbols struct {
	table     io.ReaderAt // /proc/kallsyms
	read      sync.Once
	functions []function // sorted by address
	block     []byte     // the names, each with a NUL: all of a kernel stay below 3 MB
}

type function struct {
	address uint64
	name    uint32 // where it begins in block
}

func openKernelSymbols() (*kernelSymbols, error) {
	table, err := os.Open(kernelSymbolsPath)
	if err != nil {
		return nil, err
	}
	symbols, err := newKernelSymbols(table)
	if err != nil {
		return nil, errors.Join(err, table.Close())
	}
	return symbols, nil
}

// newKernelSymbols fails if the table hides its addresses; the text says what to do.
func newKernelSymbols(table io.ReaderAt) (*kernelSymbols, error) {
	found := false
	err := eachFunction(table, func(uint64, []byte) bool { found = true; return false })
	if err == nil && !found {
		err = errors.New("/proc/kallsyms shows no addresses: it needs CAP_SYSLOG, and kernel.kptr_restrict below 2")
	}
	if err != nil {
		return nil, err
	}
	return &kernelSymbols{table: table}, nil
}

// count is how many functions the table has.
func (s *kernelSymbols) count() int {
	s.read.Do(s.load)
	return len(s.functions)
}

// names appends the name of the function that each address lies in, "" where there is none or the table is nil. What the compiler
// split off (name.isra.0, name.cold) goes by the function's own name.
func (s *kernelSymbols) names(out []string, addresses []uint64) []string {
	if s == nil {
		return append(out, make([]string, len(addresses))...)
	}
	s.read.Do(s.load)
	for _, address := range addresses {
		out = append(out, s.name(address))
	}
	return out
}

func (s *kernelSymbols) name(address uint64) string {
	i := sort.Search(len(s.functions), func(i int) bool { return s.functions[i].address > address }) - 1
	if i < 0 || address-s.functions[i].address > functionBytesMax {
		return ""
	}
	name, _, _ := bytes.Cut(s.block[s.functions[i].name:], nul)
	return alias(name)
}

// load reads the table twice, so that nothing is allocated that is not kept. One that cannot be read to its end names what was read.
func (s *kernelSymbols) load() {
	count, length := 0, 0
	eachFunction(s.table, func(_ uint64, name []byte) bool {
		count, length = count+1, length+len(name)+1
		return true
	})
	s.functions, s.block = make([]function, 0, count), make([]byte, 0, length)
	eachFunction(s.table, func(address uint64, name []byte) bool {
		s.functions = append(s.functions, function{address, uint32(len(s.block))})
		s.block = append(append(s.block, name...), 0)
		return true
	})
	slices.SortStableFunc(s.functions, func(a, b function) int { return cmp.Compare(a.address, b.address) })
}

// eachFunction reads lines "address type name [module]" and yields the functions (types t, T, w, W) until it is told false.
// The name is valid during the call.
func eachFunction(table io.ReaderAt, yield func(address uint64, name []byte) bool) error {
	buffer := make([]byte, 0, 64<<10)
	for offset := int64(0); ; {
		n, err := table.ReadAt(buffer[len(buffer):cap(buffer)], offset)
		offset += int64(n)
		buffer = buffer[:len(buffer)+n]
		rest := buffer
		for {
			line, after, whole := bytes.Cut(rest, newline)
			if !whole {
				break
			}
			rest = after
			if address, name := functionOf(line); address != 0 && !yield(address, name) {
				return nil
			}
		}
		buffer = buffer[:copy(buffer[:cap(buffer)], rest)]
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("read %s: %w", kernelSymbolsPath, err)
		case len(buffer) == cap(buffer):
			return fmt.Errorf("read %s: a line has more than %d bytes", kernelSymbolsPath, cap(buffer))
		}
	}
}

// functionOf reads a line; the address is 0 if it is hidden, or the line no function's.
func functionOf(line []byte) (address uint64, name []byte) {
	i := 0
	for ; i < len(line) && line[i] != ' '; i++ {
		switch c := line[i]; {
		case c >= '0' && c <= '9':
			address = address<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			address = address<<4 | uint64(c-'a'+10)
		default:
			return 0, nil
		}
	}
	if len(line) < i+4 || line[i+2] != ' ' || line[i+1]|0x20 != 't' && line[i+1]|0x20 != 'w' {
		return 0, nil
	}
	name = line[i+3:]
	if bytes.HasPrefix(name, padding) {
		return 0, nil
	}
	for end, c := range name {
		if c == '.' || c == '\t' || c == ' ' {
			return address, name[:end]
		}
	}
	return address, name
}

var (
	newline = []byte{'\n'}
	padding = []byte("__pfx_") // CONFIG_FUNCTION_PADDING_BYTES names what lies before each function; nothing runs there.
)
