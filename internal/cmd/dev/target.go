package main

import (
	"fmt"
	"strings"

	"lifeboat/internal/stack"
)

// kind is a service of Azure.
type kind string

// The kinds that the scene has targets of.
const (
	apiManagement      kind = "API Management"
	managedHSM         kind = "Managed HSM"
	managedCCF         kind = "Managed CCF"
	confidentialLedger kind = "Confidential Ledger"
)

// target is what is backed up.
type target struct {
	kind kind
	name string
}

// The targets of the plan.
var (
	apim    = target{apiManagement, "contoso-eu"}
	standby = target{apiManagement, "contoso-us"}
	hsm     = target{managedHSM, "contoso-hsm"}
	ccf     = target{managedCCF, "contoso-ccf"}
	ledger  = target{confidentialLedger, "contoso-ledger"}

	targets = []target{apim, standby, hsm, ccf, ledger}
)

// of says for each kind how its resource IDs are formed, and how one of it is put into Azure.
var of = map[kind]struct {
	id  func(name string) string
	add func(s *stack.Stack, name string) error
}{
	apiManagement:      {stack.Service, (*stack.Stack).AddService},
	managedHSM:         {stack.HSM, func(s *stack.Stack, name string) error { return s.AddHSM(name, appName) }},
	managedCCF:         {stack.CCF, func(s *stack.Stack, name string) error { return s.AddCCF(name, appName) }},
	confidentialLedger: {stack.Ledger, func(s *stack.Stack, name string) error { return s.AddLedger(name, appName) }},
}

// id is the resource ID.
func (t target) id() string { return of[t.kind].id(t.name) }

// named finds the target by its resource ID.
func named(id string) target {
	for _, t := range targets {
		if strings.EqualFold(t.id(), id) {
			return t
		}
	}
	return target{name: id}
}

// rhythm is how often the targets are backed up, and how long that is kept.
type rhythm struct{ every, within string }

// plan is the text of plan.yaml: one plan, by which each target may be restored into itself and nothing else.
func (r rhythm) plan() string {
	var b strings.Builder
	fmt.Fprintf(&b, `version: 1
defaults:
  storage: {account: %s, container: %s}
plans:
  - name: often
    schedule: %q
    keep: {within: %s}
    ccf: {restoreRegion: westeurope}
    restore: {into: [itself], safetyBackup: true, replyTo: [%s]}
    targets:
`, stack.Account(stack.Backups), stack.Container, r.every, r.within, answersQueue)
	for _, t := range targets {
		fmt.Fprintf(&b, "      - %s\n", t.id())
	}
	return b.String()
}
