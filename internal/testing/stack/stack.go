// Package stack runs the local fakes together: Azurite for storage, the simulator for Azure's side, the local Functions host,
// and the real program as its child. Tests, the demo and "make run" use the same stack.
package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"

	"lifeboat/internal/testing/azurite"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/fakehost"
	"lifeboat/internal/testing/realhost"
)

// Scope is the resource group of all local resources. Subscriptions are UUIDs.
const Scope = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/local"

// Backups is the storage account of the backups, and Container is their container.
const (
	Backups   = "lifeboatbackups"
	Container = "lifeboat"
)

// Service returns the resource ID of the API Management service with the name.
func Service(name string) string { return Scope + "/providers/Microsoft.ApiManagement/service/" + name }

// HSM returns the resource ID of the Managed HSM with the name.
func HSM(name string) string { return Scope + "/providers/Microsoft.KeyVault/managedHSMs/" + name }

// Ledger returns the resource ID of the Confidential Ledger with the name.
func Ledger(name string) string {
	return Scope + "/providers/Microsoft.ConfidentialLedger/ledgers/" + name
}

// CCF returns the resource ID of the Managed CCF application with the name.
func CCF(name string) string {
	return Scope + "/providers/Microsoft.ConfidentialLedger/managedCCFs/" + name
}

// Account returns the resource ID of the storage account with the name.
func Account(name string) string {
	return Scope + "/providers/Microsoft.Storage/storageAccounts/" + name
}

// Config describes a stack.
type Config struct {
	// Dir receives certificates, logs and the program's binary.
	Dir string
	// Accounts are the storage accounts of the apps: Azurite must know them when it starts.
	Accounts []string
	// Keep makes Dir a folder to go on from: storage, the content of the services, keys, ports and plans are as an earlier Stack
	// left them there. It needs one Azurite, and Sim.Save before Close.
	Keep bool
	// NoLog says that no Azurite records its requests.
	NoLog bool
	// Azurites is the number of Azurites that share the accounts in turn, since one computes on one processor only; 0 means 1.
	// The first Azurite has Backups and the first of Accounts. Only the first records its requests.
	Azurites int
	// TimeScale multiplies all durations on Azure's side; 0 means 1.
	TimeScale float64
	// Seed is the seed of the simulator's random choices.
	Seed uint64
	// Progress receives a line about each slow step. It may be nil.
	Progress func(string)
	// AnyVersion is azurite.Config's field.
	AnyVersion bool
	// Notified is fakehost.Config's field: the caller tells the local hosts about messages.
	Notified bool
	// Real is Azure's own Functions host, for the apps to run under; nil means the local one. Package is the app's folder for
	// it, as "make stage" makes it.
	Real    *realhost.Program
	Package string
}

// Version is the version that the program reports.
const Version = "local"

// Stack is the running storage and Azure's side, for any number of apps.
type Stack struct {
	// Azurite is the one that records its requests.
	Azurite *azurite.Server
	Sim     *fakeazure.Sim
	// Binary is the real program; Root is the repository.
	Binary, Root string

	dir  string
	keys []string
	kept kept
	// keep is Keep of the Config.
	keep bool
	// storage holds all running Azurites.
	storage []*azurite.Server
	// real and pack are Real and Package of the Config.
	real *realhost.Program
	pack string
	told bool
	// accounts are the storage accounts as they were first attached, by name.
	accounts map[string]fakeazure.StorageAccount
}

// Start builds the program, and starts storage and Azure's side.
func Start(ctx context.Context, c Config) (s *Stack, err error) {
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	s = &Stack{
		dir: c.Dir, Binary: filepath.Join(c.Dir, "lifeboat"), accounts: map[string]fakeazure.StorageAccount{}, real: c.Real, pack: c.Package,
		told: c.Notified, keep: c.Keep,
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	c.Progress("building the program")
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return s, fmt.Errorf("find the repository: %w", err)
	}
	s.Root = strings.TrimSpace(string(root))
	build := exec.CommandContext(ctx, "go", "build", "-ldflags", "-X main.version="+Version, "-o", s.Binary, ".")
	build.Dir = s.Root
	if out, err := build.CombinedOutput(); err != nil {
		return s, fmt.Errorf("build the program: %w\n%s", err, out)
	}
	if s.kept, err = openKept(c); err != nil {
		return s, err
	}
	c.Progress("starting Azure's side")
	azure := fakeazure.Config{Dir: c.Dir, TimeScale: c.TimeScale, Seed: c.Seed}
	if c.Keep {
		azure.State = filepath.Join(c.Dir, "azure.json")
	}
	if s.Sim, err = fakeazure.Start(azure); err != nil {
		return s, err
	}
	cert, key, err := s.Sim.Certificate("127.0.0.1")
	if err != nil {
		return s, err
	}
	c.Progress("starting storage")
	accounts := make([]map[string]string, max(1, c.Azurites))
	for i, name := range append(c.Accounts, Backups) {
		of := i % len(accounts)
		if name == Backups {
			of = 0
		}
		if accounts[of] == nil {
			accounts[of] = map[string]string{}
		}
		accounts[of][name] = s.kept.Accounts[name]
		s.keys = append(s.keys, accounts[of][name])
	}
	for i, of := range accounts {
		if err := s.start(ctx, c, i, of, cert, key); err != nil {
			return s, err
		}
	}
	s.Azurite = s.storage[0]
	return s, nil
}

// start starts the n-th Azurite, with these accounts and their keys.
func (s *Stack) start(ctx context.Context, c Config, n int, accounts map[string]string, cert, key string) error {
	server, err := azurite.Start(ctx, azurite.Config{
		Dir: filepath.Join(c.Dir, "azurite"+strconv.Itoa(n)), CertFile: cert, KeyFile: key, Accounts: accounts,
		NoLog: n > 0 || c.NoLog, Keep: c.Keep, AnyVersion: c.AnyVersion, Progress: c.Progress,
	})
	if err != nil {
		return err
	}
	s.storage = append(s.storage, server)
	at := func(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }
	for name, secret := range accounts {
		s.accounts[name] = fakeazure.StorageAccount{
			Name: name, ResourceID: Account(name), Key: secret,
			BlobAddr: at(server.BlobPort), QueueAddr: at(server.QueuePort), TableAddr: at(server.TablePort),
		}
		if err := s.Sim.Storage(s.accounts[name]); err != nil {
			return err
		}
	}
	return nil
}

// SetAccount attaches a storage account again, in its first state plus the change, and returns its new state.
func (s *Stack) SetAccount(name string, change func(*fakeazure.StorageAccount)) (fakeazure.StorageAccount, error) {
	account := s.accounts[name]
	change(&account)
	return account, s.Sim.Storage(account)
}

// Close stops everything.
func (s *Stack) Close() error {
	var errs []error
	for _, server := range s.storage {
		errs = append(errs, server.Stop())
	}
	if s.Sim != nil {
		errs = append(errs, s.Sim.Close())
	}
	return errors.Join(errs...)
}

// AppConfig describes an app: a storage account, settings, and its own identity.
type AppConfig struct {
	// Name is the name of the identity; Account is one of Config.Accounts.
	Name, Account string
	// Plan is the text of plan.yaml, unless there is one that Keep of the Config has kept.
	Plan string
	// WaitFactor shortens the program's waits for Azure.
	WaitFactor float64
	// ScheduleTimer and CleanupTimer are NCRONTAB expressions; "" means never.
	ScheduleTimer, CleanupTimer string
	// Settings are further app settings.
	Settings map[string]string
	// Folder is the folder of another app than Lifeboat: host.json, the functions, and the program with the name Program. "" means
	// Lifeboat.
	Folder, Program string
	// Log receives the lines of the host and the program. It may be nil.
	Log func(fakehost.Entry)
}

// never is an NCRONTAB expression for a time that no test reaches.
const never = "0 0 0 29 2 *"

// Host is a Functions host with an app: the local one, or Azure's own.
type Host interface {
	// URL returns the address, without a slash at the end.
	URL() string
	// Key returns the key of the function. HostKey returns the key of all HTTP functions, and MasterKey the key of the admin
	// API too.
	Key(function string) string
	HostKey() string
	MasterKey() string
	// PID returns the process ID of the program as it runs now, 0 if it does not run.
	PID() int
	// Invoke runs the function besides its trigger. The local host returns at its end, and with its failure.
	Invoke(ctx context.Context, function string) error
	Done() <-chan struct{}
	Err() error
	// Stop gives running work some seconds. Kill gives it none; the messages and blobs that it leased are free when the leases
	// end.
	Stop() error
	Kill()
}

// App is an app under a host.
type App struct {
	Host
	// PlanFile can be edited while the app runs.
	PlanFile string
	// ObjectID is the object ID of the program's identity; the host has another one.
	ObjectID string
}

// Settings returns the app settings of the app, and writes its plan to a file.
func (s *Stack) Settings(c AppConfig) (map[string]string, error) {
	planFile := filepath.Join(s.dir, c.Name+"-plan.yaml")
	if _, err := os.Stat(planFile); !s.keep || err != nil {
		if err := os.WriteFile(planFile, []byte(c.Plan), 0o600); err != nil {
			return nil, err
		}
	}
	settings := map[string]string{
		"FUNCTIONS_WORKER_RUNTIME":         "custom",
		"AzureWebJobsStorage__accountName": c.Account,
		"AzureWebJobsStorage__credential":  "managedidentity",
		"LIFEBOAT_PLAN":                    planFile,
		"LIFEBOAT_SCHEDULE_TIMER":          c.ScheduleTimer,
		"LIFEBOAT_CLEANUP_TIMER":           c.CleanupTimer,
		"LIFEBOAT_WAIT_FACTOR":             strconv.FormatFloat(c.WaitFactor, 'g', -1, 64),
		"WEBSITE_SITE_NAME":                c.Name,
		"AzureFunctionsJobHost__extensions__queues__visibilityTimeout":  "00:00:01",
		"AzureFunctionsJobHost__extensions__queues__maxPollingInterval": "00:00:02",
	}
	for _, timer := range []string{"LIFEBOAT_SCHEDULE_TIMER", "LIFEBOAT_CLEANUP_TIMER"} {
		if settings[timer] == "" {
			settings[timer] = never
		}
	}
	if s.told && s.real == nil {
		settings["AzureFunctionsJobHost__extensions__queues__maxPollingInterval"] = "00:00:15"
	}
	for k, v := range c.Settings {
		settings[k] = v
	}
	return settings, nil
}

// Environment returns the variables that the program needs to find Azure's side and its own identity.
func (s *Stack) Environment(name string) []string {
	return append(s.Sim.EnvFor(name), "PATH="+os.Getenv("PATH"), "HOME="+os.Getenv("HOME"), "TMPDIR="+os.TempDir())
}

// Grant gives the identities of the app and its host the roles that docs/security.md and docs/services.md ask for.
func (s *Stack) Grant(name, account string) {
	for _, identity := range []string{name, HostIdentity(name)} {
		s.Sim.Assign(s.Sim.ObjectID(identity), Account(account), fakeazure.StorageBlobDataContributor, fakeazure.StorageQueueDataContributor,
			fakeazure.StorageTableDataContributor)
	}
	s.Sim.Assign(s.Sim.ObjectID(name), Scope, fakeazure.APIManagementServiceOperator)
	s.Sim.Assign(s.Sim.ObjectID(name), Account(Backups), fakeazure.StorageBlobDataContributor, fakeazure.Reader)
}

// HostIdentity returns the identity of the app's host. The host has its own identity here, so that its requests can be told
// apart.
func HostIdentity(app string) string { return app + "-host" }

const (
	// timerLease is the time for which a dead host of an app keeps its timers: the shortest lease in storage.
	timerLease = 15 * time.Second
	// grace is the time for which a host that ends by itself keeps its unprocessed work.
	grace = time.Second
)

// messageLease returns the time for which the messages of a dying host stay locked: ten minutes in Azure. Here it is shorter
// by the same factor as the program's waits, or a run would miss temporary states of Azure's side.
func messageLease(waitFactor float64) time.Duration {
	return max(5*time.Second, time.Duration(waitFactor*float64(10*time.Minute)))
}

// App starts an app under the host.
func (s *Stack) App(ctx context.Context, c AppConfig) (*App, error) {
	settings, err := s.Settings(c)
	if err != nil {
		return nil, err
	}
	s.Grant(c.Name, c.Account)
	host, err := s.host(ctx, c, settings)
	if err != nil {
		return nil, err
	}
	if err := s.kept.moved(c.Name, host.URL()); err != nil {
		return nil, errors.Join(err, host.Stop())
	}
	return &App{Host: host, PlanFile: settings["LIFEBOAT_PLAN"], ObjectID: s.Sim.ObjectID(c.Name)}, nil
}

func (s *Stack) host(ctx context.Context, c AppConfig, settings map[string]string) (Host, error) {
	if s.real == nil {
		files, functions, program := s.Root, filepath.Join(s.Root, "functions"), s.Binary
		if c.Folder != "" {
			files, functions, program = c.Folder, c.Folder, filepath.Join(c.Folder, c.Program)
		}
		return fakehost.Start(ctx, fakehost.Config{
			HostJSON: filepath.Join(files, "host.json"), Functions: functions, Executable: program,
			Settings: settings, Env: s.Environment(c.Name),
			Client: s.Sim.Client(), Credential: s.Sim.Credential(HostIdentity(c.Name)),
			Lease: messageLease(c.WaitFactor), Grace: grace, TimerLease: timerLease, Notified: s.told,
			Log: c.Log, RestartHost: true, Addr: s.kept.address(c.Name), Secret: s.kept.keys(c.Name),
		})
	}
	client := s.Sim.Client()
	host, err := realhost.Start(ctx, realhost.Config{
		Program: *s.real, App: cmp.Or(c.Folder, s.pack), Dir: s.dir, Settings: settings, Env: s.Environment(c.Name), Log: c.Log, RestartHost: true,
		Secret: func(ctx context.Context, name string) ([]byte, error) {
			return s.download(ctx, client, HostIdentity(c.Name), "https://"+c.Account+".blob.core.windows.net/azure-webjobs-secrets/"+name)
		},
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, realTimeout)
	defer cancel()
	if err := host.Ready(ctx); err != nil {
		host.Kill()
		return nil, err
	}
	return host, nil
}

// realTimeout is the time limit for the start of Azure's own host: 3 to 7 s were measured, on a machine with nothing else to
// do.
const realTimeout = 2 * time.Minute

// download reads a blob as the identity.
func (s *Stack) download(ctx context.Context, through policy.Transporter, identity, url string) ([]byte, error) {
	client, err := blob.NewClient(url, s.Sim.Credential(identity), &blob.ClientOptions{
		ClientOptions: azcore.ClientOptions{Transport: through, Retry: policy.RetryOptions{MaxRetries: -1}},
	})
	if err != nil {
		return nil, err
	}
	answer, err := client.DownloadStream(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return io.ReadAll(answer.Body)
}

// AddService adds an API Management service that can be backed up to Azure: its own identity may write backups.
func (s *Stack) AddService(name string) error {
	s.Sim.Assign(s.Sim.ObjectID(Service(name)), Account(Backups), fakeazure.StorageBlobDataContributor)
	return s.Sim.AddService(fakeazure.Service{ResourceID: Service(name), SystemAssigned: true})
}

// AddHSM adds a Managed HSM with a key, rsa1, to Azure: the identity associated with it may write backups, and the app may
// make and restore them.
func (s *Stack) AddHSM(name, app string) error {
	identity := name + "-backups"
	s.Sim.Assign(s.Sim.ObjectID(identity), Account(Backups), fakeazure.StorageBlobDataContributor)
	err := s.Sim.AddHSM(fakeazure.HSM{ResourceID: HSM(name), Identity: identity, Keys: []string{"rsa1"}})
	if err != nil {
		return err
	}
	return s.Sim.AssignHSM(HSM(name), s.Sim.ObjectID(app), fakeazure.ManagedHSMBackup, fakeazure.ManagedHSMRestore)
}

// AddNewHSM adds a Managed HSM that waits for its activation by the administrator. No app may back it up yet.
func (s *Stack) AddNewHSM(name, administrator string) error {
	identity := name + "-backups"
	s.Sim.Assign(s.Sim.ObjectID(identity), Account(Backups), fakeazure.StorageBlobDataContributor)
	if err := s.Sim.AddHSM(fakeazure.HSM{ResourceID: HSM(name), Identity: identity, New: true}); err != nil {
		return err
	}
	return s.Sim.AssignHSM(HSM(name), s.Sim.ObjectID(administrator), fakeazure.ManagedHSMAdministrator)
}

// AddCCF adds a Managed CCF application with a few entries to Azure. The app may back it up, delete and restore it, and read
// the storage account's key to sign a SAS.
func (s *Stack) AddCCF(name, app string) error { return s.addLedger(CCF(name), app) }

// AddLedger does the same as AddCCF for a Confidential Ledger. Its files can be exported as well.
func (s *Stack) AddLedger(name, app string) error { return s.addLedger(Ledger(name), app) }

func (s *Stack) addLedger(id, app string) error {
	s.Sim.Assign(s.Sim.ObjectID(app), id, fakeazure.LedgerOperator)
	s.Sim.Assign(s.Sim.ObjectID(app), Account(Backups), fakeazure.StorageAccountKeyOperator)
	return s.Sim.AddLedger(fakeazure.Ledger{ResourceID: id, Entries: []string{"one", "two", "three", "four", "five"}})
}

// Keys returns the keys of all storage accounts, for tests that search for leaked keys.
func (s *Stack) Keys() []string { return s.keys }
