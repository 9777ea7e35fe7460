package e2e

import (
	"os"
	"path/filepath"

	"lifeboat/internal/realhost"
	"lifeboat/internal/stack"
)

// choose has the apps run under Azure's own host where LIFEBOAT_PACKAGE names the folder that "make stage" has made. That is
// copied, so that nobody makes it anew meanwhile.
func choose(c *stack.Config) error {
	made := os.Getenv("LIFEBOAT_PACKAGE")
	if made == "" {
		return nil
	}
	program, err := realhost.Find()
	if err != nil {
		return err
	}
	c.Real, c.Package = &program, filepath.Join(c.Dir, "package")
	return os.CopyFS(c.Package, os.DirFS(made))
}
