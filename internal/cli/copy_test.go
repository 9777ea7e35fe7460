package cli_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestACopyIsCalledOneInTables checks the words for people, and that a copy is no alarm.
func TestACopyIsCalledOneInTables(t *testing.T) {
	t.Parallel()
	const ledger = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/g/providers/Microsoft.ConfidentialLedger/ledgers/l"
	point := `{"id":"r","plan":"p","state":"copyOnly","copyOnly":true,"expiresDateTime":"2026-04-01T00:00:00Z"}`
	whole := `{"id":"r","status":"Succeeded","state":"succeeded","plan":"p","kind":"backup","recoveryPoint":` + point + `}`
	for _, c := range []struct {
		args []string
		body string
		want string
	}{
		{[]string{"health"}, `{"overallStatus":"copyOnly","plan":{},"targets":[{"target":"` + ledger + `","plan":"p","status":"copyOnly",` +
			`"reason":{"code":"CopyOnly","message":"it can be read"}}]}`, "l p copy only never none CopyOnly: it can be read"},
		{[]string{"points", ledger}, `{"value":[` + point + `]}`, "r copy only 0 B 2026-04-01T00:00:00Z p"},
		{[]string{"runs", ledger}, `{"value":[` + whole + `]}`, "0 B copy only, kept until 2026-04-01T00:00:00Z"},
		{[]string{"run", "r"}, whole, "copy copy only, kept until 2026-04-01T00:00:00Z"},
	} {
		a := newApp(t, "", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			fmt.Fprint(w, c.body)
			return false
		})
		code, out, errs := a.run(t.Context(), "id", c.args...)
		if told := strings.Join(strings.Fields(out), " "); code != 0 || !strings.Contains(told, c.want) || errs != "" {
			t.Errorf("%s: %d\n%s%s\nwant %q", c.args[0], code, out, errs, c.want)
		}
	}
}
