// Command clients runs a command beside the local fakes of Azure, as an app with a managed identity runs in Azure: the
// official clients of other languages find their own endpoints there, unchanged.
//
//	clients COMMAND [ARGUMENT...]
//
// Besides the variables of fakeazure.Env the command gets
//
//	CLIENTS_API, CLIENTS_KEY            base address of the local Functions host, and the key of the API
//	CLIENTS_SUBSCRIPTION, CLIENTS_GROUP where everything lives
//	CLIENTS_SERVICE                     name of an API Management service that can be backed up
//	CLIENTS_TYPED, CLIENTS_TYPED_FAILING, CLIENTS_TYPED_HSM
//	                                    names of such as CLIENTS_SERVICE, CLIENTS_FAILING and CLIENTS_HSM, for Azure CLI alone:
//	                                    other clients run at the same time
//	CLIENTS_PREMIUM                     name of one of the tier Premium; the others are of the tier Developer
//	CLIENTS_REFUSED                     name of one whose tier has no backups
//	CLIENTS_FAILING                     name of one whose backups are accepted, and then fail
//	CLIENTS_HSM                         name of a Managed HSM with the key rsa1, on which the command may do everything
//	CLIENTS_CCF                         name of a Managed CCF application that the command may back up, delete and restore
//	CLIENTS_LEDGER                      name of a Confidential Ledger whose files it may export
//	CLIENTS_RESTORED                    name of one of API Management, Managed HSM and Managed CCF each, which Lifeboat may
//	                                    restore
//	CLIENTS_POLLED, CLIENTS_BROKEN      names of two of API Management, of the plan "polled", which Lifeboat may restore; backups
//	                                    of the second are accepted, and then fail
//	CLIENTS_APP_ACCOUNT                 name of Lifeboat's storage account, with its queues
//	CLIENTS_ACCOUNT, CLIENTS_CONTAINER  name of the storage account, and the container that backups go to
//	CLIENTS_GUEST, CLIENTS_GUEST_HEADER object ID of another app's identity, which has no role, and its IDENTITY_HEADER; the command
//	                                    may grant it any role, on CLIENTS_TYPED_HSM too
//	CLIENTS_ROLES                       JSON about another app, which has none of the roles that its plan needs: see rolesOf
//	CLIENTS_DISASTER                    JSON about HSMs that wait for their activation: see addDisaster
//
// It exits with the command's exit code.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/fakehost"
	"lifeboat/internal/testing/stack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: clients COMMAND [ARGUMENT...]")
		os.Exit(2)
	}
	err := run(ctx, os.Args[1], os.Args[2:])
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
}

const (
	identity   = "app"
	guest      = "guest"
	appAccount = "lifeboatapp"
	// timeScale makes a minute of Azure last half a second.
	timeScale = 1.0 / 120

	ordinary = "contoso"
	premium  = "contoso-premium"
	refused  = "contoso-consumption"
	failing  = "contoso-failing"
	fortress = "contoso-hsm"
	votes    = "contosovotes"
	audit    = "contosoaudit"
	// bare is the app whose roles a script gives; the giver runs it.
	bare        = "bare"
	bareAccount = "lifeboatbare"
	giver       = "giver"
	copies      = "contosocopies"

	typed        = "contoso-typed"
	typedFailing = "contoso-typed-failing"
	typedHSM     = "contoso-typed-hsm"

	restored = "contoso-restored"
	polled   = "contoso-polled"
	broken   = "contoso-broken"
)

// run starts the fakes and the app, and runs the command beside them.
func run(ctx context.Context, name string, arguments []string) (err error) {
	dir, err := os.MkdirTemp("", "lifeboat-clients-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// Storage clients of today may ask in a version that Azurite does not know yet: Python's in 2026-10-06, Azurite 3.37.0 knows
	// 2026-06-06.
	s, err := stack.Start(ctx, stack.Config{Dir: dir, Accounts: []string{appAccount, bareAccount, copies}, TimeScale: timeScale, Seed: 1, AnyVersion: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := addServices(s); err != nil {
		return err
	}
	disaster, err := addDisaster(s)
	if err != nil {
		return err
	}
	app, err := s.App(ctx, stack.AppConfig{
		Name: identity, Account: appAccount, Plan: plan(), WaitFactor: timeScale,
		Log: complain,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, app.Stop()) }()
	roles, other, err := rolesOf(ctx, s, dir)
	if other != nil {
		defer func() { err = errors.Join(err, other.Stop()) }()
	}
	if err != nil {
		return err
	}
	subscription, group, _ := strings.Cut(strings.TrimPrefix(stack.Scope, "/subscriptions/"), "/resourceGroups/")
	command := exec.CommandContext(ctx, name, arguments...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Env = append(os.Environ(), s.Sim.EnvFor(identity)...)
	command.Env = append(command.Env,
		"CLIENTS_API="+app.URL()+"/api", "CLIENTS_KEY="+app.Key("api"),
		"CLIENTS_SUBSCRIPTION="+subscription, "CLIENTS_GROUP="+group,
		"CLIENTS_SERVICE="+ordinary, "CLIENTS_PREMIUM="+premium,
		"CLIENTS_TYPED="+typed, "CLIENTS_TYPED_FAILING="+typedFailing, "CLIENTS_TYPED_HSM="+typedHSM,
		"CLIENTS_REFUSED="+refused, "CLIENTS_FAILING="+failing,
		"CLIENTS_HSM="+fortress,
		"CLIENTS_CCF="+votes, "CLIENTS_LEDGER="+audit,
		"CLIENTS_RESTORED="+restored, "CLIENTS_APP_ACCOUNT="+appAccount,
		"CLIENTS_POLLED="+polled, "CLIENTS_BROKEN="+broken,
		"CLIENTS_ACCOUNT="+stack.Backups, "CLIENTS_CONTAINER="+stack.Container, "CLIENTS_ROLES="+roles, "CLIENTS_DISASTER="+disaster,
	)
	for _, variable := range s.Sim.EnvFor(guest) {
		if header, ok := strings.CutPrefix(variable, "IDENTITY_HEADER="); ok {
			command.Env = append(command.Env, "CLIENTS_GUEST="+s.Sim.ObjectID(guest), "CLIENTS_GUEST_HEADER="+header)
		}
	}
	return command.Run()
}

// complain prints the errors of an app.
func complain(e fakehost.Entry) {
	if e.Level == fakehost.Error {
		fmt.Fprintln(os.Stderr, e)
	}
}

// addServices adds the services to Azure, and gives the command, which has the app's identity, the roles that it needs to
// store things itself.
func addServices(s *stack.Stack) error {
	for _, name := range []string{ordinary, failing, typed, typedFailing, restored, polled, broken} {
		if err := s.AddService(name); err != nil {
			return err
		}
	}
	fault := fakeazure.Fault{
		Kind: fakeazure.FailOperation, Count: 1000, Code: "BackupFailed", Message: "Cannot backup: the container is gone.",
	}
	for _, name := range []string{failing, typedFailing, broken} {
		if err := s.Sim.Inject(stack.Service(name), fault); err != nil {
			return err
		}
	}
	if err := s.Sim.AddService(fakeazure.Service{ResourceID: stack.Service(refused), SKU: "Consumption"}); err != nil {
		return err
	}
	s.Sim.Assign(s.Sim.ObjectID(stack.Service(premium)), stack.Account(stack.Backups), fakeazure.StorageBlobDataReader)
	err := s.Sim.AddService(fakeazure.Service{ResourceID: stack.Service(premium), SKU: "Premium", SystemAssigned: true})
	if err != nil {
		return err
	}
	for _, name := range []string{polled, broken} { // each poller waits for many of them
		if err := s.Sim.Tune(stack.Service(name), func(k *fakeazure.Options) { k.Shortest = 3 * time.Minute }); err != nil {
			return err
		}
	}
	// The clients restore the same services that they configure.
	s.Sim.Assign(s.Sim.ObjectID(identity), stack.Scope, fakeazure.APIManagementServiceContributor)
	// The Python client of Managed HSM accepts only a SAS, and signing one needs the account's key.
	s.Sim.Assign(s.Sim.ObjectID(identity), stack.Account(stack.Backups),
		fakeazure.StorageQueueDataContributor, fakeazure.StorageTableDataContributor, fakeazure.StorageAccountKeyOperator)
	subscription, _, _ := strings.Cut(stack.Scope, "/resourceGroups/")
	s.Sim.Assign(s.Sim.ObjectID(identity), subscription, fakeazure.UserAccessAdministrator)
	err = errors.Join(s.AddHSM(fortress, identity), s.AddHSM(typedHSM, identity), s.AddCCF(votes, identity), s.AddLedger(audit, identity),
		s.AddHSM(restored, identity), s.AddCCF(restored, identity))
	if err != nil {
		return err
	}
	// A restore must come within 30 minutes after a safety backup. Here these are 15 seconds, and a slow machine may need more.
	for _, name := range []string{fortress, typedHSM, restored} {
		err := s.Sim.TuneHSM(stack.HSM(name), func(k *fakeazure.HSMOptions) { k.BackupFirst = fakeazure.BackupUnchecked })
		if err != nil {
			return err
		}
	}
	for _, name := range []string{fortress, typedHSM} {
		err := s.Sim.AssignHSM(stack.HSM(name), s.Sim.ObjectID(identity),
			fakeazure.ManagedHSMCryptoUser, fakeazure.ManagedHSMCryptoOfficer, fakeazure.ManagedHSMPolicyAdministrator)
		if err != nil {
			return err
		}
	}
	return nil
}

// plan returns a plan for the backups that the clients request through the API; its schedule never comes.
func plan() string {
	return "version: 1\ndefaults:\n  storage: {account: " + stack.Account(stack.Backups) +
		", container: " + stack.Container + "}\nplans:\n  - name: yearly\n    schedule: \"0 0 29 2 *\"\n" +
		"    keep: {within: 1d}\n    targets:\n" +
		"      - " + stack.Service(ordinary) + "\n      - " + stack.Service(failing) + "\n      - " + stack.HSM(fortress) + "\n" +
		"      - " + stack.Service(typed) + "\n" +
		"  - name: restored\n    schedule: \"0 0 29 2 *\"\n    keep: {within: 1d}\n    targets:\n" +
		"      - " + stack.Service(restored) + "\n      - " + stack.HSM(restored) + "\n" +
		"    restore: {into: [itself], safetyBackup: true, replyTo: [soar]}\n" +
		"  - name: lost\n    schedule: \"0 0 29 2 *\"\n    keep: {within: 1d}\n    targets: [" + stack.HSM(lost) + "]\n" +
		"    restore: {into: [itself, " + stack.HSM(fresh) + ", " + stack.HSM(foreign) + "]}\n" +
		"  - name: polled\n    schedule: \"0 0 29 2 *\"\n    keep: {within: 1d}\n    targets:\n" +
		"      - " + stack.Service(polled) + "\n      - " + stack.Service(broken) + "\n    restore: {into: [itself], safetyBackup: false}\n" +
		"  - name: recreated\n    schedule: \"0 0 29 2 *\"\n    keep: {within: 1d}\n    targets:\n      - " + stack.CCF(restored) + "\n" +
		"    ccf: {restoreRegion: westeurope}\n    restore: {into: [itself], replyTo: [soar]}\n"
}
