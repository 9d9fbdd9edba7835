// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"bytes"
	"errors"
	"fmt"
	"os"
)

// VDSO is the FileID of the vDSO: code of the kernel in each process. On arm64, signal handlers return to it.
var VDSO = FileID{Generation: ^uint64(0)}

const (
	vdsoName     = "[vdso]"
	vdsoBytesMax = 64 << 10
)

// OpenVDSO opens the vDSO of this process. All 64-bit processes of a machine have the same, at other addresses.
func OpenVDSO() (File, error) {
	mappings, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(mappings) {
		if !bytes.HasSuffix(bytes.TrimSpace(line), []byte(vdsoName)) {
			continue
		}
		var start, end uint64
		if _, err := fmt.Sscanf(string(line), "%x-%x", &start, &end); err != nil {
			return nil, fmt.Errorf("/proc/self/maps: %q: %w", line, err)
		}
		return readOwn(start, end)
	}
	return nil, errors.New("this process has no vDSO")
}

// readOwn copies memory of this process.
func readOwn(start, end uint64) (File, error) {
	own, err := os.Open("/proc/self/mem")
	if err != nil {
		return nil, err
	}
	defer own.Close()
	contents := make([]byte, min(end-start, vdsoBytesMax))
	if _, err := own.ReadAt(contents, int64(start)); err != nil {
		return nil, fmt.Errorf("read the vDSO: %w", err)
	}
	return inMemory{bytes.NewReader(contents)}, nil
}

// inMemory is a File without a file.
type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }
