package handler

import (
	"cmp"
	"compress/gzip"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// leastCompressed is the least length of an answer that is compressed. A shorter one takes one packet anyway.
const leastCompressed = 1024

// compressed compresses the answer of a call with gzip, for a caller that accepts it.
func compressed(serve func(*handler, http.ResponseWriter, *http.Request) error) func(*handler, http.ResponseWriter, *http.Request) error {
	return func(h *handler, w http.ResponseWriter, r *http.Request) error {
		w.Header().Add("Vary", "Accept-Encoding")
		if r.Method == http.MethodHead || !acceptsGzip(strings.Join(r.Header.Values("Accept-Encoding"), ",")) {
			return serve(h, w, r)
		}
		z := &gzipped{ResponseWriter: w}
		if err := serve(h, z, r); err != nil {
			return err
		}
		_ = z.close() // else the caller is gone
		return nil
	}
}

// acceptsGzip tells whether a header Accept-Encoding (RFC 9110, 12.5.3) names gzip, with a weight above 0. The range * does not do:
// a caller that wants gzip names it.
func acceptsGzip(header string) bool {
	for element := range strings.SplitSeq(header, ",") {
		if coding, parameters, err := mime.ParseMediaType(element); err == nil && coding == "gzip" {
			q, err := strconv.ParseFloat(cmp.Or(parameters["q"], "1"), 64)
			return err == nil && q > 0
		}
	}
	return false
}

// gzipped is an answer that is compressed once it is long enough. Until then it keeps the text.
type gzipped struct {
	http.ResponseWriter
	status int
	text   []byte
	z      *gzip.Writer
}

func (g *gzipped) WriteHeader(status int) { g.status = cmp.Or(g.status, status) }

func (g *gzipped) Write(p []byte) (int, error) {
	if g.z == nil {
		if len(g.text)+len(p) < leastCompressed {
			g.text = append(g.text, p...)
			return len(p), nil
		}
		g.Header().Set("Content-Encoding", "gzip")
		g.ResponseWriter.WriteHeader(cmp.Or(g.status, http.StatusOK))
		g.z = gzip.NewWriter(g.ResponseWriter)
		if _, err := g.z.Write(g.text); err != nil {
			return 0, err
		}
	}
	return g.z.Write(p)
}

// close ends the answer.
func (g *gzipped) close() error {
	if g.z != nil {
		return g.z.Close()
	}
	g.ResponseWriter.WriteHeader(cmp.Or(g.status, http.StatusOK))
	_, err := g.ResponseWriter.Write(g.text)
	return err
}
