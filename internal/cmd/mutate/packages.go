package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
)

// tested is a package of the product, and the tests that meet a bug in it.
type tested struct {
	path string
	// meets are the packages whose tests meet a bug: its own, then its importers.
	meets []string
}

// product lists the product's packages by their paths relative to the module, in their order. The tests of the whole build the program
// themselves, so they would not meet a bug.
func product(ctx context.Context) ([]tested, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-json=ImportPath,Module,Imports,TestImports,XTestImports,TestGoFiles,XTestGoFiles", "./...").Output()
	if err != nil {
		return nil, fmt.Errorf("list the packages: %w", err)
	}
	type listed struct {
		ImportPath                         string
		Module                             struct{ Path string }
		Imports, TestImports, XTestImports []string
		TestGoFiles, XTestGoFiles          []string
	}
	var all []listed
	for in := json.NewDecoder(bytes.NewReader(out)); ; {
		var one listed
		if err := in.Decode(&one); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	var packages []tested
	for _, p := range all {
		path := relative(p.ImportPath, p.Module.Path)
		if strings.HasPrefix(path, "./internal/testing") || strings.HasPrefix(path, "./internal/cmd") || path == "./docs" {
			continue
		}
		one := tested{path: path}
		if len(p.TestGoFiles)+len(p.XTestGoFiles) > 0 {
			one.meets = append(one.meets, path)
		}
		for _, q := range all {
			other := relative(q.ImportPath, q.Module.Path)
			tests := len(q.TestGoFiles)+len(q.XTestGoFiles) > 0 && !strings.HasPrefix(other, "./internal/testing/e2e")
			if tests && q.ImportPath != p.ImportPath && slices.Contains(slices.Concat(q.Imports, q.TestImports, q.XTestImports), p.ImportPath) {
				one.meets = append(one.meets, other)
			}
		}
		packages = append(packages, one)
	}
	return packages, nil
}

func relative(path, module string) string {
	return "./" + strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
}
