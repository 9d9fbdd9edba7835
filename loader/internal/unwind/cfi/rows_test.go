// SPDX-License-Identifier: Apache-2.0

package cfi

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/go-delve/delve/pkg/dwarf/frame"
)

// allRows compares the rows of all libraries, which takes ten minutes (go test -timeout). Without it, only those that nearly every process has, and those with rows
// that no other library has.
const allRows = "WHODUNIT_CFI_ALL"

// libraries returns patterns of their paths.
func libraries() []string {
	if os.Getenv(allRows) != "" {
		return []string{"/lib/*-linux-gnu/*.so*", "/usr/lib64/*.so*", "/lib/ld-musl-*.so.1", "/usr/lib/jvm/*/lib/server/libjvm.so", "/usr/bin/python3*"}
	}
	var patterns []string
	for _, directory := range []string{"/lib/*-linux-gnu/", "/usr/lib64/", "/usr/aarch64-linux-gnu/lib/"} {
		for _, name := range []string{"libc.so.6", "ld-linux-*.so.*", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1", "libcrypto.so.?", "libgcrypt.so.??"} {
			patterns = append(patterns, directory+name)
		}
	}
	return patterns
}

func TestEveryRowOfTheMachinesLibrariesIsTheOneOfDelve(t *testing.T) {
	seen, rows, files := map[string]bool{}, 0, 0
	for _, pattern := range libraries() {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			path, err := filepath.EvalSymlinks(name)
			if err != nil || seen[path] {
				continue
			}
			seen[path] = true
			n, err := compareFile(path)
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
			if n > 0 {
				rows, files = rows+n, files+1
			}
		}
	}
	if rows == 0 {
		t.Skip("the machine has no libraries with call frame information")
	}
	t.Logf("%d rows of %d files", rows, files)
}

// compareFile returns the number of rows, 0 if the file has no call frame information.
func compareFile(path string) (int, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	parsed, err := elf.NewFile(file)
	if err != nil { // a linker script
		return 0, nil
	}
	section, header := parsed.Section(".eh_frame"), parsed.Section(".eh_frame_hdr")
	if parsed.Class != elf.ELFCLASS64 || section == nil || header == nil || section.Type == elf.SHT_NOBITS {
		return 0, nil
	}
	data, err := section.Data()
	if err != nil {
		return 0, err
	}
	entries, err := frame.Parse(data, binary.LittleEndian, 0, 8, section.Addr)
	if err != nil {
		return 0, fmt.Errorf("delve: %w", err)
	}
	source := segments{parsed}
	byHeader := ReadTable(source, Section{header.Addr, header.Size}, Section{section.Addr, section.Size})
	byIndex := ReadTable(source, Section{}, Section{section.Addr, section.Size})
	if byHeader.count == 0 {
		return 0, errors.New("the search table is not read")
	}
	rows := 0
	for i, theirs := range entries {
		if theirs.Begin() == theirs.End() {
			continue
		}
		table := &byHeader
		if i%16 == 0 { // the index is made of the same entries
			table = &byIndex
		}
		n, err := compareEntry(table, source, theirs)
		if err != nil {
			return rows, err
		}
		rows += n
	}
	return rows, nil
}

// compareEntry compares each row of the entry, at its first and its last address.
func compareEntry(table *Table, source Source, theirs *frame.FrameDescriptionEntry) (rows int, err error) {
	ours, err := table.Find(source, theirs.Begin())
	if err != nil {
		return 0, fmt.Errorf("%#x: %w", theirs.Begin(), err)
	}
	if ours.Begin != theirs.Begin() || ours.End != theirs.End() {
		return 0, fmt.Errorf("entry [%#x, %#x), delve has [%#x, %#x)", ours.Begin, ours.End, theirs.Begin(), theirs.End())
	}
	starts := rowStarts(&ours)
	for i, start := range starts {
		last := ours.End - 1
		if i+1 < len(starts) {
			last = starts[i+1] - 1
		}
		for _, pc := range slices.Compact([]uint64{start, last}) {
			if err := compareRow(&ours, theirs, pc); err != nil {
				return rows, err
			}
		}
		rows++
	}
	return rows, nil
}

// superseded reports whether DW_CFA_def_cfa_register is the last operation that says how the CFA is found. It ends an expression (GCC's
// execute_cfa_program() sets cfa_how). delve leaves the expression in force. Of 9.5 million rows of Debian's libraries, one of libgcrypt has it.
func (e *Entry) superseded(pc uint64) bool {
	m := machine{common: &e.common, location: e.Begin}
	c := &cursor{bytes: e.program, address: e.programAt}
	var last uint8
	for c.left() {
		operation := c.u8()
		_ = m.primary(c, operation) || m.extended(c, operation)
		if m.location > pc {
			break
		}
		if operation == opDefCFA || operation == opDefCFASf || operation == opDefCFARegister || operation == opDefCFAExpression {
			last = operation
		}
	}
	return last == opDefCFARegister
}

// rowStarts returns the addresses at which a row begins.
func rowStarts(entry *Entry) []uint64 {
	m := machine{common: &entry.common}
	m.run(&cursor{bytes: entry.common.program, address: entry.common.programAt}, ^uint64(0))
	m.initial, m.location = m.now, entry.Begin
	starts := []uint64{entry.Begin}
	c := &cursor{bytes: entry.program, address: entry.programAt}
	for c.left() {
		operation := c.u8()
		_ = m.primary(c, operation) || m.extended(c, operation)
		if m.location != starts[len(starts)-1] && m.location < entry.End {
			starts = append(starts, m.location)
		}
	}
	return starts
}

func compareRow(ours *Entry, theirs *frame.FrameDescriptionEntry, pc uint64) error {
	row, err := ours.Row(pc)
	if err != nil {
		return fmt.Errorf("%#x: %w", pc, err)
	}
	context, err := theirs.EstablishFrame(pc)
	if err != nil {
		return fmt.Errorf("%#x: delve: %w", pc, err)
	}
	if context.CFA.Rule == frame.RuleExpression && !ours.superseded(pc) {
		if !bytes.Equal(row.expression, context.CFA.Expression) {
			return fmt.Errorf("%#x: CFA %x, delve has %x", pc, row.expression, context.CFA.Expression)
		}
	} else if row.expression != nil || row.register != context.CFA.Reg || row.offset != context.CFA.Offset {
		return fmt.Errorf("%#x: CFA register %d %+d, delve has %d %+d", pc, row.register, row.offset, context.CFA.Reg, context.CFA.Offset)
	}
	if row.returnAddress != context.RetAddrReg {
		return fmt.Errorf("%#x: return address in %d, delve has %d", pc, row.returnAddress, context.RetAddrReg)
	}
	found := map[uint64]rule{}
	for _, rule := range row.rules {
		found[uint64(rule.column)] = rule
	}
	columns := slices.Collect(maps.Keys(context.Regs))
	columns = slices.AppendSeq(columns, maps.Keys(found))
	for _, column := range columns {
		if column < Columns && !sameRule(found[column], context.Regs[column]) {
			return fmt.Errorf("%#x: register %d %+v, delve has %+v", pc, column, found[column], context.Regs[column])
		}
	}
	return nil
}

// sameRule compares with a rule of delve, whose zero value is "undefined" and stands for a register without a rule, too.
func sameRule(ours rule, theirs frame.DWRule) bool {
	switch theirs.Rule {
	case frame.RuleUndefined:
		return ours.kind == undefined || (ours.kind == same && theirs.Reg == 0)
	case frame.RuleSameVal:
		return ours.kind == same
	case frame.RuleOffset:
		return ours.kind == atOffset && ours.offset == theirs.Offset
	case frame.RuleValOffset:
		return ours.kind == isOffset && ours.offset == theirs.Offset
	case frame.RuleRegister:
		return ours.kind == inRegister && ours.register == theirs.Reg
	case frame.RuleExpression:
		return ours.kind == atExpression && bytes.Equal(ours.expression, theirs.Expression)
	case frame.RuleValExpression:
		return ours.kind == isExpression && bytes.Equal(ours.expression, theirs.Expression)
	}
	return false
}

// segments is a Source that does not depend on the code under test.
type segments struct{ file *elf.File }

func (s segments) Bytes(address uint64, n int) ([]byte, error) {
	for _, segment := range s.file.Progs {
		if segment.Type != elf.PT_LOAD || address < segment.Vaddr || address >= segment.Vaddr+segment.Filesz {
			continue
		}
		bytes := make([]byte, min(uint64(n), segment.Vaddr+segment.Filesz-address))
		_, err := segment.ReadAt(bytes, int64(address-segment.Vaddr))
		return bytes, err
	}
	return nil, io.EOF
}
