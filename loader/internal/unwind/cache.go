// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"sync"

	"whodunit/loader/internal/unwind/cfi"
	"whodunit/loader/internal/unwind/image"
)

const (
	// factsMax and symbolsMax bound what is remembered of one file. A program crashes in few places.
	factsMax   = 4096
	symbolsMax = 4096
	// imageBytes is about what the headers of a file take.
	imageBytes = 8 << 10
	factsBytes = 192
	filesMax   = 64
)

// tables are what is remembered of a file. One stack at a time uses them.
type tables struct {
	image   *image.Image
	hash    string // image.HTLHash(); empty: not asked for, or not readable
	facts   map[uint64]facts
	symbols map[image.Query]image.Symbol // without a name: it has none
}

// facts are what the tables say of one instruction.
type facts struct {
	// Call frame information, and why there is none.
	row           cfi.Row
	err           error
	begin         uint64 // of the function
	signal        bool
	returnAddress uint64 // column

	function   image.GoFunction // without call frame information
	isGo       bool
	trampoline bool // signal handlers return here
}

func newTables(read *image.Image) *tables {
	return &tables{image: read, facts: map[uint64]facts{}, symbols: map[image.Query]image.Symbol{}}
}

func (t *tables) remember(address uint64, known facts) {
	if len(t.facts) == factsMax {
		clear(t.facts)
	}
	t.facts[address] = known
}

// rememberNames remembers what was found; and what was not, if the tables were read to their ends.
func (t *tables) rememberNames(asked []image.Query, found map[image.Query]image.Symbol, complete bool) {
	if len(t.symbols)+len(asked) > symbolsMax {
		clear(t.symbols)
	}
	for _, query := range asked {
		if symbol, ok := found[query]; ok || complete {
			t.symbols[query] = symbol
		}
	}
}

// size is about how much memory the tables take.
func (t *tables) size() int {
	bytes := imageBytes + t.image.Bytes()
	for _, known := range t.facts {
		bytes += factsBytes + known.row.Bytes() + len(known.function.Name)
	}
	for _, symbol := range t.symbols {
		bytes += 64 + len(symbol.Name)
	}
	return bytes
}

// cache keeps the tables of the files that crashed last.
type cache struct {
	bytesMax int

	mu      sync.Mutex
	entries []cacheEntry // last used at the end
	bytes   int
}

type cacheEntry struct {
	id     FileID
	tables *tables
	bytes  int
}

// take removes the tables from the cache, so that no other stack uses them; nil if it does not have them.
func (c *cache) take(id FileID) *tables {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, entry := range c.entries {
		if entry.id == id {
			c.remove(i)
			return entry.tables
		}
	}
	return nil
}

// put adds the tables, and drops those that were used longest ago.
func (c *cache) put(id FileID, t *tables) {
	entry := cacheEntry{id, t, t.size()}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.entries {
		if c.entries[i].id == id { // another stack read the same file meanwhile
			c.remove(i)
			break
		}
	}
	c.entries = append(c.entries, entry)
	c.bytes += entry.bytes
	for c.bytes > c.bytesMax || len(c.entries) > filesMax {
		c.remove(0)
	}
}

func (c *cache) remove(i int) {
	c.bytes -= c.entries[i].bytes
	c.entries = append(c.entries[:i], c.entries[i+1:]...)
}
