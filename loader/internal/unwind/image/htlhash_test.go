// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"testing"
)

func TestHTLHash(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef!"), 1000)
	for _, size := range []int{0, 1, 4095, 4096, 4097, 8192, 8193, len(content)} {
		file := content[:size]
		part := min(size, 4096)
		length := []byte{0, 0, 0, 0, 0, 0, byte(size >> 8), byte(size)}
		sum := sha256.Sum256(slices.Concat(file[:part], file[size-part:], length))
		want := hex.EncodeToString(sum[:16])
		if got, err := HTLHash(bytes.NewReader(file), int64(size)); err != nil || got != want {
			t.Errorf("%d bytes: %q, %v; want %q", size, got, err, want)
		}
	}
}

func TestHTLHashOfAFileThatIsShorterThanItWas(t *testing.T) {
	if got, err := HTLHash(bytes.NewReader(make([]byte, 5000)), 10_000); err == nil {
		t.Errorf("no error, but %q", got)
	}
}
