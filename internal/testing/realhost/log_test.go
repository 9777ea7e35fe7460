package realhost

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"lifeboat/internal/testing/fakehost"
)

func TestLog(t *testing.T) {
	t.Parallel()
	var seen []string
	read(strings.NewReader("told before\ninfo: Host.Startup[503]\n      Job host started\n      in two lines\n\n"+
		"fail: Host.Function.Console[-1]\n      {\"a\": 1}\nwarn: A.B[0]\n      the end"),
		func(e fakehost.Entry) { seen = append(seen, fmt.Sprintf("%s|%s|%s", e.Level, e.Category, e.Text)) })
	want := []string{
		"||told before", "Information|Host.Startup|Job host started", "Information|Host.Startup|in two lines", "Information|Host.Startup|",
		`Error|Host.Function.Console|{"a": 1}`, "Warning|A.B|the end",
	}
	if !slices.Equal(seen, want) {
		t.Errorf("%q\nwant\n%q", seen, want)
	}
}
