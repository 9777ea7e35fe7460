package e2e

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakehost"
	"lifeboat/internal/testing/figures"
	"lifeboat/internal/testing/stack"
)

// TestCleanupOfALargeCatalog lets 100 of 100,000 recovery points of 1,000 targets expire, ten of each of ten targets: a cleanup costs in
// proportion to these ten, in at most 64 MiB, and its longest line has at most 4 KiB.
func TestCleanupOfALargeCatalog(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Minute)
	defer cancel()
	const targets, each, expiring, due = 1000, 100, 10, 10
	service := newServices(t, 1)[0]
	var mu sync.Mutex
	longest := 0
	show := logTo(t)
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", service), WaitFactor: 1, Log: func(e fakehost.Entry) {
		mu.Lock()
		longest = max(longest, len(e.Text))
		mu.Unlock()
		show(e)
	}})
	if err := a.Invoke(ctx, "cleanup"); err != nil { // it counts the recovery points, as once a day
		t.Fatal(err)
	}
	clean := func() (int, map[string]int) {
		t.Helper()
		before, was := spent(a)
		if err := a.Invoke(ctx, "cleanup"); err != nil {
			t.Fatal(err)
		}
		after, by := spent(a)
		for op, n := range was {
			if by[op] -= n; by[op] == 0 {
				delete(by, op)
			}
		}
		return after - before, by
	}
	idle, _ := clean()
	makeContainers(t, stack.Backups, stack.Container)

	filled := time.Now()
	began := time.Now().UTC().Truncate(time.Hour).Add(-each * 24 * time.Hour)
	var filling sync.WaitGroup
	free := make(chan struct{}, 4)
	for n := range targets {
		free <- struct{}{}
		filling.Go(func() {
			defer func() { <-free }()
			target := stack.Service(fmt.Sprintf("large-%d", n))
			var rows, index []backup.Write
			for i := range each {
				at := began.Add(time.Duration(i) * 24 * time.Hour)
				p := backup.Point{
					ID: backup.NewRunID(target, at, "test"), State: backup.Live, Target: target, Plan: "test", Size: 1 << 20, Began: at,
					SHA256: strings.Repeat("c0ffee00", 8), ETag: `"0x1"`, Created: at.Add(10 * time.Minute),
					Storage: backup.Storage{Account: stack.Account(stack.Backups), Container: stack.Container},
					Expires: time.Now().UTC().Add(time.Duration(1+i) * 24 * time.Hour),
				}
				p.Artifact = p.ID + ".1"
				if n < expiring && i < due {
					p.Expires = time.Now().UTC().Add(-time.Hour)
				}
				rows = append(rows, p.Insert(nil)...)
				index = append(index, backup.Write{Op: backup.Put, Key: backup.DueKey(p.Expires, p.ID), Body: backup.Encode(map[string]any{
					"Point": p.ID, "Target": p.Target, "Created": p.Created, "Plan": p.Plan, "Size": p.Size, "State": p.State,
				})})
			}
			for len(rows) > 0 {
				part := rows[:min(len(rows), backup.MostWrites)]
				if rows = rows[len(part):]; len(part) > 0 {
					if _, err := a.catalog.Apply(ctx, part...); err != nil {
						t.Error(err)
						return
					}
				}
			}
			if _, err := a.catalog.Apply(ctx, index...); err != nil {
				t.Error(err)
			}
		})
	}
	filling.Wait()
	if t.Failed() {
		return
	}
	t.Logf("filled after %s", time.Since(filled))

	resetPeak(t, a.PID())
	n, by := clean()
	peak := peakOf(t, a.PID())
	again, _ := clean()
	left := 0
	for n := range expiring {
		for _, p := range a.points(ctx, fmt.Sprintf("large-%d", n)) {
			if p.State != string(backup.Expired) {
				left++
			}
		}
	}
	figures.Report(t, "a cleanup of 100 of 100,000 recovery points: %d requests (%d idle), %d MiB at the most, the longest line has %d bytes: %v",
		n, idle, peak>>20, longest, by)
	if left != expiring*(each-due) {
		t.Errorf("%d recovery points of the %d targets are left", left, expiring)
	}
	if most := idle + expiring*(3+11*due); n > most {
		t.Errorf("the cleanup cost %d requests, more than %d", n, most)
	}
	if again > idle+1 {
		t.Errorf("the cleanup after it cost %d requests, an idle one %d", again, idle)
	}
	if peak > 64<<20 {
		t.Errorf("the program had %d MiB", peak>>20)
	}
	if longest > 4<<10 {
		t.Errorf("a line of the log has %d bytes", longest)
	}
}

// resetPeak has the kernel begin its count of the process's peak memory again.
func resetPeak(t *testing.T, pid int) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
}

// peakOf returns the most memory that the process had since then, in bytes.
func peakOf(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
