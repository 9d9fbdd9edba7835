// SPDX-License-Identifier: Apache-2.0

// Rules for the loader's own sources: which packages each package may import, the lengths of functions and files, and the words that
// messages and comments must not use.

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// source is one Go file of the loader. directory is relative to loader/internal; that of package main is ".".
type source struct {
	path, directory string
	file            *ast.File
	files           *token.FileSet
	isTest          bool // compiled for tests only
}

// sources returns the files that are not generated, and belong to no test's programs.
func sources(t *testing.T) (all []source) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && entry.Name() == "testdata" {
			return filepath.SkipDir
		}
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.ParseComments)
		if err != nil || ast.IsGenerated(file) {
			return err
		}
		directory := strings.TrimPrefix(filepath.Dir(path), "internal/")
		isTest := strings.HasSuffix(path, "_test.go") || strings.HasSuffix(directory, "test")
		all = append(all, source{path, directory, file, files, isTest})
		return nil
	})
	if err != nil || len(all) < 20 {
		t.Fatalf("%d sources found, %v", len(all), err)
	}
	return all
}

// The table is that of docs/decisions/0041.
func TestPackagesImportOnlyWhatTheTableAllows(t *testing.T) {
	const internal = "whodunit/loader/internal/"
	may := map[string][]string{ // of the loader's own packages
		"abi": {}, "exitcode": {}, "calibrate": {}, "host": {}, "log": {}, "ring": {},
		"record":            {"abi"},
		"wire":              {"record"},
		"repeats":           {"abi", "wire"},
		"probes":            {"abi", "exitcode", "host", "record", "repeats", "ring", "victim", "wire"},
		"oldprobes":         {"abi", "exitcode", "host", "probes", "record", "ring", "victim", "wire"},
		"calibrate/observe": {"calibrate"},
		"victim":            {"host"},
		"server":            {"exitcode", "host", "log", "record", "ring", "wire"},
		"crash":             {"abi", "host", "log", "probes", "record", "ring"},
		"crash/helper":      {"abi", "crash", "host", "record", "unwind"},
		"unwind":            {"unwind/cfi", "unwind/image"},
		"unwind/cfi":        {},
		"unwind/image":      {"unwind/cfi"},
		".":                 {"calibrate", "crash", "crash/helper", "exitcode", "host", "log", "oldprobes", "probes", "record", "repeats", "ring", "server", "victim", "wire"},
	}
	pure := []string{"abi", "record", "wire"}
	pureMay := []string{
		"bytes", "encoding/base64", "encoding/binary", "encoding/hex", "encoding/json", "errors", "fmt", "slices", "strconv", "strings", "unicode/utf8", "unsafe",
	}
	for _, source := range sources(t) {
		if source.isTest {
			continue
		}
		own, known := may[source.directory]
		if !known {
			t.Errorf("%s: the package is not in the table of this test", source.path)
		}
		for _, imported := range source.file.Imports {
			name, _ := strconv.Unquote(imported.Path.Value)
			if below, isOwn := strings.CutPrefix(name, internal); isOwn {
				if !slices.Contains(own, below) {
					t.Errorf("%s imports %s", source.path, below)
				}
			} else if slices.Contains(pure, source.directory) && !slices.Contains(pureMay, name) {
				t.Errorf("%s imports %s, but package %s is pure", source.path, name, path.Base(source.directory))
			}
		}
	}
}

func TestFunctionsAndFilesAreWithinTheirLimits(t *testing.T) {
	const functionLinesMax, fileLinesMax = 60, 300
	for _, source := range sources(t) {
		lines := func(node ast.Node) int {
			return source.files.Position(node.End()).Line - source.files.Position(node.Pos()).Line + 1
		}
		if n := source.files.File(source.file.Pos()).LineCount(); n > fileLinesMax {
			t.Errorf("%s has %d lines; the limit is %d", source.path, n, fileLinesMax)
		}
		for _, declared := range source.file.Decls {
			if function, ok := declared.(*ast.FuncDecl); ok && lines(function) > functionLinesMax {
				t.Errorf("%s: %s has %d lines; the limit is %d", source.path, function.Name, lines(function), functionLinesMax)
			}
		}
	}
}

// It checks every comment, and every string literal outside of tests: these include all messages.
func TestMessagesAndCommentsUsePlainWords(t *testing.T) {
	dialect := regexp.MustCompile(`(?i)\b(told|tells?|the dead|who died|whoever|nobody|somebody|unwilling|doubtful|condemn\w*|owed|seldom|strangers?|mended|spared|` +
		`went away|in vain|at home|folded|screened|judged|polite|hears?|heard|so many|now and then|its like)\b`)
	refuse := func(source source, at token.Pos, text string) {
		if word := dialect.FindString(text); word != "" {
			t.Errorf("%s: %q is not a plain word: %s", source.files.Position(at), word, text)
		}
	}
	seen := 0
	for _, source := range sources(t) {
		for _, comment := range source.file.Comments {
			refuse(source, comment.Pos(), comment.Text())
		}
		if source.isTest {
			continue
		}
		ast.Inspect(source.file, func(node ast.Node) bool {
			if literal, ok := node.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				seen++
				refuse(source, literal.Pos(), literal.Value)
			}
			return true
		})
	}
	if seen < 300 {
		t.Errorf("only %d string literals found", seen)
	}
}
