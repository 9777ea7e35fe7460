package handler

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"
)

// Serve answers the Functions host until the context ends, and then lets the calls under way end within ten seconds. It
// always returns an error, with the cause of its end.
func Serve(ctx context.Context, listener net.Listener, c Config) error {
	server := &http.Server{
		Handler: New(c), ReadHeaderTimeout: 30 * time.Second, ErrorLog: log.New(c.Log, "", 0),
		IdleTimeout: 5 * time.Minute, // longer than the host keeps a connection: it does not repeat a POST that was reset
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = server.Shutdown(grace)
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the Functions host: %w", err)
	}
	<-drained
	return errors.New("stopped by a signal")
}
