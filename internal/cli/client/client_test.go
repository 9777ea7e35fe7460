package client

import (
	"net/http"
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
