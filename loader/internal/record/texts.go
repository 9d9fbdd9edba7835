// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"whodunit/loader/internal/abi"
)

// comm reads the task name at the offset in raw, up to its NUL.
func (d *Decoder) comm(raw []byte, offset uintptr) string {
	const commBytes = len(abi.Event{}.Comm)
	name, _, _ := bytes.Cut(raw[offset:][:commBytes], []byte{0})
	return d.readable(name)
}

// path joins names that are ordered from the leaf to the root. The root of a mounted file system has the name "/", which is dropped. truncated:
// the names next to the root are missing; the path begins with "…".
func (d *Decoder) path(payload []byte, truncated bool) *string {
	start := len(d.texts)
	if truncated {
		d.texts = append(d.texts, "…"...)
	}
	for rest := bytes.TrimSuffix(payload, []byte{0}); len(rest) > 0; {
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

// cgroup returns the path of a cgroup, and the number of names at its end that another user than root chose (read_cgroup_path() in
// bpf/paths.h). The path of a record of ABI number ends in "…" if the names at its end are missing.
func (d *Decoder) cgroup(number uint32, payload []byte, truncated bool) (path *string, claimed uint32) {
	if d.machine.NoCgroups {
		return nil, 0
	}
	if number <= lastABIWithLeafFirst {
		return d.cgroupFromLeaf(payload, truncated)
	}
	start := len(d.texts)
	chosen := false
	for name := range bytes.SplitSeq(bytes.TrimSuffix(payload, []byte{0}), []byte{0}) {
		switch {
		case len(name) == 0:
			chosen = true // An empty name: root did not choose those after it.
			continue
		case string(name) == "/": // No cgroup has this name.
			name = []byte("…")
		}
		if chosen {
			claimed++
		}
		d.texts = appendReadable(append(d.texts, '/'), name)
	}
	if len(d.texts) == start {
		d.texts = append(d.texts, '/')
	}
	return d.point(alias(d.texts[start:])), claimed
}

// lastABIWithLeafFirst is the last ABI whose cgroups are written from the leaf to the root.
const lastABIWithLeafFirst = 5

// cgroupFromLeaf reads names from the leaf to the root. An empty name after a name says that another user than root chose it and all before it.
// At the end of the payload it says that the names next to the root are missing, so that nothing is known of those that are left.
func (d *Decoder) cgroupFromLeaf(payload []byte, truncated bool) (path *string, claimed uint32) {
	chosen := payload[:max(bytes.LastIndex(payload, []byte{0, 0}), 0)]
	for name := range bytes.SplitSeq(chosen, []byte{0}) {
		if len(name) > 0 {
			claimed++
		}
	}
	return d.path(payload, truncated || bytes.HasSuffix(payload, []byte{0, 0})), claimed
}

// hostname returns a host name with its NUL; nil: it is empty.
func (d *Decoder) hostname(payload []byte) *string {
	name := bytes.TrimSuffix(payload, []byte{0})
	if len(name) == 0 {
		return nil
	}
	return d.point(d.readable(name))
}

// arguments splits the argument block. A program that overwrites it with a title (setproctitle(3)) leaves NULs at its end, which are not
// arguments.
func (d *Decoder) arguments(payload []byte) []string {
	title := bytes.TrimRight(payload, "\x00")
	if len(payload)-len(title) <= 2 {
		title = bytes.TrimSuffix(payload, []byte{0})
	}
	start := len(d.list)
	for more := len(payload) > 0; more; {
		var argument []byte
		argument, title, more = bytes.Cut(title, []byte{0})
		d.list = append(d.list, d.readable(argument))
	}
	return d.list[start:]
}

// environment returns the first value of each variable that may leave the loader, as getenv(3) does. acts: the process is an actor.
func (d *Decoder) environment(payload []byte, acts bool) map[string]string {
	env := d.newEnvironment()
	keys := d.machine.EnvironmentKeys
	if acts {
		keys = d.machine.ActorEnvironmentKeys
	}
	for more := true; more; {
		var variable []byte
		variable, payload, more = bytes.Cut(payload, []byte{0})
		key, value, found := bytes.Cut(variable, []byte{'='})
		if !found {
			continue
		}
		for _, allowed := range keys {
			if _, known := env[allowed]; !known && string(key) == allowed {
				env[allowed] = d.readable(value)
			}
		}
	}
	return env
}

// newEnvironment returns an empty map that belongs to this event.
func (d *Decoder) newEnvironment() map[string]string {
	if d.envsUsed == len(d.envs) {
		d.envs = append(d.envs, map[string]string{})
	}
	env := d.envs[d.envsUsed]
	d.envsUsed++
	clear(env)
	return env
}

// number formats value in base 10, or in base 16 with 0x before it.
func (d *Decoder) number(value uint64, base int) *string {
	start := len(d.texts)
	if base == 16 {
		d.texts = append(d.texts, "0x"...)
	}
	d.texts = strconv.AppendUint(d.texts, value, base)
	return d.point(alias(d.texts[start:]))
}

// hex formats each byte as two hexadecimal digits.
func (d *Decoder) hex(raw []byte) *string {
	start := len(d.texts)
	d.texts = hex.AppendEncode(d.texts, raw)
	return d.point(alias(d.texts[start:]))
}

// readable returns the bytes as text. Each byte that is not UTF-8 becomes the four characters \xHH. The text aliases raw if it is
// valid, else d.texts.
func (d *Decoder) readable(raw []byte) string {
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

// point returns a pointer to text that is valid until the next event.
func (d *Decoder) point(text string) *string {
	d.pointed = append(d.pointed, text)
	return &d.pointed[len(d.pointed)-1]
}

// alias returns raw as a string without copying it.
func alias(raw []byte) string { return unsafe.String(unsafe.SliceData(raw), len(raw)) }
