package main

import (
	"fmt"
	"strings"

	"lifeboat/internal/testing/stack"
)

// kind is a service of Azure.
type kind string

// These are the kinds of the scene's targets.
const (
	apiManagement      kind = "API Management"
	managedHSM         kind = "Managed HSM"
	managedCCF         kind = "Managed CCF"
	confidentialLedger kind = "Confidential Ledger"
)

// target is a service that the scene backs up.
type target struct {
	kind kind
	name string
}

// These are the targets of the plan.
var (
	apim    = target{apiManagement, "contoso-eu"}
	standby = target{apiManagement, "contoso-us"}
	hsm     = target{managedHSM, "contoso-hsm"}
	ccf     = target{managedCCF, "contoso-ccf"}
	ledger  = target{confidentialLedger, "contoso-ledger"}

	targets = []target{apim, standby, hsm, ccf, ledger}
)

// of has, for each kind, the form of its resource IDs, and the function that adds a service to the stack.
var of = map[kind]struct {
	id  func(name string) string
	add func(s *stack.Stack, name string) error
}{
	apiManagement:      {stack.Service, (*stack.Stack).AddService},
	managedHSM:         {stack.HSM, func(s *stack.Stack, name string) error { return s.AddHSM(name, appName) }},
	managedCCF:         {stack.CCF, func(s *stack.Stack, name string) error { return s.AddCCF(name, appName) }},
	confidentialLedger: {stack.Ledger, func(s *stack.Stack, name string) error { return s.AddLedger(name, appName) }},
}

// id returns the resource ID.
func (t target) id() string { return of[t.kind].id(t.name) }

// named returns the target with the resource ID.
func named(id string) target {
	for _, t := range targets {
		if strings.EqualFold(t.id(), id) {
			return t
		}
	}
	return target{name: id}
}

// rhythm is the interval of the backups, and the time for which a plan keeps them.
type rhythm struct{ every, within string }

// plan returns the text of plan.yaml: two plans that allow each target to be restored into itself and nothing else. Ledgers
// have their own plan, since they have nothing left to back up before a restore.
func (r rhythm) plan() string {
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\ndefaults:\n  storage: {account: %s, container: %s}\nplans:\n", stack.Account(stack.Backups),
		stack.Container)
	for _, p := range []struct {
		name, restore string
		targets       []target
	}{
		{"often", "restore: {into: [itself], safetyBackup: true, replyTo: [" + answersQueue + "]}", []target{apim, standby, hsm}},
		{
			"ledgers", "restore: {into: [itself], replyTo: [" + answersQueue + "]}\n    ccf: {restoreRegion: westeurope}",
			[]target{ccf, ledger},
		},
	} {
		fmt.Fprintf(&b, "  - name: %s\n    schedule: %q\n    keep: {within: %s}\n    onDemand: {keep: {within: %s}}\n    softDelete: off\n    %s\n    targets:\n", p.name, r.every,
			r.within, r.within, p.restore)
		for _, t := range p.targets {
			fmt.Fprintf(&b, "      - %s\n", t.id())
		}
	}
	return b.String()
}
