// SPDX-License-Identifier: Apache-2.0

package helper

import (
	"errors"
	"io"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/crash"
)

var errNotCopied = errors.New("this part of the file was not copied")

// pagesFile is a file of which the probes copied pages, because it may be out of reach (bpf/crash_files.h).
type pagesFile struct {
	pages map[int64][]byte // by number
	bytes int64            // of the file
}

// pagesOf returns the copied pages of the crash's files, by module.
func pagesOf(copied *abi.CrashPages) map[uint32]map[int64][]byte {
	files := map[uint32]map[int64][]byte{}
	bytes := crash.BytesOf(copied.Bytes[:])
	for i, place := range copied.Places[:min(copied.Count, uint64(len(copied.Places)))] {
		if files[place.Module] == nil {
			files[place.Module] = map[int64][]byte{}
		}
		files[place.Module][int64(place.Page)] = bytes[i*crash.PageBytes:][:crash.PageBytes]
	}
	return files
}

// ReadAt implements io.ReaderAt.
func (f *pagesFile) ReadAt(p []byte, offset int64) (n int, err error) {
	for n < len(p) {
		at := offset + int64(n)
		if at < 0 || at >= f.bytes {
			return n, io.EOF
		}
		page, copied := f.pages[at/crash.PageBytes]
		if !copied {
			return n, errNotCopied
		}
		end := min(int64(crash.PageBytes), f.bytes-at/crash.PageBytes*crash.PageBytes)
		n += copy(p[n:], page[at%crash.PageBytes:end])
	}
	return n, nil
}

// Close implements io.Closer. The pages belong to the crash.
func (f *pagesFile) Close() error { return nil }
