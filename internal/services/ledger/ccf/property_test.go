package ccf_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"lifeboat/internal/services/ledger/ccf"
	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// lived makes a ledger by chance: its versions, recoveries, elections, chunks, snapshots and its tail.
func lived(seed uint64) (l *ccfwriter.Ledger, snapshots int) {
	r := rand.New(rand.NewPCG(seed, 1))
	version := r.IntN(len(forms))
	l = ccfwriter.New(forms[version], seed)
	if r.IntN(2) == 0 {
		l.Open()
	}
	for range 5 + r.IntN(20) {
		switch r.IntN(12) {
		case 0:
			l.Sign()
		case 1, 2:
			l.Close()
		case 3:
			l.Elect()
		case 4:
			l.Open()
			l.Renew()
		case 5:
			version = min(version+r.IntN(2), len(forms)-1)
			l.Recover(forms[max(version, 1)]) // CCF 1 has no chain of identities
			version = max(version, 1)
		case 6:
			l.Snapshot(r.IntN(20))
			l.Sign()
			snapshots++
		default:
			for range 1 + r.IntN(9) {
				key := fmt.Sprint(r.IntN(5))
				l.Transact(r.IntN(2)*r.IntN(200), ccfwriter.Write{Table: "public:records", Key: key, Value: make([]byte, r.IntN(300)), Remove: r.IntN(4) == 0})
			}
		}
	}
	if r.IntN(2) == 0 {
		l.Sign()
	}
	return l, snapshots
}

// ledgers counts the ledgers that are made by chance. make soak makes 1,000, and changes all bytes of a small one.
func ledgers(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("LIFEBOAT_LEDGERS")
	if text == "" {
		return 40
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 0 {
		t.Fatalf("LIFEBOAT_LEDGERS=%s is no number of ledgers", text)
	}
	return n
}

func TestLedgersByChance(t *testing.T) {
	for seed := range ledgers(t) {
		l, snapshots := lived(seed)
		got := verify(t, l.Files(), ccf.Options{EverySignature: seed%4 == 0})
		nodes, coses, private, services := l.Counts()
		want := ccf.Report{
			Last: l.LastID(), Signed: l.SignedID(), Root: l.Root(), Service: l.Service(), Transactions: l.Seqno(),
			NodeSignatures: nodes, COSESignatures: coses, PrivateParts: private,
		}
		if !got.Proven() || got.Last != want.Last || got.Signed != want.Signed || got.Root != want.Root || got.Transactions != want.Transactions ||
			got.NodeSignatures != nodes || got.COSESignatures != coses || got.PrivateParts != private {
			t.Errorf("seed %d: %+v, not %+v", seed, got, want)
		}
		if len(got.Identities)+got.MoreIdentities != services || len(got.Snapshots)+got.MoreSnapshots != snapshots {
			t.Errorf("seed %d: %d services and %d snapshots: %+v", seed, services, snapshots, got)
		}
		for _, s := range got.Snapshots {
			if !s.InLedger {
				t.Errorf("seed %d: %+v", seed, s)
			}
		}
		if seed%6 == 0 {
			if paused, _ := resumed(t, l.Files(), ccf.Options{}, func(int) bool { return true }); !slices.Equal(found(paused), found(got)) || paused.Root != got.Root {
				t.Errorf("seed %d: %+v, not %+v", seed, paused, got)
			}
		}
	}
}
