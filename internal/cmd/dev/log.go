package main

import (
	"errors"
	"fmt"
	"os"
)

// logLimit is the size of a log in bytes; with the older one there are twice as many.
const logLimit = 8 << 20

// boundedLog is a file of lines. At its limit it becomes the older one, with ".1" after its name, in place of the one before.
type boundedLog struct {
	path  string
	limit int64
	file  *os.File
	size  int64
}

// openLog opens the log at the path, and goes on with one that is there.
func openLog(path string) (*boundedLog, error) {
	l := &boundedLog{path: path, limit: logLimit}
	return l, l.open()
}

func (l *boundedLog) open() error {
	file, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	l.file, l.size = file, info.Size()
	return nil
}

// say writes a line. If that fails, the line goes to stderr, with the reason.
func (l *boundedLog) say(line string) {
	if err := l.write(line + "\n"); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %s\n", err, line)
	}
}

func (l *boundedLog) write(line string) error {
	if l.size > 0 && l.size+int64(len(line)) > l.limit {
		if err := l.file.Close(); err != nil {
			return err
		}
		if err := os.Rename(l.path, l.path+".1"); err != nil {
			return err
		}
		if err := l.open(); err != nil {
			return err
		}
	}
	n, err := l.file.WriteString(line)
	l.size += int64(n)
	return err
}

// Close closes the file.
func (l *boundedLog) Close() error { return l.file.Close() }
