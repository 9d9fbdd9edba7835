// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"strconv"
	"strings"

	"github.com/ianlancetaylor/demangle"

	"whodunit/loader/internal/unwind/image"
)

const (
	// mangledBytesMax: longer names stay as they are. Templates may make a name of megabytes out of a short one, which demangledPower bounds.
	mangledBytesMax = 4096
	demangledPower  = 12 // of two
	// functionBytesMax bounds a name in a frame.
	functionBytesMax = 512
	cutOff           = "…"
)

// name finds the names of all functions: one pass over the symbols of each file.
func (w *walker) name(stacks ...[]place) {
	queries := map[*loaded][]image.Query{}
	var order []*loaded // of the frames, so that a limit hits the outermost
	each := func(visit func(p *place, query image.Query)) {
		for _, places := range stacks {
			for i := range places {
				if p := &places[i]; p.loaded != nil && p.function == "" {
					visit(p, image.Query{Address: p.lookup, Begin: p.begin})
				}
			}
		}
	}
	each(func(p *place, query image.Query) {
		if queries[p.loaded] == nil {
			order = append(order, p.loaded)
		}
		queries[p.loaded] = append(queries[p.loaded], query)
	})
	symbols := map[*loaded]map[image.Query]image.Symbol{}
	for _, loaded := range order {
		symbols[loaded] = loaded.names(queries[loaded])
	}
	each(func(p *place, query image.Query) {
		if symbol := symbols[p.loaded][query]; symbol.Name != "" {
			p.function, p.begin = readable(symbol.Name), symbol.Address
		}
	})
}

// rustHashBytes end Rust's older names: 17h, a hash of 16 digits, E.
const rustHashBytes = 20

// withUnderscores doubles the underscore that a part of one of Rust's older names (_ZN…17h…E) begins with: demangle drops one, as the separator
// that newer names have.
func withUnderscores(name string) string {
	rest, rust := strings.CutPrefix(name, "_ZN")
	if !rust || len(rest) <= rustHashBytes || !strings.HasPrefix(rest[len(rest)-rustHashBytes:], "17h") {
		return name
	}
	doubled := "_ZN"
	for len(rest) > rustHashBytes {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.Atoi(rest[:digits])
		if err != nil || n > len(rest)-digits {
			return name
		}
		part := rest[digits:][:n]
		if strings.HasPrefix(part, "_") {
			part = "_" + part
		}
		doubled += strconv.Itoa(len(part)) + part
		rest = rest[digits+n:]
	}
	return doubled + rest
}

// frames returns the places as others see them.
func (w *walker) frames(places []place) []Frame {
	frames := make([]Frame, 0, len(places))
	for i := range places {
		p := &places[i]
		frame := Frame{PC: p.pc, Address: p.address, Function: p.function, Begin: p.begin, FoundBy: p.foundBy, Guess: p.guess}
		if p.module != nil {
			frame.Module = p.module.Path
		}
		if p.loaded != nil {
			frame.BuildID = p.loaded.image.BuildID
		}
		if p.begin != 0 {
			frame.Offset = p.address - p.begin
		}
		frames = append(frames, frame)
	}
	return frames
}

// clones are what compilers append to the name of a function for a part or a variant of it. demangle.NoClones does the same for C++.
var clones = []string{".cold", ".part.", ".isra.", ".constprop.", ".lto_priv.", ".llvm.", ".localalias"}

// readable returns the name as it is in the source, and cuts what is too long. Symbols are bytes that anyone may write.
func readable(name string) string {
	for _, clone := range clones {
		name, _, _ = strings.Cut(name, clone)
	}
	if version := strings.IndexByte(name, '@'); version > 0 { // memcpy@@GLIBC_2.14
		name = name[:version]
	}
	if len(name) <= mangledBytesMax && (strings.HasPrefix(name, "_Z") || strings.HasPrefix(name, "_R")) {
		name = demangle.Filter(withUnderscores(name), demangle.NoClones, demangle.MaxLength(demangledPower))
	}
	name = strings.ToValidUTF8(name, "\uFFFD")
	if len(name) <= functionBytesMax {
		return name
	}
	return strings.ToValidUTF8(name[:functionBytesMax-len(cutOff)], "") + cutOff
}
