// SPDX-License-Identifier: Apache-2.0

// The texts of a record: names, paths, arguments, environment. Pure. Where a text is there in one piece, and is UTF-8, it is used
// where it lies; the decoder's storage takes the others.
package main

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"unicode/utf8"
	"unsafe"
)

// allowedEnvironment are the keys that leave the loader, sorted; nothing else of an environment ever does.
var allowedEnvironment = [...]string{"OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME", "TRACEPARENT", "TRACESTATE"}

// comm is the name in the C type at the front of raw, at that offset: up to its NUL.
func (d *decoder) comm(raw []byte, offset uintptr) string {
	const commBytes = len(bpfEvent{}.Comm)
	name, _, _ := bytes.Cut(raw[offset:][:commBytes], nul)
	return d.readable(name)
}

// path joins names that come from the leaf to the root. The root of a mounted file system is called "/", and adds nothing.
func (d *decoder) path(payload []byte, truncated bool) *string {
	start := len(d.texts)
	if truncated {
		d.texts = append(d.texts, "…"...)
	}
	for rest := bytes.TrimSuffix(payload, nul); len(rest) > 0; {
		end := bytes.LastIndexByte(rest, 0)
		name := rest[end+1:]
		rest = rest[:max(end, 0)]
		if len(name) > 0 && string(name) != "/" {
			d.texts = appendReadable(append(d.texts, '/'), name)
		}
	}
	if len(d.texts) == start {
		d.texts = append(d.texts, '/')
	}
	return d.point(alias(d.texts[start:]))
}

// arguments splits the argument block. A program that wrote a title over it leaves a tail of NULs: those are no arguments.
func (d *decoder) arguments(payload []byte) []string {
	title := bytes.TrimRight(payload, "\x00")
	if len(payload)-len(title) <= 2 {
		title = bytes.TrimSuffix(payload, nul)
	}
	start := len(d.list)
	for more := len(payload) > 0; more; {
		var argument []byte
		argument, title, more = bytes.Cut(title, nul)
		d.list = append(d.list, d.readable(argument))
	}
	return d.list[start:]
}

// environment keeps the first value of each allowed key, as getenv does.
func (d *decoder) environment(payload []byte) map[string]string {
	clear(d.env)
	for more := true; more; {
		var variable []byte
		variable, payload, more = bytes.Cut(payload, nul)
		key, value, found := bytes.Cut(variable, equals)
		if !found {
			continue
		}
		for _, allowed := range allowedEnvironment {
			if _, known := d.env[allowed]; !known && string(key) == allowed {
				d.env[allowed] = d.readable(value)
			}
		}
	}
	return d.env
}

// number writes one in base 10, or in base 16 with its 0x.
func (d *decoder) number(value uint64, base int) *string {
	start := len(d.texts)
	if base == 16 {
		d.texts = append(d.texts, "0x"...)
	}
	d.texts = strconv.AppendUint(d.texts, value, base)
	return d.point(alias(d.texts[start:]))
}

// hex writes bytes as two digits each.
func (d *decoder) hex(raw []byte) *string {
	start := len(d.texts)
	d.texts = hex.AppendEncode(d.texts, raw)
	return d.point(alias(d.texts[start:]))
}

// readable returns the bytes as text: what is not UTF-8 becomes the four characters \xHH.
func (d *decoder) readable(raw []byte) string {
	if utf8.Valid(raw) {
		return alias(raw)
	}
	start := len(d.texts)
	d.texts = appendReadable(d.texts, raw)
	return alias(d.texts[start:])
}

func appendReadable(out, raw []byte) []byte {
	const digits = "0123456789abcdef"
	for len(raw) > 0 {
		r, size := utf8.DecodeRune(raw)
		if r == utf8.RuneError && size == 1 {
			out = append(out, '\\', 'x', digits[raw[0]>>4], digits[raw[0]&15])
		} else {
			out = append(out, raw[:size]...)
		}
		raw = raw[size:]
	}
	return out
}

func (d *decoder) point(text string) *string {
	d.pointed = append(d.pointed, text)
	return &d.pointed[len(d.pointed)-1]
}

// alias is the text that lies there, not a copy.
func alias(raw []byte) string { return unsafe.String(unsafe.SliceData(raw), len(raw)) }

var nul, equals = []byte{0}, []byte{'='}
