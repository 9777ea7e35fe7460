// Package templates drives the Bicep compiler, for the tests of infra/ and of the other files that bring Lifeboat into Azure.
package templates

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"os"
	"os/exec"
	"strconv"
)

// ErrNotFound says in one line how to get the compiler.
var ErrNotFound = errors.New("there is no bicep here: put the Bicep CLI (github.com/Azure/bicep, 0.49 or later) onto the PATH, or its path into BICEP")

// Find looks for bicep on the PATH, then at the path in BICEP. Its error is ErrNotFound.
func Find() (string, error) {
	if path, err := exec.LookPath("bicep"); err == nil {
		return path, nil
	}
	if path := os.Getenv("BICEP"); path != "" {
		return path, nil
	}
	return "", ErrNotFound
}

// Bicep is a compiler that answers one call after the other: it takes seconds to start, and less than one for a call.
type Bicep struct {
	in    io.WriteCloser
	out   *bufio.Reader
	wait  func() error
	calls int
}

// Start starts the compiler at the path. It ends with Close, or with the context.
func Start(ctx context.Context, path string) (*Bicep, error) {
	cmd := exec.CommandContext(ctx, path, "jsonrpc", "--stdio")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start bicep: %w", err)
	}
	return &Bicep{in: in, out: bufio.NewReader(out), wait: cmd.Wait}, nil
}

// Close ends the compiler.
func (b *Bicep) Close() error {
	return errors.Join(b.in.Close(), b.wait())
}

// Call calls a method, such as bicep/compile, and reads its result. Messages have the form of the Language Server Protocol: a
// header with a length, and JSON-RPC 2.0.
func (b *Bicep) Call(method string, params, result any) error {
	b.calls++
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": b.calls, "method": method, "params": params})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(b.in, "Content-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		return fmt.Errorf("call %s: %w", method, err)
	}
	header, err := textproto.NewReader(b.out).ReadMIMEHeader()
	if err != nil {
		return fmt.Errorf("read the answer to %s: %w", method, err)
	}
	length, err := strconv.Atoi(header.Get("Content-Length"))
	if err != nil {
		return fmt.Errorf("read the answer to %s: %w", method, err)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(b.out, text); err != nil {
		return fmt.Errorf("read the answer to %s: %w", method, err)
	}
	answer := struct {
		Result json.RawMessage
		Error  *struct{ Message string }
	}{}
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Errorf("read the answer to %s: %w", method, err)
	}
	if answer.Error != nil {
		return fmt.Errorf("%s: %s", method, answer.Error.Message)
	}
	return json.Unmarshal(answer.Result, result)
}
