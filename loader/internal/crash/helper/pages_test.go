// SPDX-License-Identifier: Apache-2.0

package helper

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"whodunit/loader/internal/abi"
	"whodunit/loader/internal/crash"
)

// copied are pages 0 and 1 of the file of module 3, and page 5 of that of module 4, each filled with its number + 1.
func copied() *abi.CrashPages {
	pages := &abi.CrashPages{Count: 3}
	pages.Places[0], pages.Places[1], pages.Places[2] = abi.PagePlace{Module: 3}, abi.PagePlace{Module: 3, Page: 1}, abi.PagePlace{Module: 4, Page: 5}
	for i, number := range []byte{0, 1, 5} {
		copy(crash.BytesOf(pages.Bytes[:])[i*crash.PageBytes:], bytes.Repeat([]byte{number + 1}, crash.PageBytes))
	}
	return pages
}

func TestCopiedPagesAreAFileWithoutTheOthers(t *testing.T) {
	files := pagesOf(copied())
	if len(files) != 2 || len(files[3]) != 2 || len(files[4]) != 1 {
		t.Fatalf("%d files", len(files))
	}
	for _, read := range []struct {
		name          string
		module        uint32
		offset, bytes int64
		length        int
		want          []byte
		err           error
	}{
		{"within a page", 3, 10, 1 << 20, 2, []byte{1, 1}, nil},
		{"across pages", 3, crash.PageBytes - 1, 1 << 20, 2, []byte{1, 2}, nil},
		{"into a page that was not copied", 3, 2*crash.PageBytes - 1, 1 << 20, 2, []byte{2}, errNotCopied},
		{"before the first one", 4, 5*crash.PageBytes - 1, 1 << 20, 2, nil, errNotCopied},
		{"across the end of the file", 3, 4998, 5000, 4, []byte{2, 2}, io.EOF},
		{"behind the end", 3, 5000, 5000, 1, nil, io.EOF},
		{"at a negative offset", 3, -1, 5000, 1, nil, io.EOF},
	} {
		t.Run(read.name, func(t *testing.T) {
			got := make([]byte, read.length)
			n, err := (&pagesFile{files[read.module], read.bytes}).ReadAt(got, read.offset)
			if !bytes.Equal(got[:n], read.want) || !errors.Is(err, read.err) {
				t.Errorf("%v, %v; want %v, %v", got[:n], err, read.want, read.err)
			}
		})
	}
}

func TestACountOfPagesThatIsTooLargeIsCut(t *testing.T) {
	pages := copied()
	pages.Count = 1 << 40
	if files := pagesOf(pages); len(files[3]) != 2 {
		t.Errorf("%d pages", len(files[3]))
	}
}
