package fakehost

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sinkVariable makes this test binary the handler: it passes every request on to the test's own server and does as the
// server's answer says.
const sinkVariable = "DEVHOST_TEST_SINK"

// doHeader is the header by which the test's server makes the handler do something: see obey.
const doHeader = "X-Do"

func TestMain(m *testing.M) {
	if sink := os.Getenv(sinkVariable); sink != "" {
		fmt.Fprintln(os.Stderr, playHandler(sink))
		os.Exit(1)
	}
	// These tests wait far more than they compute. A -parallel on the command line counts.
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	code := m.Run()
	if err := stopStorage(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// playHandler is the handler. It reports to the test how it was started, before it listens.
func playHandler(sink string) error {
	wd, err := os.Getwd()
	if err != nil {
		return err
	}
	birth := fmt.Sprintf("pid=%d\nwd=%s\nargs=%q\n%s", os.Getpid(), wd, os.Args[1:], strings.Join(os.Environ(), "\n"))
	response, err := http.Post(sink+"/birth", "text/plain", strings.NewReader(birth))
	if err != nil {
		return err
	}
	obey(response.Header.Values(doHeader))
	if err := response.Body.Close(); err != nil {
		return err
	}
	target, err := url.Parse(sink)
	if err != nil {
		return err
	}
	relay := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.URL.RawQuery = p.In.URL.RawQuery
			for name, values := range p.In.Header { // ReverseProxy removes them before Rewrite
				p.Out.Header[name] = values
			}
			p.Out.Header.Set("X-Seen-Host", p.In.Host)
			p.Out.Header.Set("X-Seen-Length", strconv.FormatInt(p.In.ContentLength, 10))
			p.Out.Header.Set("X-Seen-Pid", strconv.Itoa(os.Getpid()))
		},
		FlushInterval: -1,
		ModifyResponse: func(r *http.Response) error {
			obey(r.Header.Values(doHeader))
			if r.Header.Get(doHeader) == "drop" {
				return errHangUp
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			if !errors.Is(err, errHangUp) {
				w.WriteHeader(http.StatusBadGateway)
			} else if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_ = conn.Close()
			}
		},
	}
	return http.ListenAndServe("127.0.0.1:"+os.Getenv("FUNCTIONS_CUSTOMHANDLER_PORT"), http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				http.NotFound(w, r) // any answer means that the handler is ready
				return
			}
			_ = http.NewResponseController(w).EnableFullDuplex()
			relay.ServeHTTP(w, r)
		}))
}

// errHangUp makes the handler close the connection without an answer.
var errHangUp = errors.New("drop")

func obey(commands []string) {
	for _, command := range commands {
		verb, argument, _ := strings.Cut(command, " ")
		switch verb {
		case "exit":
			code, _ := strconv.Atoi(argument)
			os.Exit(code)
		case "hang":
			select {}
		case "sleep":
			d, _ := time.ParseDuration(argument)
			time.Sleep(d)
		case "out":
			fmt.Fprintln(os.Stdout, argument)
		case "err":
			fmt.Fprintln(os.Stderr, argument)
		}
	}
}

// birth describes a start of the handler.
type birth struct {
	wd, args, pid string
	environment   map[string]string
}

func readBirth(body io.Reader) birth {
	b := birth{environment: map[string]string{}}
	lines := bufio.NewScanner(body)
	for _, into := range []*string{&b.pid, &b.wd, &b.args} {
		lines.Scan()
		_, *into, _ = strings.Cut(lines.Text(), "=")
	}
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), "=")
		b.environment[name] = value
	}
	return b
}
