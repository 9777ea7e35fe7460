// Command ledgerspeed compares the verifier of ledgers with the official reader, ccf of PyPI at its level FULL, in one run on the same
// files: each reads each ledger 20 times in a process of its own, files in the page cache. It fails if the verifier is slower, or takes
// more memory, than docs/ledger.md says.
package main

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"lifeboat/internal/services/ledger/ccf"
)

//go:embed official.py
var official string

// result is the answer of a process about its reads.
type result struct {
	Seconds      float64 `json:"seconds"`
	Processor    float64 `json:"processor"` // seconds of processor time
	PeakKiB      int     `json:"peakKiB"`
	Transactions int     `json:"transactions"`
	Signatures   int     `json:"signatures"`
	Signed       string  `json:"signed"`
}

// The limits: how many times as fast as the official reader, and how much memory.
const (
	leastFast  = 5.0
	leastEvery = 1.5
	mostKiB    = 24 << 10
	mostShare  = 0.5
)

func main() {
	python := flag.String("python", "", "the Python that has ccf")
	real := flag.String("ledgers", "", "a folder of folders with a ledger each")
	into := flag.String("into", "build/ledger-speed", "the folder for the made ledgers")
	times := flag.Int("times", 20, "how often each ledger is read")
	read := flag.String("read", "", "read this folder, and no more")
	every := flag.Bool("every-signature", false, "with -read: verify each signature")
	write := flag.String("make", "", "make the ledger of this name, and no more")
	flag.Parse()
	var err error
	switch {
	case *read != "":
		err = reads(*read, *times, *every)
	case *write != "":
		err = makes(*write, *into)
	default:
		err = compare(*python, *real, *into, *times)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// reads reads a folder, and prints what that took.
func reads(folder string, times int, every bool) error {
	var r result
	begun, used := time.Now(), processor()
	for range times {
		source, err := ccf.Folder(os.DirFS(folder))
		if err != nil {
			return err
		}
		v, err := ccf.New(source, ccf.Options{EverySignature: every}, nil)
		if err != nil {
			return err
		}
		if _, err := v.Run(context.Background(), func() bool { return false }); err != nil {
			return err
		}
		report := v.Report()
		if !report.Proven() {
			return fmt.Errorf("%s is not proven: %+v", folder, report.Errors)
		}
		r.Transactions, r.Signatures, r.Signed = int(report.Transactions), int(max(report.NodeSignatures, report.COSESignatures)), report.Signed
	}
	r.Seconds, r.Processor = time.Since(begun).Seconds(), processor()-used
	status, err := os.Open("/proc/self/status")
	if err != nil {
		return err
	}
	defer status.Close()
	for lines := bufio.NewScanner(status); lines.Scan(); {
		if peak, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			if _, err := fmt.Sscan(peak, &r.PeakKiB); err != nil {
				return err
			}
		}
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// processor is the processor time of this process.
func processor() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// measured runs a command that prints a result.
func measured(name string, args ...string) (r result, err error) {
	command := exec.CommandContext(context.Background(), name, args...)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return r, fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return r, json.Unmarshal(out, &r)
}

// set is a ledger to read.
type set struct {
	name, folder string
	made         bool
}

func compare(python, real, into string, times int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var sets []set
	if real != "" {
		found, err := filepath.Glob(filepath.Join(real, "*", "ledger"))
		if err != nil || len(found) == 0 {
			return fmt.Errorf("%s has no folder with a ledger: %w", real, err)
		}
		for _, folder := range found {
			sets = append(sets, set{name: filepath.Base(filepath.Dir(folder)), folder: folder})
		}
	}
	for _, name := range names() {
		folder := filepath.Join(into, name)
		if _, err := os.Stat(folder); errors.Is(err, os.ErrNotExist) { // in another process: the memory of this one counts for its children
			command := exec.CommandContext(context.Background(), self, "-make", name, "-into", into)
			command.Stderr = os.Stderr
			if err := command.Run(); err != nil {
				return fmt.Errorf("making %s: %w", name, err)
			}
		}
		sets = append(sets, set{name: name, folder: folder, made: true})
	}
	fmt.Println("| ledger | MB | signature every | ccf 7.0.22 | Lifeboat | `--every-signature` | by processor time | memory |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	var missed []string
	for _, s := range sets {
		bad, err := side(s, self, python, times)
		if err != nil {
			return err
		}
		missed = append(missed, bad...)
	}
	if len(missed) > 0 {
		return errors.New(strings.Join(missed, "\n"))
	}
	return nil
}

// side reads a ledger with both, and prints a row.
func side(s set, self, python string, times int) (missed []string, err error) {
	n := fmt.Sprint(times)
	theirs, err := measured(python, "-c", official, s.folder, n)
	if err != nil {
		return nil, err
	}
	ours, err := measured(self, "-read", s.folder, "-times", n)
	if err != nil {
		return nil, err
	}
	every, err := measured(self, "-read", s.folder, "-times", n, "-every-signature")
	if err != nil {
		return nil, err
	}
	if theirs.Transactions != ours.Transactions || theirs.Signatures != ours.Signatures || theirs.Signed != ours.Signed {
		return nil, fmt.Errorf("%s: the official reader found %+v, and ours %+v", s.name, theirs, ours)
	}
	files, err := filepath.Glob(filepath.Join(s.folder, "ledger_*"))
	if err != nil {
		return nil, err
	}
	size := int64(0)
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			return nil, err
		}
		size += info.Size()
	}
	read := float64(size) * float64(times) / 1e6
	fast, slow := theirs.Seconds/ours.Seconds, theirs.Seconds/every.Seconds
	fmt.Printf("| %s | %.1f | %d | %.0f MB/s, %d MiB | %.0f MB/s, %.1f times | %.0f MB/s, %.1f times | %.1f and %.1f times | %d MiB |\n", s.name, float64(size)/1e6,
		ours.Transactions/ours.Signatures, read/theirs.Seconds, theirs.PeakKiB>>10, read/ours.Seconds, fast, read/every.Seconds, slow,
		theirs.Processor/ours.Processor, theirs.Processor/every.Processor, max(ours.PeakKiB, every.PeakKiB)>>10)
	peak := max(ours.PeakKiB, every.PeakKiB)
	for _, c := range []struct {
		ok   bool
		text string
	}{
		{fast >= leastFast, fmt.Sprintf("is read %.1f times as fast, not %.1f", fast, leastFast)},
		{slow >= leastEvery, fmt.Sprintf("is read %.1f times as fast with each signature, not %.1f", slow, leastEvery)},
		{peak <= mostKiB, fmt.Sprintf("takes %d MiB, more than %d", peak>>10, mostKiB>>10)},
		{!s.made || float64(peak) <= mostShare*float64(theirs.PeakKiB), fmt.Sprintf("takes %d MiB, more than half of %d", peak>>10, theirs.PeakKiB>>10)},
	} {
		if !c.ok {
			missed = append(missed, s.name+" "+c.text)
		}
	}
	return missed, nil
}
