package rules

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A file of the checkout. Its path is relative to the root, with slashes.
type file struct {
	path    string
	text    string
	imports []string // of a Go file; "C" for cgo
}

type tree []file

// newFile reads the imports when path names a Go file.
func newFile(path, text string) (file, error) {
	f := file{path: path, text: text}
	if !strings.HasSuffix(path, ".go") {
		return f, nil
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ImportsOnly)
	if err != nil {
		return f, err
	}
	for _, i := range parsed.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return f, err
		}
		f.imports = append(f.imports, p)
	}
	return f, nil
}

func (f file) isTest() bool      { return strings.HasSuffix(f.path, "_test.go") }
func (f file) isGenerated() bool { return strings.HasSuffix(f.path, ".pb.go") }
func (f file) isCgo() bool       { return f.hasImport("C") }

func (f file) hasImport(path string) bool {
	for _, i := range f.imports {
		if i == path {
			return true
		}
	}
	return false
}

func (t tree) goFiles() tree {
	var g tree
	for _, f := range t {
		if strings.HasSuffix(f.path, ".go") {
			g = append(g, f)
		}
	}
	return g
}

// apart are the folders that hold no source of ours (.gitignore names them too).
var apart = map[string]bool{".git": true, "bin": true, "bench/results": true}

// checkout reads every file of the checkout that the test lies in.
func checkout(t *testing.T) tree {
	t.Helper()
	root := filepath.Join("..", "..")
	var all tree
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case d.IsDir() && apart[rel]:
			return filepath.SkipDir
		case !d.Type().IsRegular() || apart[rel]: // .git is a file in a second work tree
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.ContainsRune(string(text), 0) { // not a text: what tells its kind is enough
			text = text[:min(len(text), len(elf))]
		}
		f, err := newFile(rel, string(text))
		all = append(all, f)
		return err
	})
	if err != nil {
		t.Fatalf("reading the checkout: %v", err)
	}
	return all
}
