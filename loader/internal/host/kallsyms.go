// SPDX-License-Identifier: Apache-2.0

package host

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
	"unsafe"
)

const (
	kernelSymbolsPath = "/proc/kallsyms"
	// functionBytesMax limits the length of a function. Addresses beyond the last function before a gap belong to modules and BPF
	// programs that were loaded later.
	functionBytesMax = 256 << 10
	// paddingPrefix (CONFIG_FUNCTION_PADDING_BYTES) names the padding before each function. No code runs there.
	paddingPrefix = "__pfx_"
)

// Symbols finds kernel functions by address, in /proc/kallsyms. Reading its five megabytes takes longer than the rest of the start, so that
// happens at the first use. Safe for concurrent use: callers wait until the table is read. A nil *Symbols knows no function.
type Symbols struct {
	table     io.ReaderAt
	read      sync.Once
	functions []function // sorted by address
	block     []byte     // the names, each with a NUL: below 3 MB for a whole kernel
}

type function struct {
	address uint64
	name    uint32 // where it begins in block
}

// OpenSymbols opens the kernel's table, which stays open. It fails if the addresses are hidden: the kernel shows them only to a reader that had
// CAP_SYSLOG when it opened the file (kallsyms_open()), so call it before DropPrivileges.
func OpenSymbols() (*Symbols, error) {
	table, err := os.Open(kernelSymbolsPath)
	if err != nil {
		return nil, err
	}
	symbols, err := newSymbols(table)
	if err != nil {
		return nil, errors.Join(err, table.Close())
	}
	return symbols, nil
}

// newSymbols fails if the table shows no address.
func newSymbols(table io.ReaderAt) (*Symbols, error) {
	found := false
	err := eachFunction(table, func(uint64, []byte) bool { found = true; return false })
	if err == nil && !found {
		err = errors.New("/proc/kallsyms hides the addresses; reading them needs CAP_SYSLOG, and the sysctl kernel.kptr_restrict at 0 or 1")
	}
	if err != nil {
		return nil, err
	}
	return &Symbols{table: table}, nil
}

// Load reads the table, unless that is done. If a read fails, the functions before it are kept.
func (s *Symbols) Load() {
	if s != nil {
		s.read.Do(s.load)
	}
}

// Count returns the number of functions in the table. s is not nil.
func (s *Symbols) Count() int {
	s.Load()
	return len(s.functions)
}

// Names appends to out the name of the function that contains each address, "" where there is none or s is nil. A part that the compiler
// split off (name.isra.0, name.cold) has the name of its function. The names alias s.
func (s *Symbols) Names(out []string, addresses []uint64) []string {
	if s == nil {
		return append(out, make([]string, len(addresses))...)
	}
	s.Load()
	for _, address := range addresses {
		out = append(out, s.name(address))
	}
	return out
}

func (s *Symbols) name(address uint64) string {
	i := sort.Search(len(s.functions), func(i int) bool { return s.functions[i].address > address }) - 1
	if i < 0 || address-s.functions[i].address > functionBytesMax {
		return ""
	}
	name, _, _ := bytes.Cut(s.block[s.functions[i].name:], []byte{0})
	return unsafe.String(unsafe.SliceData(name), len(name))
}

// load reads the table twice, so that it allocates only what it keeps.
func (s *Symbols) load() {
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

// eachFunction reads lines "address type name [module]" and yields the functions (types t, T, w, W) until yield returns false.
// The name is valid during the call.
func eachFunction(table io.ReaderAt, yield func(address uint64, name []byte) bool) error {
	buffer := make([]byte, 0, 64<<10)
	for offset := int64(0); ; {
		n, err := table.ReadAt(buffer[len(buffer):cap(buffer)], offset)
		offset += int64(n)
		buffer = buffer[:len(buffer)+n]
		rest := buffer
		for {
			line, after, whole := bytes.Cut(rest, []byte{'\n'})
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

// functionOf reads one line. The address is 0 if it is hidden or the line is not a function's.
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
	if bytes.HasPrefix(name, []byte(paddingPrefix)) {
		return 0, nil
	}
	for end, c := range name {
		if c == '.' || c == '\t' || c == ' ' {
			return address, name[:end]
		}
	}
	return address, name
}
