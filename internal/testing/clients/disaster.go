package main

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

const (
	// lost is an HSM that waits for its activation, and will be lost. The custodian makes fresh, and restores into it.
	lost      = "contoso-lost"
	fresh     = "contoso-fresh"
	custodian = "custodian"
	// foreign waits for its activation too. It gets another security domain than lost.
	foreign = "contoso-foreign"
)

// addDisaster adds what a test needs to lose an HSM and to bring it back, and returns that as JSON. The custodian may make and delete
// HSMs, and administers each HSM that waits.
func addDisaster(s *stack.Stack) (string, error) {
	s.Sim.Assign(s.Sim.ObjectID(custodian), stack.Scope, fakeazure.Contributor)
	err := errors.Join(s.AddNewHSM(lost, custodian), s.AddNewHSM(foreign, custodian))
	for _, role := range []fakeazure.HSMRole{fakeazure.ManagedHSMBackup, fakeazure.ManagedHSMRestore} {
		err = errors.Join(err, s.Sim.AssignHSM(stack.HSM(foreign), s.Sim.ObjectID(identity), role))
	}
	err = errors.Join(err, s.Sim.TuneHSM("", func(k *fakeazure.HSMOptions) {
		// Azure CLI asks at once, and after that every 30 seconds: each of these is over before.
		moment := fakeazure.Range{Shortest: time.Millisecond}
		k.Activating, k.Making, k.Removing = moment, moment, moment
		// A restore must come within 30 minutes after a safety backup. Here these are 15 seconds, and a slow machine may need more.
		k.BackupFirst = fakeazure.BackupUnchecked
	}))
	err = errors.Join(err, s.Sim.TuneHSM(stack.HSM(lost), func(k *fakeazure.HSMOptions) { k.Activating = fakeazure.Range{} }))
	if err != nil {
		return "", err
	}
	environment := map[string]string{}
	for _, variable := range s.Sim.EnvFor(custodian) {
		name, value, _ := strings.Cut(variable, "=")
		environment[name] = value
	}
	known, err := json.Marshal(map[string]any{
		"program": s.Binary, "lost": lost, "fresh": fresh, "foreign": foreign, "app": s.Sim.ObjectID(identity),
		"custodian": s.Sim.ObjectID(custodian), "environment": environment,
		"identity": stack.Scope + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/" + lost + "-backups",
	})
	return string(known), err
}
