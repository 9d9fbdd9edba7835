// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"cmp"
	"debug/elf"
	"encoding/binary"
	"io"
	"slices"
	"sort"
	"strings"
)

const (
	symbolBytes      = 24
	symbolsPerRead   = 8192
	symbolsBytesMax  = 256 << 20
	nameBytesMax     = 4096
	candidatesMax    = 16 // aliases of one function that are weighed
	bindingGlobal    = 1
	bindingWeak      = 2
	typeNone         = 0
	typeFunction     = 2
	typeIndirect     = 10 // GNU: a function that selects a function
	sectionUndefined = 0
)

// Query asks for the function at an address of the file.
type Query struct {
	Address uint64
	Begin   uint64 // where call frame information says that the function begins; 0: not known
}

// Symbol is a function.
type Symbol struct {
	Address uint64
	Name    string // as it is in the file
}

// Names finds the functions in .symtab, .dynsym and .gnu_debugdata, in this order: one pass over each table that is needed. Only a symbol whose
// size covers the address counts, or that begins where call frame information says: the nearest symbol before it may be another function.
func (i *Image) Names(file io.ReaderAt, queries []Query) (map[Query]Symbol, error) {
	found := map[Query]Symbol{}
	for _, table := range [][2]string{{".symtab", ".strtab"}, {".dynsym", ".dynstr"}} {
		if err := i.search(file, table, queries, found); err != nil {
			return found, err
		}
	}
	if _, ok := i.sections[debugData]; !ok || len(found) == len(queries) {
		return found, nil
	}
	mini, contents, err := i.readDebugData(file)
	if err != nil {
		return found, err
	}
	return found, mini.search(contents, [2]string{".symtab", ".strtab"}, queries, found)
}

// candidate is a symbol that covers an address.
type candidate struct {
	address, size uint64
	name          uint32
	binding       uint8
}

// search looks for what is not found yet in one symbol table.
func (i *Image) search(file io.ReaderAt, names [2]string, queries []Query, found map[Query]Symbol) error {
	table, ok := i.sections[names[0]]
	texts := i.sections[names[1]]
	open := slices.DeleteFunc(slices.Clone(queries), func(q Query) bool { _, known := found[q]; return known })
	if !ok || table.Size > symbolsBytesMax || len(open) == 0 {
		return nil
	}
	slices.SortFunc(open, func(a, b Query) int { return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.Begin, b.Begin)) })
	candidates := map[Query][]candidate{}
	for at := uint64(0); at+symbolBytes <= table.Size; at += symbolsPerRead * symbolBytes {
		n := min(symbolsPerRead, (table.Size-at)/symbolBytes)
		raw, err := readAt(file, table.Off+at, int(n*symbolBytes))
		if err != nil {
			return err
		}
		for ; len(raw) > 0; raw = raw[symbolBytes:] {
			match(raw, open, candidates)
		}
	}
	for query, list := range candidates {
		if symbol, ok := best(file, texts, list); ok {
			found[query] = symbol
		}
	}
	return nil
}

// match adds the symbol (Elf64_Sym) to the candidates of each query that it answers. Queries are sorted.
func match(raw []byte, queries []Query, candidates map[Query][]candidate) {
	kind, binding := raw[4]&15, raw[4]>>4
	if (kind != typeFunction && kind != typeIndirect && kind != typeNone) || binary.LittleEndian.Uint16(raw[6:]) == sectionUndefined {
		return
	}
	address, size := binary.LittleEndian.Uint64(raw[8:]), binary.LittleEndian.Uint64(raw[16:])
	if address > queries[len(queries)-1].Address || (size > 0 && queries[0].Address-min(address, queries[0].Address) >= size) {
		return
	}
	first := sort.Search(len(queries), func(i int) bool { return queries[i].Address >= address })
	for _, query := range queries[first:] {
		covered := query.Address-address < size
		if !covered && (size > 0 || query.Begin > address) {
			break
		}
		if !covered && query.Begin != address {
			continue
		}
		if len(candidates[query]) < candidatesMax {
			candidates[query] = append(candidates[query], candidate{address, size, binary.LittleEndian.Uint32(raw), binding})
		}
	}
}

// best returns the innermost of the symbols, and of its aliases the one that people know: fewest underscores in front, then global before weak
// before local, then the shortest.
func best(file io.ReaderAt, texts elf.Section64, list []candidate) (Symbol, bool) {
	slices.SortStableFunc(list, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.address, a.address), cmp.Compare(a.size, b.size))
	})
	var names []string
	var bindings []uint8
	for _, symbol := range list {
		if symbol.address != list[0].address {
			break
		}
		if name := text(file, texts, symbol.name); name != "" && name[0] != '$' { // arm64: $x marks code
			names, bindings = append(names, name), append(bindings, symbol.binding)
		}
	}
	if len(names) == 0 {
		return Symbol{}, false
	}
	chosen := 0
	for i := range names {
		if cmp.Or(cmp.Compare(underscores(names[i]), underscores(names[chosen])), cmp.Compare(rank(bindings[i]), rank(bindings[chosen])),
			cmp.Compare(len(names[i]), len(names[chosen])), cmp.Compare(names[i], names[chosen])) < 0 {
			chosen = i
		}
	}
	return Symbol{list[0].address, names[chosen]}, true
}

// underscores counts those in front of a C name. Those of mangled names (_Z, _R) say nothing.
func underscores(name string) int {
	if strings.HasPrefix(name, "_Z") || strings.HasPrefix(name, "_R") {
		return 0
	}
	return len(name) - len(strings.TrimLeft(name, "_"))
}

func rank(binding uint8) int {
	switch binding {
	case bindingGlobal:
		return 0
	case bindingWeak:
		return 1
	}
	return 2
}

// text returns a text of a string table; empty if it is not there.
func text(file io.ReaderAt, texts elf.Section64, at uint32) string {
	if uint64(at) >= texts.Size {
		return ""
	}
	raw, err := readAt(file, texts.Off+uint64(at), int(min(nameBytesMax, texts.Size-uint64(at))))
	if err != nil {
		return ""
	}
	name, _, _ := bytes.Cut(raw, []byte{0})
	return string(name)
}
