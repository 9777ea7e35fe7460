package table

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
)

// answer is the response to one operation of a transaction.
type answer struct {
	status int
	etag   string
	body   []byte
}

// parseBatch reads the response to a transaction: a multipart of one part, a multipart of one HTTP response per operation, or
// of the one that failed (Azure's documentation "Performing entity group transactions"). The SDK reads it too, but does not
// keep the ETags.
func parseBatch(text []byte) ([]answer, error) {
	parts, err := split(text)
	if err != nil {
		return nil, err
	}
	if len(parts) != 1 {
		return nil, fmt.Errorf("a batch of %d change sets", len(parts))
	}
	if parts, err = split(parts[0]); err != nil {
		return nil, err
	}
	var answers []answer
	for _, part := range parts {
		response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(part)), nil)
		if err != nil {
			return nil, fmt.Errorf("an answer of a batch: %w", err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return nil, fmt.Errorf("an answer of a batch: %w", err)
		}
		_ = response.Body.Close() // it is in memory
		answers = append(answers, answer{response.StatusCode, response.Header.Get("ETag"), body})
	}
	return answers, nil
}

// split splits a multipart into its parts. It takes the boundary from the first line, because a header does not reliably have
// the inner boundary.
func split(text []byte) ([][]byte, error) {
	line, _, _ := bytes.Cut(bytes.TrimLeft(text, "\r\n"), []byte("\n"))
	boundary, found := bytes.CutPrefix(bytes.TrimRight(line, "\r "), []byte("--"))
	if !found || len(boundary) == 0 {
		return nil, errors.New("not a batch")
	}
	reader := multipart.NewReader(bytes.NewReader(text), string(boundary))
	var parts [][]byte
	for {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			return parts, nil
		}
		if err != nil {
			return nil, fmt.Errorf("a part of a batch: %w", err)
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return nil, fmt.Errorf("a part of a batch: %w", err)
		}
		parts = append(parts, content)
	}
}
