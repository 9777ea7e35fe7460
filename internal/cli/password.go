package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"
)

// password asks a person for one, without showing it. It returns nil if there is no terminal.
func (sh Shell) password(ctx context.Context, prompt string) ([]byte, error) {
	file, ok := sh.Stdin.(*os.File)
	if !ok || !terminal(sh.Stdin) || !terminal(sh.Stderr) {
		return nil, nil
	}
	fd := int(file.Fd()) // the goroutine below may outlive the file
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	fmt.Fprint(sh.Stderr, prompt)
	type answer struct {
		typed []byte
		err   error
	}
	answers := make(chan answer, 1)
	go func() { // a terminal cannot be read with a context
		typed, err := term.ReadPassword(fd)
		answers <- answer{typed, err}
	}()
	defer fmt.Fprintln(sh.Stderr)
	select {
	case <-ctx.Done():
		return nil, errors.Join(errors.New("stopped: nothing was checked"), term.Restore(fd, before))
	case a := <-answers:
		return a.typed, a.err
	}
}
