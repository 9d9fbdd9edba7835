// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/therootcompany/xz"
)

const (
	debugData = ".gnu_debugdata"
	// dictionaryBytesMax bounds what the decompressor allocates before it has seen any data. `xz -6`, which packagers use, takes 8 MiB.
	dictionaryBytesMax = 8 << 20
	compressedBytesMax = 8 << 20
	// debugDataBytesMax bounds the symbols of a stripped library, decompressed. Fedora's largest have 15 MB.
	debugDataBytesMax = 32 << 20
)

var errTooLong = errors.New("too long")

// readDebugData decompresses the mini debug information: an ELF file with the symbols that are not in .dynsym.
func (i *Image) readDebugData(file io.ReaderAt) (*Image, io.ReaderAt, error) {
	section := i.sections[debugData]
	if section.Size > compressedBytesMax {
		return nil, nil, fmt.Errorf("%s of %d bytes: %w; the limit is %d", debugData, section.Size, errTooLong, compressedBytesMax)
	}
	reader, err := xz.NewReader(io.NewSectionReader(file, int64(section.Off), int64(section.Size)), dictionaryBytesMax)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", debugData, err)
	}
	contents, err := io.ReadAll(io.LimitReader(reader, debugDataBytesMax+1))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", debugData, err)
	}
	if len(contents) > debugDataBytesMax {
		return nil, nil, fmt.Errorf("%s: %w; the limit is %d decompressed", debugData, errTooLong, debugDataBytesMax)
	}
	decompressed := bytes.NewReader(contents)
	mini, err := Read(decompressed)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", debugData, err)
	}
	return mini, decompressed, nil
}
