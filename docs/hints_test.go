package docs_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/config"
	"lifeboat/internal/restore"
	"lifeboat/internal/services"
)

// TestNoHintIsADeadEnd walks each hint of a guard that plan.yaml or the request answers: the hint's words, and the plan or the request
// as they say. The program must take that plan, and the guards must agree.
func TestNoHintIsADeadEnd(t *testing.T) {
	const (
		scope   = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/prod/providers/"
		apim    = scope + "Microsoft.ApiManagement/service/contoso"
		ccf     = scope + "Microsoft.ConfidentialLedger/managedCCFs/contoso-1"
		otherCC = scope + "Microsoft.ConfidentialLedger/managedCCFs/contoso-2"
		hsm     = scope + "Microsoft.KeyVault/managedHSMs/contoso-1"
		point   = "0123456789abcdef-0123456789-0123456789ab"
	)
	type try struct {
		restore string // the plan's, "" for none
		request map[string]string
	}
	for _, c := range []struct {
		name       string
		refused    try
		code, hint string
		// after has what is changed as the hint says; further codes may come on the way, each with the next.
		after []try
		codes []string
	}{
		{
			"a target that has left, into a twin",
			try{"{into: [itself]}", map[string]string{"target": apim + "-gone", "into": apim + "-twin"}},
			"UnknownTarget", "If the ID is as plan.yaml has it, the target has left plan.yaml. Name it in restore.from of a plan, and the destination by its resource ID in restore.into of that plan.",
			[]try{{"{from: [" + apim + "-gone], into: [" + apim + "-twin]}", nil}},
			nil,
		},
		{
			"a target that has left, into itself",
			try{"", map[string]string{"target": apim + "-gone"}},
			"UnknownTarget", "If the ID is as plan.yaml has it, the target has left plan.yaml. Name it in restore.from of a plan, and the destination by its resource ID in restore.into of that plan.",
			[]try{{"{from: [" + apim + "-gone], into: [itself, " + apim + "-gone]}", nil}},
			nil,
		},
		{
			"a target that has left is not itself",
			try{"{from: [" + apim + "-gone], into: [itself, " + apim + "-twin]}", map[string]string{"target": apim + "-gone"}},
			"DestinationNotAllowed", "Add it to restore.into of that plan by its resource ID, if it may be overwritten; itself there does not count for a target that has left.",
			[]try{{"{from: [" + apim + "-gone], into: [itself, " + apim + "-twin, " + apim + "-gone]}", nil}},
			nil,
		},
		{
			"a target that has left, into the plan's own target",
			try{"{from: [" + apim + "-gone], into: [itself, " + apim + "-twin]}", map[string]string{"target": apim + "-gone", "into": apim}},
			"DestinationNotAllowed", "Add it to restore.into of that plan by its resource ID, if it may be overwritten; itself there does not count for a target that has left.",
			[]try{{"{from: [" + apim + "-gone], into: [itself, " + apim + "-twin, " + apim + "]}", nil}},
			nil,
		},
		{
			"a destination that no plan names",
			try{"{into: [itself]}", map[string]string{"into": apim + "-twin"}},
			"DestinationNotAllowed", "Add it to restore.into of the plan, if it may be overwritten; itself there allows each target to be restored into itself.",
			[]try{{"{into: [itself, " + apim + "-twin]}", nil}},
			nil,
		},
		{
			"a plan that allows nothing",
			try{"", nil},
			"DestinationNotAllowed", "Add it to restore.into of the plan, if it may be overwritten; itself there allows each target to be restored into itself.",
			[]try{{"{into: [itself]}", nil}},
			nil,
		},
		{
			"another type, which plan.yaml would not take as a destination",
			try{"{into: [itself]}", map[string]string{"into": hsm + "-b"}},
			"TypeMismatch", "Restore into a Microsoft.ApiManagement/service.",
			[]try{{"{into: [itself]}", map[string]string{"into": apim}}},
			nil,
		},
		{
			"another type, of a target that has left",
			try{"{into: [itself]}", map[string]string{"target": hsm + "-gone", "into": apim}},
			"TypeMismatch", "Restore into a Microsoft.KeyVault/managedHSMs.",
			[]try{
				{"{into: [itself]}", map[string]string{"target": hsm + "-gone", "into": hsm + "-b"}},
				{"{from: [" + hsm + "-gone], into: [itself, " + hsm + "-b]}", map[string]string{"target": hsm + "-gone", "into": hsm + "-b"}},
			},
			[]string{"UnknownTarget"},
		},
		{
			"another name, which Azure would not take",
			try{"{into: [itself]}", map[string]string{"target": ccf, "into": otherCC}},
			"NameDiffers", "Restore into a resource of the same name.",
			[]try{{"{into: [itself]}", map[string]string{"target": ccf}}},
			nil,
		},
		{
			"one key of a service without keys",
			try{"", map[string]string{"kind": "selective", "key": "rsa1"}},
			"KindNotSupported", "Leave kind and key out.",
			[]try{{"", map[string]string{"kind": "full"}}, {"{into: [itself]}", map[string]string{"kind": "full"}}},
			[]string{"DestinationNotAllowed"},
		},
		{
			"a region of a service that stays where it is",
			try{"{into: [itself]}", map[string]string{"restoreRegion": "westeurope"}},
			"RegionNotSupported", "Leave restoreRegion out.",
			[]try{{"{into: [itself]}", map[string]string{}}},
			nil,
		},
		{
			"a queue that no plan names",
			try{"{into: [itself]}", map[string]string{"replyTo": "soar"}},
			"ReplyToNotAllowed", "Add it to restore.replyTo of the plan, or leave replyTo out: answers also go to lifeboat-events.",
			[]try{{"{into: [itself], replyTo: [soar]}", nil}},
			nil,
		},
		{
			"a queue of our own, which plan.yaml would not take",
			try{"{into: [itself]}", map[string]string{"replyTo": "lifeboat-events"}},
			"ReplyToNotAllowed", "Leave replyTo out, or name another queue: answers go to lifeboat-events in any case.",
			[]try{{"{into: [itself]}", map[string]string{}}},
			nil,
		},
		{
			"approval",
			try{"{into: [itself], approval: required}", nil},
			"ApprovalUnavailable", "Remove restore.approval from plan.yaml.",
			[]try{{"{into: [itself]}", nil}},
			nil,
		},
	} {
		reader := config.NewReader(services.All().Known())
		// refusal is the first refusal of the guards that plan.yaml and the request answer.
		refusal := func(restores string, request map[string]string) *backup.Reason {
			t.Helper()
			text := "version: 1\ndefaults:\n  storage: {account: " + scope + "Microsoft.Storage/storageAccounts/backups, container: lifeboat}\nplans:\n" +
				"  - name: nightly\n    targets: [" + apim + ", " + hsm + "-b, " + ccf + "]\n    schedule: \"30 2 * * *\"\n    keep: {within: 20d}\n"
			if restores != "" {
				text += "    restore: " + restores + "\n"
			}
			plans, _, err := reader.Parse("plan.yaml", []byte(text))
			if err != nil {
				t.Fatalf("%s: plan.yaml as the hint wants it is refused: %v", c.name, err)
			}
			message := `{"id":"i","recoveryPoint":"` + point + `"`
			if request["target"] == "" {
				message += fmt.Sprintf(`,"target":%q`, apim)
			}
			for name, value := range request {
				message += fmt.Sprintf(`,%q:%q`, name, value)
			}
			q, err := restore.ParseRequest([]byte(message+"}"), "")
			if err != nil {
				t.Fatalf("%s: the request as the hint wants it is refused: %v", c.name, err)
			}
			p := restore.NewPreview(q, plans, time.Now())
			into, _ := services.All().Known().Of(q.Destination())
			for _, guard := range []func() *backup.Reason{
				func() *backup.Reason { return p.Allow(q, plans, into) },
				func() *backup.Reason { return p.Answers(q) }, func() *backup.Reason { return p.Fits(into) },
			} {
				if why := guard(); why != nil {
					return why
				}
			}
			return nil
		}
		why := refusal(c.refused.restore, c.refused.request)
		if why == nil || why.Code != c.code || why.Hint != c.hint {
			t.Errorf("%s: %+v, want %s and the hint %q", c.name, why, c.code, c.hint)
			continue
		}
		for i, after := range c.after {
			request := after.request
			if request == nil {
				request = c.refused.request
			}
			switch why := refusal(after.restore, request); {
			case i < len(c.codes) && (why == nil || why.Code != c.codes[i] || strings.TrimSpace(why.Hint) == ""):
				t.Errorf("%s, step %d: %+v, want %s with a hint", c.name, i+1, why, c.codes[i])
			case i >= len(c.codes) && why != nil:
				t.Errorf("%s: after all that the hints say: %+v", c.name, why)
			}
		}
	}
}
