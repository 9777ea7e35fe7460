// Command footprint measures the built program beside the smallest custom handler in Go, on Linux: its size, the time from its
// start to its first answer, and its memory after that. It starts the two in turn, and prints the medians and their ratios.
//
//	footprint [-n N] PROGRAM HELLO
//
// PROGRAM has the settings that an app with a managed identity has. Its first answer is a 404, which needs no storage.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The limits of the program: the memory in MB, and how much slower than the other it may start.
const (
	mostMemory = 15
	mostStart  = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	n := flag.Int("n", 20, "how often to start each of the two")
	flag.Parse()
	if err := compare(ctx, *n, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "footprint:", err)
		os.Exit(1)
	}
}

// footprint is the result of one start.
type footprint struct{ start, memory float64 } // in milliseconds and MB

// compare measures the two programs in turn, n times each.
func compare(ctx context.Context, n int, programs []string) error {
	if n < 1 || len(programs) != 2 {
		return errors.New("give it two programs, and -n of 1 or more")
	}
	var all [2][]footprint
	for range n {
		for i, program := range programs {
			f, err := measure(ctx, program)
			if err != nil {
				return fmt.Errorf("%s: %w", program, err)
			}
			all[i] = append(all[i], f)
		}
	}
	var sizes [2]float64
	for i, program := range programs {
		info, err := os.Stat(program)
		if err != nil {
			return err
		}
		sizes[i] = float64(info.Size()) / 1e6
	}
	start := [2]float64{median(all[0], footprint.ms), median(all[1], footprint.ms)}
	memory := [2]float64{median(all[0], footprint.mb), median(all[1], footprint.mb)}
	fmt.Printf("medians of %d starts each %12s %12s %8s\n", n, "the program", "hello world", "ratio")
	for _, line := range []struct {
		what string
		of   [2]float64
	}{{"size, MB", sizes}, {"memory, MB", memory}, {"start to first answer, ms", start}} {
		fmt.Printf("%-28s %12.2f %12.2f %8.2f\n", line.what, line.of[0], line.of[1], line.of[0]/line.of[1])
	}
	var above error
	if memory[0] > mostMemory {
		above = fmt.Errorf("it has %.1f MB of memory, more than %d", memory[0], mostMemory)
	}
	if start[0] > mostStart*start[1] {
		above = errors.Join(above, fmt.Errorf("it starts in %.1f times the time, more than %d", start[0]/start[1], mostStart))
	}
	return above
}

func (f footprint) ms() float64 { return f.start }
func (f footprint) mb() float64 { return f.memory }

func median(all []footprint, of func(footprint) float64) float64 {
	var values []float64
	for _, f := range all {
		values = append(values, of(f))
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// measure starts the program once, as the Functions host does, and kills it.
func measure(ctx context.Context, program string) (f footprint, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	port, err := freePort(ctx)
	if err != nil {
		return f, err
	}
	var log bytes.Buffer
	handler := exec.CommandContext(ctx, program) // the end of ctx kills it
	handler.Stdout, handler.Stderr = &log, &log
	handler.Env = []string{
		"FUNCTIONS_CUSTOMHANDLER_PORT=" + port, "AzureWebJobsStorage__accountName=footprint", "AzureWebJobsStorage__credential=managedidentity",
		"IDENTITY_ENDPOINT=http://127.0.0.1:1/", "IDENTITY_HEADER=none", "LIFEBOAT_PLAN=docs/plan.yaml",
		"LIFEBOAT_SCHEDULE_TIMER=0 * * * * *", "LIFEBOAT_CLEANUP_TIMER=0 */5 * * * *",
	}
	begun := time.Now()
	if err := handler.Start(); err != nil {
		return f, err
	}
	defer func() {
		cancel()
		_ = handler.Wait() // it was killed
		if err != nil {
			err = fmt.Errorf("%w; it said %q", err, log.String())
		}
	}()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+port+"/nothing", http.NoBody)
		if err != nil {
			return f, err
		}
		answer, err := client.Do(request)
		if err == nil {
			f.start = time.Since(begun).Seconds() * 1000
			answer.Body.Close()
			break
		}
		if ctx.Err() != nil {
			return f, err
		}
		time.Sleep(100 * time.Microsecond)
	}
	f.memory, err = resident(handler.Process.Pid)
	return f, err
}

// freePort returns a port without a listener.
func freePort(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, err
}

// resident returns the memory of the process that is in RAM, in MB.
func resident(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "\nVmRSS:")
	line, _, _ := strings.Cut(rest, "\n")
	kb, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(line, "kB")), 64)
	return kb * 1024 / 1e6, err
}
