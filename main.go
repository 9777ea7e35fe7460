// Lifeboat backs up the Azure services that Azure Backup does not cover. This program is the custom handler of an Azure
// Functions app: the host starts it, and calls it for every timer run, queue message and HTTP request.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"lifeboat/handler"
	"lifeboat/internal/azure"
	"lifeboat/internal/cli"
	"lifeboat/internal/config"
	"lifeboat/internal/engine"
	"lifeboat/internal/plans"
	"lifeboat/internal/storage"
	"lifeboat/internal/storage/queue"
	"lifeboat/internal/storage/table"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process
	if len(os.Args) > 1 {        // the host gives no arguments
		os.Exit(cli.Run(ctx, os.Args[1:], cli.Shell{
			Version: version, Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Now: time.Now(), Clock: time.Now, Local: time.Local,
			RequestID: uuid.NewString(), Plans: config.NewReader(known.Known()), Look: look, PlanBlob: planBlob, Find: find, Markers: markers, Makers: makers, Shares: shares, Zone: time.LoadLocation,
		}))
	}
	fmt.Println(run(ctx, os.Getenv, os.Stdout))
	os.Exit(1) // never 0: the host does not restart a handler that ended well
}

// run serves the Functions host until the context ends. It listens first, since the host waits for nothing else. If settings
// are wrong, it says so in the log and to each caller of a function.
func run(ctx context.Context, getenv func(string) string, stdout io.Writer) error {
	port := getenv("FUNCTIONS_CUSTOMHANDLER_PORT")
	if port == "" {
		return errors.New("FUNCTIONS_CUSTOMHANDLER_PORT is not set: the Functions host starts this program; see make run")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return fmt.Errorf("listen on FUNCTIONS_CUSTOMHANDLER_PORT: %w", err)
	}
	log := zerolog.New(stdout).With().Timestamp().Logger() // on stdout: the host calls every line on stderr an error
	log.Info().Str("version", version).Str("address", listener.Addr().String()).Msg("listening")
	app, err := build(getenv, os.Environ())
	if err != nil {
		log.Error().Err(err).Msg("the app settings cannot be used")
	}
	app.Broken, app.Log, app.Now, app.Version = err, log, time.Now, version
	return handler.Serve(ctx, listener, app)
}

// build connects the engine to Azure: storage for its state, a provider for each service, plan.yaml for its plan store.
func build(getenv func(string) string, environ []string) (handler.Config, error) {
	settings, err := config.FromEnvironment(getenv)
	options, known := options, known.In(settings.Cloud)
	options.Cloud = settings.Cloud.Configuration
	credential, noCredential := storage.Credential(getenv, options)
	clients, noStorage := storage.Open(getenv, credential, options)
	reader := config.NewReader(known.Known())
	plan, noPlan := settings.PlanSource(reader, credential, options)
	app := handler.Config{Host: settings.Host, Secure: settings.Secure, Warnings: plan.Warnings, TimeZones: config.TimeZones()}
	err = errors.Join(err, noCredential, noStorage, noPlan)
	if missing := config.CheckEnvironment(environ); missing != nil { // the other mistakes follow from that
		err = missing
	}
	if noCredential != nil || noStorage != nil {
		return app, err
	}
	queues := queue.New(clients.Queues, settings.Source(clients.Queues.URL()))
	queues.Base64, queues.Topic, app.Poison = settings.EventsBase64, azure.New(credential, options).Topic(settings.EventsTopic), queues.Poison
	catalog := table.New(clients.Tables, "lifeboat", uuid.NewString)
	if err == nil {
		app.Plans = &plans.Store{Catalog: catalog, App: settings.App, Read: plan.Read, Parse: plan.Parse, Default: reader.Default}
		options.PerCallPolicies = append(slices.Clip(options.PerCallPolicies), azure.Moved(app.Plans.Plans))
	}
	app.Engine = &engine.Engine{
		Catalog: catalog, Queue: queues, App: settings.App,
		Services: known.Known(), Providers: known.Providers(credential, options, settings.WaitFactor),
		Manifests: azure.Manifests{Client: azure.New(credential, options)}, Access: azure.Access{Client: azure.New(credential, options), NewName: uuid.NewString}, Own: own(queues, clients), Timings: engine.DefaultTimings().Scaled(settings.WaitFactor),
		Timers: settings.Timers, Stopped: settings.Stopped, Concurrency: settings.Concurrency, KeepHistory: settings.History, Zone: config.Zone, Now: time.Now, NewID: uuid.NewString,
	}
	if err == nil {
		app.Engine.Left = app.Plans.Left
		app.Engine.Search = azure.Graph{Client: azure.New(credential, options)}.Covers(known.Known().Types())
	}
	return app, err
}
