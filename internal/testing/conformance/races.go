package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"

	"lifeboat/internal/backup"
)

// testOneInsertWins makes eight goroutines insert the same row at once, alone and in a transaction.
func testOneInsertWins(t *testing.T, c catalog) {
	for _, row := range []string{"alone", "together"} {
		wins := make([]bool, 8)
		together(len(wins), func(i int) {
			writes := []backup.Write{insert(row, fmt.Sprintf(`{"Winner":%d}`, i))}
			if row == "together" {
				writes = append(writes, insert(fmt.Sprintf("with-%d", i), `{}`))
			}
			_, err := c.Apply(t.Context(), writes...)
			if err != nil && !errors.Is(err, backup.ErrExists) {
				t.Errorf("Apply = %v, want nothing or ErrExists", err)
			}
			wins[i] = err == nil
		})
		stored, _, err := c.Get(t.Context(), at(row))
		if err != nil {
			t.Fatal(err)
		}
		var body struct{ Winner int }
		if err := json.Unmarshal(stored.Body, &body); err != nil {
			t.Fatal(err)
		}
		for i, won := range wins {
			if won != (i == body.Winner) {
				t.Errorf("%s: writer %d was told %t, and the row is writer %d's", row, i, won, body.Winner)
			}
		}
	}
	if keys := c.list("p", "with-", "with.", 10); len(keys) != 1 {
		t.Errorf("the rows %v came with one insert, want one", keys)
	}
}

// testCountersAreExact makes eight goroutines count in two rows at once, each step a transaction on both.
func testCountersAreExact(t *testing.T, c catalog) {
	const writers, steps = 8, 5
	c.apply(insert("a", `{"N":0}`), insert("b", `{"N":0}`))
	together(writers, func(int) {
		for range steps {
			for !count(t, c) {
			}
		}
	})
	for _, row := range []string{"a", "b"} {
		if _, n := read(t, c, row); n != writers*steps {
			t.Errorf("row %s counted to %d, want %d", row, n, writers*steps)
		}
	}
}

// count adds one to both rows, and reports whether no other writer came first. After any other error it reports true.
func count(t *testing.T, c catalog) bool {
	aTag, a := read(t, c, "a")
	bTag, b := read(t, c, "b")
	_, err := c.Apply(t.Context(), replace("a", aTag, fmt.Sprintf(`{"N":%d}`, a+1)),
		replace("b", bTag, fmt.Sprintf(`{"N":%d}`, b+1)))
	if err != nil && !errors.Is(err, backup.ErrChanged) {
		t.Errorf("Apply = %v, want nothing or ErrChanged", err)
		return true
	}
	return err == nil
}

func read(t *testing.T, c catalog, key string) (etag string, n int) {
	row, _, err := c.Get(t.Context(), at(key))
	if err != nil {
		t.Errorf("Get: %v", err)
		return "none", 0
	}
	var body struct{ N int }
	if err := json.Unmarshal(row.Body, &body); err != nil {
		t.Errorf("row %s: %v", key, err)
	}
	return row.ETag, body.N
}

// together calls f n times at once and waits.
func together(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}
