// Package support collects the facts for a bug report.
package support

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/usage"
	"lifeboat/internal/config"
	"lifeboat/internal/pattern"
)

// report has the facts for a bug report. Its texts are words of Lifeboat and codes of Azure; all that people name is a number.
type report struct {
	Program  programReport  `json:"program"`
	Settings []string       `json:"settings"`
	Health   *healthReport  `json:"health,omitempty"`
	Targets  []targetReport `json:"targets,omitempty"`
	Runs     []runReport    `json:"runs,omitempty"`
	// Missing lists the parts that could not be collected; stderr says why.
	Missing []string `json:"missing,omitempty"`
}

type programReport struct {
	Version   string `json:"version"`
	Go        string `json:"go"`
	System    string `json:"system"`
	TimeZones string `json:"timeZones"`
}

type healthReport struct {
	// Version is the app's, which may differ from the program's.
	Version     string         `json:"version"`
	TimeZones   string         `json:"timeZones"`
	PlanHash    string         `json:"planHash,omitempty"`
	PlanRefused string         `json:"planRefused,omitempty"`
	Status      string         `json:"status"`
	Targets     map[string]int `json:"targets"`
	Reasons     map[string]int `json:"reasons,omitempty"`
	// Apps is the code of the reason for which apps with the same storage account need a person.
	Apps   string       `json:"apps,omitempty"`
	Timers []partReport `json:"timers,omitempty"`
	Poison []partReport `json:"poison,omitempty"`
}

// partReport is about a timer or a poison queue.
type partReport struct {
	Name     string `json:"name"`
	Silent   bool   `json:"silent,omitempty"`
	Messages int    `json:"messages,omitempty"`
	Code     string `json:"code,omitempty"`
}

type targetReport struct {
	Target      string `json:"target"`
	Type        string `json:"type"`
	Plan        string `json:"plan"`
	Status      string `json:"status"`
	Code        string `json:"code,omitempty"`
	VerifiedAge int64  `json:"verifiedAgeInSeconds,omitempty"`
	Interval    int64  `json:"intervalInSeconds,omitempty"`
	LastRun     string `json:"lastRun,omitempty"`
}

type runReport struct {
	Target   string `json:"target"`
	Kind     string `json:"kind"`
	State    string `json:"state"`
	Code     string `json:"code,omitempty"`
	Waiting  string `json:"waiting,omitempty"`
	Began    int64  `json:"beganSecondsAgo"`
	Took     int64  `json:"tookInSeconds,omitempty"`
	Attempts int    `json:"attempts"`
	Polls    int    `json:"polls"`
}

// Shell is the environment of the command.
type Shell struct {
	Getenv         func(string) string
	Stdout, Stderr io.Writer
	// Now tells the time.
	Now func() time.Time
	// Version is the version of the program's source.
	Version string
}

// Command makes the command support.
func Command(sh Shell) *cobra.Command {
	return &cobra.Command{
		Use: "support", Short: "Collects the facts for a bug report, without names and secrets",
		Long: `Prints a JSON document for a bug report: the versions of this program and of
the app, the names of the settings that are set here, the hash of the app's
plan, its health, and its last runs, the worst targets first.

It has no name, no ID and no secret: a target is "target 1", a plan "plan 1",
by the order of their IDs and names. It has codes, and no messages. Read it all
the same before you publish it.

The app's part needs LIFEBOAT_URL, LIFEBOAT_HEALTH_KEY and LIFEBOAT_KEY. If they
are not set, or the app does not answer, that part is missing; the exit code is
0 then, too.`,
		Example: "  lifeboat support",
		Args:    usage.None,
		RunE:    func(c *cobra.Command, _ []string) error { return sh.report(c.Context()) },
	}
}

// report prints the report. Each part that cannot be collected has a line on stderr.
func (sh Shell) report(ctx context.Context) error {
	v := report{
		Program: programReport{
			Version: sh.Version, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, TimeZones: config.TimeZones(),
		},
		Settings: sh.settings(),
	}
	miss := func(part string, err error) {
		v.Missing = append(v.Missing, part)
		fmt.Fprintf(sh.Stderr, "the report has no %s: %v\n", part, err)
	}
	found, err := sh.health(ctx)
	if err != nil {
		miss("health", err)
	} else {
		p := newPseudonyms(sh.Getenv, found)
		v.Health, v.Targets = p.health(found), p.targets(found)
		runs, err := sh.runs(ctx, ids(worst(found)))
		if err != nil {
			miss("runs", err)
		}
		v.Runs = p.runs(sh.Now(), runs)
	}
	if ctx.Err() != nil {
		return client.ErrStopped
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(sh.Stdout, string(text))
	return err
}

// mostReported is the number of targets that the report lists.
const mostReported = 40

// known are the settings of the app and of the commands, in the order of their names.
var known = []string{
	"APPLICATIONINSIGHTS_CONNECTION_STRING", "AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AzureWebJobsStorage", "AzureWebJobsStorage__accountName",
	"AzureWebJobsStorage__blobServiceUri", "AzureWebJobsStorage__clientId", "AzureWebJobsStorage__credential",
	"AzureWebJobsStorage__managedIdentityResourceId", "AzureWebJobsStorage__queueServiceUri", "AzureWebJobsStorage__serviceUri",
	"AzureWebJobsStorage__tableServiceUri", "FUNCTIONS_WORKER_RUNTIME", "HTTPS_PROXY", "IDENTITY_ENDPOINT", "LIFEBOAT_APP", "LIFEBOAT_CLEANUP_TIMER", "LIFEBOAT_CLOUD",
	"LIFEBOAT_CONCURRENCY", "LIFEBOAT_EVENTS_ENCODING", "LIFEBOAT_EVENTS_TOPIC", "LIFEBOAT_HEALTH_KEY", "LIFEBOAT_HISTORY", "LIFEBOAT_KEY", "LIFEBOAT_PLAN",
	"LIFEBOAT_SCHEDULE_TIMER", "LIFEBOAT_STOPPED", "LIFEBOAT_URL", "LIFEBOAT_WAIT_FACTOR", "NO_PROXY", "SSL_CERT_FILE", "WEBSITE_HOSTNAME", "WEBSITE_INSTANCE_ID", "WEBSITE_OWNER_NAME",
	"WEBSITE_RESOURCE_GROUP", "WEBSITE_SITE_NAME", "WEBSITE_SLOT_NAME", "WEBSITE_TIME_ZONE",
}

// settings returns the names of the settings that are set.
func (sh Shell) settings() []string {
	set := []string{}
	for _, name := range known {
		if sh.Getenv(name) != "" {
			set = append(set, name)
		}
	}
	return set
}

// health asks the app for its health. A 503 with targets is an answer too.
func (sh Shell) health(ctx context.Context) (v api.Health, err error) {
	x, err := client.New(sh.Getenv, true, io.Discard)
	if err != nil {
		return v, err
	}
	understood := func(body []byte) bool {
		return json.Unmarshal(body, &v) == nil && v.OverallStatus != "" && v.Targets != nil
	}
	a, err := x.Do(ctx, client.Call{
		Method: http.MethodGet, Path: "/api/health", Once: true,
		Expected: func(status int, body []byte) bool { return status == http.StatusServiceUnavailable && understood(body) },
	})
	if err == nil && !understood(a.Body) {
		err = errors.New("the answer tells of no health: is LIFEBOAT_URL the address of a Lifeboat app?")
	}
	return v, err
}

// runsEach is the number of runs of each target that the report lists.
const runsEach = 5

// runs asks the app for the newest runs of the targets. The error is the first one.
func (sh Shell) runs(ctx context.Context, targets []string) (all []api.Run, err error) {
	x, err := client.New(sh.Getenv, false, io.Discard)
	if err != nil {
		return nil, err
	}
	for _, id := range targets {
		query := url.Values{"target": {id}, "top": {fmt.Sprint(runsEach)}}
		a, err := x.Do(ctx, client.Call{Method: http.MethodGet, Path: "/api/runs?" + query.Encode(), Once: true})
		if err != nil {
			return all, err
		}
		var page api.Page[api.Run]
		if err := json.Unmarshal(a.Body, &page); err != nil {
			return all, err
		}
		all = append(all, page.Value...)
	}
	return all, nil
}

// worst returns the targets that the report lists, the worst first.
func worst(v api.Health) []api.TargetHealth {
	all := slices.Clone(v.Targets)
	sort.SliceStable(all, func(i, j int) bool { return all[i].Status.Severity() > all[j].Status.Severity() })
	return all[:min(len(all), mostReported)]
}

// ids returns the resource IDs of the targets, each once: a target may be in several plans.
func ids(all []api.TargetHealth) []string {
	var found []string
	for _, t := range all {
		if !slices.Contains(found, t.Target) {
			found = append(found, t.Target)
		}
	}
	return found
}

// pseudonyms gives numbers to names, and lets no name pass as a word.
type pseudonyms struct {
	targetIDs, plans []string // lower-case, in order
	// names are all texts that no word may have, in lower case.
	names []string
}

func newPseudonyms(getenv func(string) string, v api.Health) pseudonyms {
	var p pseudonyms
	for _, t := range v.Targets {
		p.targetIDs = append(p.targetIDs, strings.ToLower(t.Target))
		p.plans = append(p.plans, strings.ToLower(t.Plan))
		r, err := backup.ParseResource(t.Target)
		if err == nil {
			p.names = append(p.names, r.Subscription, r.Group, r.Name)
		}
		p.names = append(p.names, t.Target, t.Plan)
	}
	for _, name := range known {
		p.names = append(p.names, getenv(name))
	}
	for i, name := range p.names {
		p.names[i] = strings.ToLower(strings.TrimSpace(name))
	}
	p.names = slices.DeleteFunc(p.names, func(name string) bool { return name == "" })
	for _, list := range []*[]string{&p.targetIDs, &p.plans} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return p
}

// target returns the pseudonym of the resource ID, and plan the pseudonym of the name of a plan.
func (p pseudonyms) target(id string) string { return numbered("target", p.targetIDs, id) }

func (p pseudonyms) plan(name string) string { return numbered("plan", p.plans, name) }

func numbered(noun string, all []string, name string) string {
	i, ok := slices.BinarySearch(all, strings.ToLower(name))
	if !ok {
		return "another " + noun
	}
	return fmt.Sprintf("%s %d", noun, i+1)
}

// These are the forms of words and codes, of a resource type, of a version of the time zones and of a program, and of a hash.
var (
	wordForm = pattern.New(`^[A-Za-z][A-Za-z0-9]{0,47}(-[a-z]{1,20}){0,3}$`)
	typeForm = pattern.New(`^[Mm]icrosoft\.[A-Za-z]{1,40}/[A-Za-z]{1,40}$`)
	zoneForm = pattern.New(`^[0-9]{4}[a-z]$`)

	versionForm = pattern.New(`^[a-z0-9.]{1,24}(-dirty)?$`)
	hashForm    = pattern.New(`^[0-9a-f]{32}$`)
)

// hidden stands for a text that is no word, or has a name in it.
const hidden = "hidden"

// shortName is the length in bytes below which a name may be a part of a word by chance.
const shortName = 5

// word returns the word or code if it has the form of one, and no name in it.
func (p pseudonyms) word(text string) string { return p.pass(wordForm, text) }

func (p pseudonyms) pass(form pattern.Pattern, text string) string {
	if text == "" {
		return ""
	}
	lower := strings.ToLower(text)
	named := slices.ContainsFunc(p.names, func(name string) bool {
		return lower == name || len(name) >= shortName && strings.Contains(lower, name)
	})
	if named || !form.MatchString(text) {
		return hidden
	}
	return text
}

func (p pseudonyms) code(problem *api.Problem) string {
	if problem == nil {
		return ""
	}
	return p.word(problem.Code)
}

func (p pseudonyms) health(v api.Health) *healthReport {
	h := &healthReport{
		Version: p.pass(versionForm, v.Version), TimeZones: p.pass(zoneForm, v.TimeZones), PlanHash: p.pass(hashForm, v.Plan.Hash),
		Status: p.word(string(v.OverallStatus)), Apps: p.code(v.Apps.Reason), Targets: map[string]int{}, Reasons: map[string]int{},
	}
	for _, t := range v.Targets {
		h.Targets[p.word(string(t.Status))]++
		if t.Reason != nil {
			h.Reasons[p.code(t.Reason)]++
		}
	}
	if v.Plan.Refused {
		h.PlanRefused = "yes"
		if v.Plan.Error != nil {
			h.PlanRefused = p.code(v.Plan.Error)
		}
	}
	for _, t := range v.Timers {
		h.Timers = append(h.Timers, partReport{Name: p.word(t.Timer), Silent: t.Silent, Code: p.code(t.Reason)})
	}
	for _, q := range v.Poison {
		name := hidden // people name the queues for answers
		if slices.Contains(backup.OwnQueues, q.Queue) {
			name = q.Queue
		}
		h.Poison = append(h.Poison, partReport{Name: name, Messages: q.Messages, Code: p.code(&q.Reason)})
	}
	return h
}

func (p pseudonyms) targets(v api.Health) []targetReport {
	var all []targetReport
	for _, t := range worst(v) {
		one := targetReport{
			Target: p.target(t.Target), Type: hidden, Plan: p.plan(t.Plan), Status: p.word(string(t.Status)), Code: p.code(t.Reason), Interval: t.Interval,
		}
		if r, err := backup.ParseResource(t.Target); err == nil {
			one.Type = p.pass(typeForm, r.Type)
		}
		if t.Verified != nil {
			one.VerifiedAge = t.Verified.Age
		}
		if t.LastRun != nil {
			one.LastRun = p.word(string(t.LastRun.State))
		}
		all = append(all, one)
	}
	return all
}

func (p pseudonyms) runs(now time.Time, found []api.Run) []runReport {
	var all []runReport
	for _, v := range found {
		one := runReport{
			Target: p.target(v.Target), Kind: p.word(v.Kind), State: p.word(string(v.State)), Code: p.code(v.Error), Waiting: p.code(v.Waiting),
			Began: int64(now.Sub(v.Created).Seconds()), Attempts: v.Attempts, Polls: v.Polls,
		}
		if !v.Ended.IsZero() {
			one.Took = int64(v.Ended.Sub(v.Created).Seconds())
		}
		all = append(all, one)
	}
	return all
}
