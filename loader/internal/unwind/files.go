// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"time"

	"whodunit/loader/internal/unwind/cfi"
	"whodunit/loader/internal/unwind/image"
)

var errLimit = errors.New("the limit of time, bytes or reads for one stack is reached")

// meter counts what reading files costs, for all files of one stack.
type meter struct {
	deadline time.Time
	bytes    int64
	reads    int
	exceeded bool
}

func (m *meter) charge(n int) error {
	m.bytes -= int64(n)
	m.reads--
	if m.exceeded || m.bytes < 0 || m.reads < 0 || time.Now().After(m.deadline) {
		m.exceeded = true
		return errLimit
	}
	return nil
}

// files are the files of one stack's modules. Each is opened when it is first read.
type files struct {
	modules  []Module
	machine  elf.Machine
	cache    *cache
	meter    meter
	loaded   map[FileID]*loaded
	problems []error
}

// loaded is a file of this stack. tables is nil if the file cannot be used.
type loaded struct {
	*tables
	module *Module
	files  *files
	file   File
	failed error
}

// find returns the module that contains the address; nil if there is none.
func (f *files) find(pc uint64) *Module {
	i := sort.Search(len(f.modules), func(i int) bool { return f.modules[i].End > pc })
	if i == len(f.modules) || pc < f.modules[i].Start {
		return nil
	}
	return &f.modules[i]
}

// load returns the tables of the module's file; nil if there are none.
func (f *files) load(module *Module) *loaded {
	if module == nil || module.Open == nil {
		return nil
	}
	if l, ok := f.loaded[module.File]; ok {
		return l.usable()
	}
	l := &loaded{module: module, files: f, tables: f.cache.take(module.File)}
	if f.loaded == nil {
		f.loaded = map[FileID]*loaded{}
	}
	f.loaded[module.File] = l
	if l.tables == nil {
		read, err := image.Read(l)
		if err == nil && read.Machine != f.machine {
			err = fmt.Errorf("it is for %v", read.Machine)
		}
		if err != nil {
			f.problem(fmt.Errorf("%s: %w", module.Path, err))
			return nil
		}
		l.tables = newTables(read)
	}
	return l
}

func (l *loaded) usable() *loaded {
	if l.tables == nil {
		return nil
	}
	return l
}

// executableHash returns the hash of the file that was executed; empty if it cannot be read.
func (f *files) executableHash() string {
	at := slices.IndexFunc(f.modules, func(m Module) bool { return m.Executable })
	if at < 0 {
		return ""
	}
	l := f.load(&f.modules[at])
	if l == nil {
		return ""
	}
	if l.hash == "" {
		l.hash, _ = image.HTLHash(l, l.module.File.Bytes) // the problem of a file that cannot be read is known by its frames
	}
	return l.hash
}

func (f *files) problem(err error) {
	if len(f.problems) < problemsMax {
		f.problems = append(f.problems, err)
	}
}

// close closes the files, and gives their tables to the cache.
func (f *files) close() {
	for id, l := range f.loaded {
		if l.file != nil {
			l.file.Close()
		}
		if l.tables != nil {
			f.cache.put(id, l.tables)
		}
	}
}

// ReadAt implements io.ReaderAt. It opens the file first, if that has not been done.
func (l *loaded) ReadAt(p []byte, offset int64) (int, error) {
	if err := l.files.meter.charge(len(p)); err != nil {
		return 0, err
	}
	if l.file == nil && l.failed == nil {
		l.file, l.failed = l.module.Open()
	}
	if l.failed != nil {
		return 0, l.failed
	}
	return l.file.ReadAt(p, offset)
}

var _ io.ReaderAt = (*loaded)(nil)

// known returns what the tables say of the place's instruction.
func (l *loaded) known(p *place, trampolines []string) facts {
	if known, ok := l.facts[p.lookup]; ok {
		return known
	}
	entry, err := l.image.Frame(l, p.lookup)
	known := facts{begin: entry.Begin, signal: entry.Signal(), returnAddress: entry.ReturnAddress()}
	if err == nil {
		known.row, err = entry.Row(p.lookup)
	}
	known.err = err
	if err != nil {
		known.function, known.isGo = l.image.GoFunction(l, p.lookup)
	}
	if (err != nil || known.signal) && !p.exact {
		known.trampoline = l.isTrampoline(p.module, p.pc, trampolines)
	}
	if l.files.meter.exceeded {
		return known
	}
	if err != nil && !errors.Is(err, cfi.ErrNotFound) {
		l.files.problem(fmt.Errorf("%s: %w", l.module.Path, err))
	}
	l.remember(p.lookup, known)
	return known
}

// names returns the symbols for the queries, by one pass over the tables for those that are not known yet.
func (l *loaded) names(queries []image.Query) map[image.Query]image.Symbol {
	var open []image.Query
	for _, query := range queries {
		if _, known := l.symbols[query]; !known {
			open = append(open, query)
		}
	}
	if len(open) > 0 {
		found, err := l.image.Names(l, open)
		if err != nil {
			l.files.problem(fmt.Errorf("%s: names: %w", l.module.Path, err))
		}
		l.rememberNames(open, found, err == nil)
	}
	return l.symbols
}

// isTrampoline reports whether the code at the address is one of the trampolines.
func (l *loaded) isTrampoline(module *Module, pc uint64, trampolines []string) bool {
	return slices.ContainsFunc(trampolines, func(trampoline string) bool {
		code, ok := l.code(module, pc+uint64(len(trampoline)), len(trampoline))
		return ok && string(code) == trampoline
	})
}

// code returns n bytes of the module's code that end before pc.
func (l *loaded) code(module *Module, pc uint64, n int) ([]byte, bool) {
	offset := pc - module.Start + module.Offset
	if offset < uint64(n) {
		return nil, false
	}
	raw, err := image.Code(l, offset-uint64(n), n)
	return raw, err == nil
}
