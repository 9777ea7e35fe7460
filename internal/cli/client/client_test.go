package client

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestRetryAfterIsFollowedForAMinuteAtMost checks that a command does not sleep for hours.
func TestRetryAfterIsFollowedForAMinuteAtMost(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "1": time.Second, "59": 59 * time.Second, "60": time.Minute, "61": time.Minute, "7200": time.Minute,
		"-1": 0, "soon": 0, "1.5": 0, "Wed, 21 Oct 2026 07:28:00 GMT": 0, "9223372036854775807": time.Minute,
	} {
		if got := retryAfter(http.Header{"Retry-After": {text}}); got != want {
			t.Errorf("Retry-After %q: %s, want %s", text, got, want)
		}
	}
}

// TestALinkIsFollowedByItsPathAlone checks that the host in a link of the API is not used.
func TestALinkIsFollowedByItsPathAlone(t *testing.T) {
	for link, want := range map[string]string{
		"https://other/api/runs/x": "/api/runs/x", "https://other/api/runs?target=a%2Fb&after=c": "/api/runs?target=a%2Fb&after=c",
		"/api/runs/x": "/api/runs/x", "": "", "https://other/%zz": "",
	} {
		if got := PathOf(link); got != want {
			t.Errorf("%s: %q, want %q", link, got, want)
		}
	}
}

// TestAnUntrustedCertificateIsFinal checks that a call is not repeated when the certificate of the app cannot be trusted.
func TestAnUntrustedCertificateIsFinal(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer server.Close()
	settings := map[string]string{"LIFEBOAT_URL": server.URL, "LIFEBOAT_KEY": "key"}
	var said strings.Builder
	x, err := New(func(name string) string { return settings[name] }, false, &said)
	if err != nil {
		t.Fatal(err)
	}
	_, err = x.Do(t.Context(), Call{Method: http.MethodGet, Path: "/api/targets"})
	if err == nil || !strings.Contains(err.Error(), "SSL_CERT_FILE") || said.String() != "" {
		t.Errorf("%v, %q", err, said.String())
	}
}
