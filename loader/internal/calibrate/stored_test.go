// SPDX-License-Identifier: Apache-2.0

package calibrate

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const someKernel = "6.18.5 #1 SMP build id 00ff"

func storedForTest(t *testing.T) (stored Stored, path string) {
	t.Helper()
	search := &Search{Offsets{"task_struct.pid": 2464}, map[string][]int{"task_struct.pid": {2464}, "task_struct.mm": {1, 2}}}
	stored, path = search.Keep(someKernel), filepath.Join(t.TempDir(), "state", "calibration.json")
	if err := stored.Save(path); err != nil {
		t.Fatal(err)
	}
	return stored, path
}

func TestWhatWasFoundIsReadAgain(t *testing.T) {
	stored, path := storedForTest(t)
	read, err := ReadStored(path, someKernel)
	if err != nil || !reflect.DeepEqual(read, stored) || !reflect.DeepEqual(read.Missing, []string{"task_struct.mm"}) {
		t.Errorf("%+v, %v, after %+v", read, err, stored)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("the directory has %v, %v", left, err)
	}
}

func TestWithoutAFileTheErrorSaysThatThereIsNone(t *testing.T) {
	if _, err := ReadStored(filepath.Join(t.TempDir(), "calibration.json"), someKernel); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestAFileThatCannotBeTrustedIsRefusedWithTheReason(t *testing.T) {
	rewrite := func(old, replacement string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			text, err := os.ReadFile(path)
			changed := strings.Replace(string(text), old, replacement, 1)
			if err != nil || changed == string(text) {
				t.Fatalf("%q is not in %s, %v", old, text, err)
			}
			if err := os.WriteFile(path, []byte(changed), 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	must := func(act func(path string) error) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			if err := act(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name, kernel, want string
		change             func(t *testing.T, path string)
	}{
		{"of another kernel", "6.18.6 #1 SMP build id 00ff", "of another kernel (" + someKernel + ")", nil},
		{"of another build", "6.18.5 #1 SMP build id 00fe", "of another kernel (" + someKernel + ")", nil},
		{"a changed offset", someKernel, "checksum", rewrite("2464", "2472")},
		{"cut", someKernel, "damaged", must(func(path string) error { return os.Truncate(path, 30) })},
		{"empty", someKernel, "damaged", must(func(path string) error { return os.Truncate(path, 0) })},
		{"another field", someKernel, "damaged", rewrite(`"kernel"`, `"kernels"`)},
		{"too large", someKernel, "the limit is", must(func(path string) error { return os.Truncate(path, storedBytesMax+1) })},
		{"of another user", someKernel, "belongs to user 4294000000", must(func(path string) error { return os.Chown(path, 4_294_000_000, 0) })},
		{"writable by its group", someKernel, "other users may write to it (mode 0664)", must(func(path string) error { return os.Chmod(path, 0o664) })},
		{"writable by all", someKernel, "other users may write to it (mode 0646)", must(func(path string) error { return os.Chmod(path, 0o646) })},
		{"a link", someKernel, "too many levels of symbolic links", must(func(path string) error {
			return errors.Join(os.Rename(path, path+".there"), os.Symlink(path+".there", path))
		})},
		{"a directory", someKernel, "no regular file", must(func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) })},
	} {
		t.Run(test.name, func(t *testing.T) {
			if os.Geteuid() != 0 && test.name == "of another user" {
				t.Skip("SKIPPED: needs root")
			}
			_, path := storedForTest(t)
			if test.change != nil {
				test.change(t, path)
			}
			if read, err := ReadStored(path, test.kernel); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%+v, %v", read, err)
			}
		})
	}
}

func TestAFileOfALoaderThatLooksForOtherFieldsIsRefused(t *testing.T) {
	stored, path := storedForTest(t)
	stored.Fields = "0"
	if err := stored.Save(path); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadStored(path, someKernel); err == nil || !strings.Contains(err.Error(), "another version") {
		t.Error(err)
	}
}
