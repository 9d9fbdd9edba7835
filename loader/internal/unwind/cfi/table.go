// SPDX-License-Identifier: Apache-2.0

package cfi

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
)

const (
	// windowEntries of the search table are read at a time: the last seven steps of the search are in one window.
	windowEntries = 128
	// indexEntriesMax bounds the index of a file that has no search table, and with it its memory: 4 MiB.
	indexEntriesMax = 256 << 10
	// chunkBytes of .eh_frame are read at a time while the index is made.
	chunkBytes = 256 << 10
)

// Section is where a section lies, as addresses of the file. It is empty if the file has none.
type Section struct{ Address, Bytes uint64 }

// Table finds the entry for an address. The zero Table has none.
type Table struct {
	first   uint64 // address of the search table
	count   int    // of its entries
	base    uint64 // what its values are relative to
	frames  Section
	index   []indexed // of a file without a search table: sorted by begin
	indexed bool
}

type indexed struct{ begin, entry uint64 }

// ReadTable reads the head of .eh_frame_hdr. Without a usable one, the first Find reads all of .eh_frame.
func ReadTable(source Source, header, frames Section) Table {
	table := Table{frames: frames}
	head, err := source.Bytes(header.Address, 32)
	if header.Bytes == 0 || err != nil {
		return table
	}
	c := &cursor{bytes: head, address: header.Address}
	version, pointerEncoding, countEncoding, tableEncoding := c.u8(), c.u8(), c.u8(), c.u8()
	start := c.pointer(pointerEncoding, header.Address)
	count := c.pointer(countEncoding, header.Address)
	if c.failed || version != 1 {
		return table
	}
	if frames.Bytes == 0 { // no section headers
		table.frames = Section{Address: start, Bytes: 1 << 30}
	}
	if tableEncoding == encodingDataRelative|encodingSigned4 && count > 0 && count <= header.Bytes/8 {
		table.first, table.count, table.base = header.Address+uint64(c.at), int(count), header.Address
	}
	return table
}

// Bytes is how much memory the table holds.
func (t *Table) Bytes() int { return cap(t.index) * 16 }

// Find returns the entry that covers the address, or ErrNotFound.
func (t *Table) Find(source Source, pc uint64) (Entry, error) {
	address, err := t.search(source, pc)
	if err != nil {
		return Entry{}, err
	}
	entry, err := readEntry(source, address)
	if err != nil {
		return Entry{}, err
	}
	if pc < entry.Begin || pc >= entry.End {
		return Entry{}, ErrNotFound
	}
	return entry, nil
}

// search returns the address of the last entry that begins at or before pc.
func (t *Table) search(source Source, pc uint64) (uint64, error) {
	if t.count == 0 {
		if !t.indexed {
			if err := t.makeIndex(source); err != nil {
				return 0, err
			}
		}
		i := sort.Search(len(t.index), func(i int) bool { return t.index[i].begin > pc })
		if i == 0 {
			return 0, ErrNotFound
		}
		return t.index[i-1].entry, nil
	}
	w := window{table: t, source: source}
	i := sort.Search(t.count, func(i int) bool { return w.at(i).begin > pc })
	if i == 0 {
		return 0, ErrNotFound
	}
	return w.at(i - 1).entry, w.err
}

// window is the part of the search table that was read last.
type window struct {
	table  *Table
	source Source
	bytes  []byte
	first  int
	err    error
}

func (w *window) at(i int) indexed {
	if w.err == nil && (w.bytes == nil || i < w.first || i >= w.first+len(w.bytes)/8) {
		w.first = i - i%windowEntries
		n := min(windowEntries, w.table.count-w.first) * 8
		w.bytes, w.err = w.source.Bytes(w.table.first+uint64(w.first)*8, n)
		if w.err == nil && len(w.bytes) < n {
			w.err = fmt.Errorf("search table at %#x: cut off", w.table.first)
		}
	}
	if w.err != nil {
		return indexed{begin: ^uint64(0)}
	}
	entry := w.bytes[(i-w.first)*8:]
	return indexed{w.relative(entry), w.relative(entry[4:])}
}

func (w *window) relative(bytes []byte) uint64 {
	return w.table.base + uint64(int64(int32(binary.LittleEndian.Uint32(bytes))))
}

// makeIndex reads all of .eh_frame, once. It keeps nothing if a read fails other than at the end.
func (t *Table) makeIndex(source Source) error {
	chunk := chunked{source: source}
	end := t.frames.Address + t.frames.Bytes
	var index []indexed
	for at := t.frames.Address; at+8 <= end && len(index) < indexEntriesMax; {
		head, err := chunk.Bytes(at, 8)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if len(head) < 8 {
			break
		}
		length := binary.LittleEndian.Uint32(head)
		if length == 0 || length > entryBytesMax {
			break
		}
		if binary.LittleEndian.Uint32(head[4:]) != 0 {
			if entry, err := readEntry(&chunk, at); err == nil {
				index = append(index, indexed{entry.Begin, at})
			}
		}
		at += 4 + uint64(length)
	}
	slices.SortFunc(index, func(a, b indexed) int { return cmp.Compare(a.begin, b.begin) })
	t.index, t.indexed = slices.Clip(index), true
	return nil
}

// chunked reads a source from the front to the back in large pieces.
type chunked struct {
	source  Source
	bytes   []byte
	address uint64
}

// Bytes implements Source.
func (c *chunked) Bytes(address uint64, n int) ([]byte, error) {
	if at := address - c.address; at <= uint64(len(c.bytes)) && uint64(len(c.bytes))-at >= uint64(n) {
		return c.bytes[at:][:n], nil
	}
	if address < c.address { // a CIE that lies before the chunk
		return c.source.Bytes(address, n)
	}
	bytes, err := c.source.Bytes(address, max(n, chunkBytes))
	if err != nil {
		return nil, err
	}
	c.bytes, c.address = bytes, address
	return bytes[:min(n, len(bytes))], nil
}
