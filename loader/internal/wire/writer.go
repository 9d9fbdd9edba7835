// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/base64"
	"strconv"
	"unicode/utf8"
)

// writer appends JSON to out. A key includes the comma before it.
type writer struct{ out []byte }

func (w *writer) text(raw string)                 { w.out = append(w.out, raw...) }
func (w *writer) int(value int64)                 { w.out = strconv.AppendInt(w.out, value, 10) }
func (w *writer) uint(value uint64)               { w.out = strconv.AppendUint(w.out, value, 10) }
func (w *writer) number(key string, value uint32) { w.text(key); w.uint(uint64(value)) }
func (w *writer) string(key string, value string) { w.text(key); w.quoted(value) }
func (w *writer) flag(key string, value bool)     { w.text(key); w.out = strconv.AppendBool(w.out, value) }
func (w *writer) quotedInt(key string, value int64) {
	w.text(key)
	w.text(`"`)
	w.int(value)
	w.text(`"`)
}
func (w *writer) quotedUint(key string, value uint64) {
	w.text(key)
	w.text(`"`)
	w.uint(value)
	w.text(`"`)
}

func (w *writer) stringOrNull(key string, value *string) {
	w.text(key)
	if value == nil {
		w.text("null")
		return
	}
	w.quoted(*value)
}

func (w *writer) base64OrNull(key string, value []byte) {
	w.text(key)
	if value == nil {
		w.text("null")
		return
	}
	w.text(`"`)
	w.out = base64.StdEncoding.AppendEncode(w.out, value)
	w.text(`"`)
}

func numberOrNull[T int32 | uint32 | uint64](w *writer, key string, value *T) {
	w.text(key)
	switch {
	case value == nil:
		w.text("null")
	case *value < 0:
		w.int(int64(*value))
	default:
		w.uint(uint64(*value))
	}
}

func (w *writer) strings(key string, values []string) {
	w.text(key)
	if values == nil {
		w.text("null")
		return
	}
	before := "["
	for _, value := range values {
		w.string(before, value)
		before = ","
	}
	if len(values) == 0 {
		w.text(before)
	}
	w.text("]")
}

// quoted writes value, which must be valid UTF-8, as a JSON string, as encoding/json does without SetEscapeHTML.
func (w *writer) quoted(value string) {
	const digits = "0123456789abcdef"
	w.out = append(w.out, '"')
	written := 0
	for i := 0; i < len(value); i++ {
		c := value[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			continue
		}
		var escaped [6]byte
		length := 6
		switch c {
		case '"', '\\':
			escaped[0], escaped[1], length = '\\', c, 2
		case '\b', '\t', '\n', '\f', '\r':
			escaped[0], escaped[1], length = '\\', "btn-fr"[c-'\b'], 2
		case 0xe2: // U+2028 and U+2029 end a line in JavaScript
			if i+2 >= len(value) || value[i+1] != 0x80 || value[i+2]&^1 != 0xa8 {
				continue
			}
			copy(escaped[:], `\u2028`)
			escaped[5] += value[i+2] & 1
		default:
			if c >= utf8.RuneSelf {
				continue
			}
			copy(escaped[:], `\u00`)
			escaped[4], escaped[5] = digits[c>>4], digits[c&15]
		}
		w.out = append(append(w.out, value[written:i]...), escaped[:length]...)
		if c == 0xe2 {
			i += 2
		}
		written = i + 1
	}
	w.out = append(append(w.out, value[written:]...), '"')
}
