package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/health"
	"lifeboat/internal/pattern"
	"lifeboat/internal/schedule"
)

// Settings are the app settings of Lifeboat itself. The package internal/storage reads the settings of the storage account.
type Settings struct {
	// Plan is the path of plan.yaml, or the URL of a blob: LIFEBOAT_PLAN.
	Plan string
	// WaitFactor shortens all waits on Azure for tests and demos: LIFEBOAT_WAIT_FACTOR, leastWaitFactor to 1 (the default).
	WaitFactor float64
	// Concurrency is the number of concurrent operations of all plans: LIFEBOAT_CONCURRENCY, 1 to
	// [backup.MostConcurrency]; 50 without it.
	Concurrency int
	// History is the age from which on rows of the past are pruned: LIFEBOAT_HISTORY, in days, such as 400d, which is the default.
	History time.Duration
	// Stopped is the reason for which nothing is deleted, no restore begins and no plan makes runs; "" if all go on:
	// LIFEBOAT_STOPPED, which is true, false, or a reason for people.
	Stopped string
	// Timers are the schedules by which the host calls the timers' functions, by their names: LIFEBOAT_SCHEDULE_TIMER and
	// LIFEBOAT_CLEANUP_TIMER. The host reads them too. A schedule that is missing, or unreadable here, is no error.
	Timers map[string]health.TimerSchedule
	// App is the name of the app in lower case. All its instances have it: the name of the site, with the name of its slot behind a
	// slash (WEBSITE_SITE_NAME and WEBSITE_SLOT_NAME; Azure sets both, and the slot production is the site itself), or else
	// LIFEBOAT_APP, or else the name of the machine.
	App string
	// Resource is the ID of the app's resource with its slot; "" if Azure does not run the app, or does not say all of it.
	Resource string
	// EventsBase64 says that events and answers are sent in base64: LIFEBOAT_EVENTS_ENCODING, none (the default) or base64, the
	// words of host.json.
	EventsBase64 bool
	// EventsTopic is the address of the topic of Event Grid that takes the events in place of the queue lifeboat-events:
	// LIFEBOAT_EVENTS_TOPIC; the zero value without it.
	EventsTopic azure.TopicAddress
	// Cloud is the cloud that the app, its storage and its targets are in: LIFEBOAT_CLOUD; the public one without it.
	Cloud azure.Cloud
	// Host is the public host name: WEBSITE_HOSTNAME, which Azure and Core Tools set. It may be empty.
	Host string
	// Secure says that callers reach the app by HTTPS: it is true if Azure runs the app.
	Secure bool
}

// leastWaitFactor still leaves 60 ms between two polls.
const leastWaitFactor = 0.001

// FromEnvironment reads the app settings.
func FromEnvironment(getenv func(string) string) (Settings, error) {
	s := Settings{
		Plan: getenv("LIFEBOAT_PLAN"), WaitFactor: 1, Concurrency: 50, Resource: resource(getenv), Host: getenv("WEBSITE_HOSTNAME"),
		Secure: getenv("WEBSITE_INSTANCE_ID") != "" || getenv("CONTAINER_NAME") != "",
	}
	s.Timers = map[string]health.TimerSchedule{
		"schedule": timer(getenv, "LIFEBOAT_SCHEDULE_TIMER"), "cleanup": timer(getenv, "LIFEBOAT_CLEANUP_TIMER"),
	}
	s.App = strings.ToLower(cmp.Or(site(getenv), strings.TrimSpace(getenv("LIFEBOAT_APP")), machine()))
	var err error
	if s.Cloud, err = azure.NamedCloud(getenv(azure.CloudSetting)); err != nil {
		return s, err
	}
	// It is read before all that may be wrong, so that the events about that go there too.
	if text := strings.TrimSpace(getenv("LIFEBOAT_EVENTS_TOPIC")); text != "" {
		if s.EventsTopic, err = s.Cloud.TopicAt(text); err != nil {
			return s, fmt.Errorf("the app setting LIFEBOAT_EVENTS_TOPIC: %w", err)
		}
	}
	if s.Plan == "" {
		return s, fmt.Errorf("the app setting LIFEBOAT_PLAN is missing: set it to the path of plan.yaml, or the URL of a blob")
	}
	if s.WaitFactor, err = WaitFactor(getenv); err != nil {
		return s, err
	}
	if text := getenv("LIFEBOAT_CONCURRENCY"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > backup.MostConcurrency {
			return s, fmt.Errorf("the app setting LIFEBOAT_CONCURRENCY is %q: it must be a whole number from 1 to %d; each of these "+
				"operations has a row of its own, and all of them are read in one request", text, backup.MostConcurrency)
		}
		s.Concurrency = n
	}
	if s.History, err = keptHistory(getenv("LIFEBOAT_HISTORY")); err != nil {
		return s, err
	}
	switch text := getenv("LIFEBOAT_EVENTS_ENCODING"); strings.ToLower(text) {
	case "", "none":
	case "base64":
		s.EventsBase64 = true
	default:
		return s, fmt.Errorf("the app setting LIFEBOAT_EVENTS_ENCODING is %q: it must be none, for events as plain JSON, or base64", text)
	}
	if len(s.App) > longestApp || strings.ContainsFunc(s.App, backup.IsUnreadable) {
		return s, fmt.Errorf("the app setting LIFEBOAT_APP is %q: the name of an app has at most %d bytes, each of its characters readable", s.App, longestApp)
	}
	s.Stopped = stopped(getenv("LIFEBOAT_STOPPED"))
	return s, nil
}

// keptHistory reads LIFEBOAT_HISTORY.
func keptHistory(text string) (time.Duration, error) {
	if text == "" {
		return backup.DefaultHistory, nil
	}
	const day = 24 * time.Hour
	n, err := strconv.Atoi(strings.TrimSuffix(text, "d"))
	least, most := int(backup.LeastHistory/day), int(backup.LongestKeep/day)
	if err != nil || !strings.HasSuffix(text, "d") || n < least || n > most {
		return 0, fmt.Errorf("the app setting LIFEBOAT_HISTORY is %q: it must be a number of days from %dd to %dd, such as 400d", text, least, most)
	}
	return time.Duration(n) * day, nil
}

// longestApp leaves room for the longest names of a site and a slot, 60 and 59 characters.
const longestApp = 128

// machine returns the name of the machine.
func machine() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

// site returns the name of the site, with its slot; "" if Azure does not run the app.
func site(getenv func(string) string) string {
	name, slot := getenv("WEBSITE_SITE_NAME"), getenv("WEBSITE_SLOT_NAME")
	if name == "" || slot == "" || strings.EqualFold(slot, "production") {
		return name
	}
	return name + "/" + slot
}

// subscription is the ID of a subscription, with which WEBSITE_OWNER_NAME begins. Behind it follow a resource group, which may be
// another one than the app's, and a region (Azure's documentation "Environment variables and app settings in Azure App Service").
var subscription = pattern.New(`^([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\+`)

// resource returns the ID of the app's resource, with its slot; "" if it is not known.
func resource(getenv func(string) string) string {
	owner, group := subscription.FindStringSubmatch(getenv("WEBSITE_OWNER_NAME")), getenv("WEBSITE_RESOURCE_GROUP")
	name, slot, _ := strings.Cut(site(getenv), "/")
	if owner == nil || group == "" || name == "" {
		return ""
	}
	id := "/subscriptions/" + owner[1] + "/resourceGroups/" + group + "/providers/Microsoft.Web/sites/" + name
	if slot != "" {
		id += "/slots/" + slot
	}
	return id
}

// Source returns the source of this app's events, which no other app has: the ID of its resource, or else the address of the queues
// and App. It is a reference to a URI, and the same for all instances of the app.
func (s Settings) Source(queues string) string {
	if s.Resource != "" {
		return (&url.URL{Path: s.Resource, RawPath: s.Resource}).EscapedPath() // RawPath leaves characters alone that a URI may have
	}
	u, err := url.Parse(queues)
	if err != nil {
		u = &url.URL{}
	}
	return "//" + u.Host + strings.TrimSuffix(u.EscapedPath(), "/") + "/" + url.PathEscape(s.App)
}

// CheckEnvironment refuses app settings that have not got their values: environ lists them as [os.Environ] does. Everything else
// that is wrong follows from that.
func CheckEnvironment(environ []string) error {
	var errs []error
	for _, one := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(one, "=")
		if !strings.HasPrefix(name, "LIFEBOAT_") && !strings.HasPrefix(name, "AzureWebJobsStorage") {
			continue
		}
		for reference, of := range map[string]string{"@Microsoft.KeyVault(": "Key Vault", "@Microsoft.AppConfiguration(": "App Configuration"} {
			if strings.HasPrefix(strings.ToLower(strings.TrimSpace(value)), strings.ToLower(reference)) {
				errs = append(errs, fmt.Errorf("the app setting %s is a reference to %s that Azure has not resolved: the app's environment variables "+
					"in the Azure portal say why; mostly the identity for references lacks a role there, or the network keeps it out", name, of))
			}
		}
		if name == "AzureWebJobsStorage" && strings.TrimSpace(value) == "" {
			errs = append(errs, errors.New("the app setting AzureWebJobsStorage is an empty text, which the Functions host takes for a connection "+
				"string: remove the setting, and set AzureWebJobsStorage__accountName instead"))
		}
	}
	return errors.Join(errs...)
}

// timer reads the schedule of a timer, in UTC, as the host does without WEBSITE_TIME_ZONE. The zone matters only to a timer that
// rests for a part of the day.
func timer(getenv func(string) string, setting string) health.TimerSchedule {
	text := getenv(setting)
	if text == "" {
		return health.TimerSchedule{Setting: setting, Wrong: errors.New("it is missing, and the host runs no such timer without it")}
	}
	e, err := schedule.Parse(text)
	if err != nil {
		return health.TimerSchedule{Setting: setting, Wrong: fmt.Errorf("it is %q: %w", text, err)}
	}
	s := e.In(time.UTC)
	return health.TimerSchedule{Setting: setting, Schedule: &s}
}

// WaitFactor reads LIFEBOAT_WAIT_FACTOR: 1 without it.
func WaitFactor(getenv func(string) string) (float64, error) {
	text := getenv("LIFEBOAT_WAIT_FACTOR")
	if text == "" {
		return 1, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !(f >= leastWaitFactor && f <= 1) {
		return 1, fmt.Errorf("the app setting LIFEBOAT_WAIT_FACTOR is %q: it must be a number from %v to 1; it shortens waits on Azure "+
			"for tests, and with less of them Azure and the queues would be asked without a pause", text, leastWaitFactor)
	}
	return f, nil
}

// stopped reads LIFEBOAT_STOPPED: a yes, a no, or the reason, which is a yes too.
func stopped(text string) string {
	text = strings.TrimSpace(text)
	switch strings.ToLower(text) {
	case "", "false", "0", "no", "off":
		return ""
	case "true", "1", "yes", "on":
		return "stopped by LIFEBOAT_STOPPED"
	}
	return "stopped by LIFEBOAT_STOPPED: " + strings.ToValidUTF8(text[:min(len(text), 200)], "")
}
