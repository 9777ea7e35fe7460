package realhost

import (
	"bufio"
	"io"
	"regexp"
	"strings"
	"time"

	"lifeboat/internal/testing/fakehost"
)

// header matches the first line of an entry of .NET's simple console; the text follows, indented by six blanks.
var header = regexp.MustCompile(`^(trce|dbug|info|warn|fail|crit): (.+)\[-?\d+\]$`)

var levels = map[string]fakehost.Level{
	"trce": "Trace", "dbug": "Debug", "info": fakehost.Information, "warn": fakehost.Warning, "fail": fakehost.Error, "crit": "Critical",
}

// read passes each line of the log on as an entry, with the level and category of the header above it, until the log ends.
func read(log io.Reader, each func(fakehost.Entry)) {
	lines := bufio.NewReader(log) // a line may have any length
	var level fakehost.Level
	var category string
	for {
		line, err := lines.ReadString('\n')
		line = strings.TrimRight(line, "\r\n")
		if m := header.FindStringSubmatch(line); m != nil {
			level, category = levels[m[1]], m[2]
		} else if line != "" || err == nil {
			each(fakehost.Entry{Time: time.Now(), Level: level, Category: category, Text: strings.TrimPrefix(line, "      ")})
		}
		if err != nil {
			return
		}
	}
}
