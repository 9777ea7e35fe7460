package securitydomain_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lifeboat/internal/services/managedhsm/securitydomain"
	"lifeboat/internal/testing/fakeazure/domainwriter"
)

// processorTime returns the time for which this process has computed, whatever else the machine does.
func processorTime(b *testing.B) time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkCheck checks a file of ten holders with RSA 4096 by all ten keys, and does the RSA operations alone, in turn. It fails if the
// check takes 1.5 times as long.
func BenchmarkCheck(b *testing.B) {
	made := make([]domainwriter.Holder, 10)
	var all sync.WaitGroup
	for i := range made {
		all.Go(func() { made[i] = domainwriter.NewHolder(fmt.Sprint(i), 4096) })
	}
	all.Wait()
	content := domainwriter.New("contoso-hsm", 5, made[0].Key, made...).File().JSON()
	var wrapped [][]byte
	for _, h := range made {
		wrapped = append(wrapped, must(rsa.EncryptOAEP(sha256.New(), rand.Reader, &h.Key.PublicKey, make([]byte, 64), nil)))
	}
	var checks, alone time.Duration
	for b.Loop() {
		begun := processorTime(b)
		file := must(securitydomain.Parse(content))
		if r := file.Check("f", keys(made...), securitydomain.Options{}); r.Outcome != securitydomain.Recoverable {
			b.Fatal(r.Errors)
		}
		between := processorTime(b)
		for _, h := range made {
			for _, one := range wrapped {
				_, _ = rsa.DecryptOAEP(sha256.New(), nil, h.Key, one, nil)
			}
		}
		checks, alone = checks+between-begun, alone+processorTime(b)-between
	}
	ratio := float64(checks) / float64(alone)
	b.ReportMetric(ratio, "checks/RSA")
	if ratio > 1.5 {
		b.Errorf("the check takes %.2f times as long as its RSA operations", ratio)
	}
}
