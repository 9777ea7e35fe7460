package fakehost

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// assemble reads and checks all files and prepares a life.
func (h *Host) assemble() (*life, error) {
	c, app := h.config, settings(h.config.Settings)
	if c.HostJSON == "" {
		return nil, errors.New("Config.HostJSON is empty")
	}
	read, err := readHostJSON(c.HostJSON, app, c.Executable)
	if err != nil {
		return nil, err
	}
	l := &life{hostJSON: read, log: h.journal, timers: h.timers, lease: c.Lease, grace: c.Grace, told: c.Notified}
	folder := c.Functions
	if folder == "" {
		folder = l.root
	}
	if l.functions, err = readFunctions(folder, app, app.hasStorage() || c.QueueURL != "", l.routePrefix); err != nil {
		return nil, err
	}
	if l.opened, err = h.openQueues(l); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(l.functions, func(f *function) bool { return f.trigger.Type == timerTrigger }) {
		if l.locks, err = openLocks(c, app); err != nil {
			return nil, err
		}
	}
	l.client = newHandlerClient(l.functionTimeout)
	l.worker, err = newWorker(l.hostJSON, l.client, h.journal, c.Env, app)
	return l, err
}

// openQueues prepares a client for each queue that a function has, and for the poison queues.
func (h *Host) openQueues(l *life) (map[string]*queue, error) {
	opened := map[string]*queue{}
	open := func(connection, name string) error {
		key := queueKey(connection, name)
		if opened[key] != nil {
			return nil
		}
		service := h.config.QueueURL
		if service == "" || connection != defaultConnection {
			var err error
			if service, err = settings(h.config.Settings).service(connection, "queue"); err != nil {
				return err
			}
		}
		q, err := openQueue(strings.TrimSuffix(service, "/"), name, l.queues.base64, h.config.Credential, h.config.Client)
		opened[key] = q
		return err
	}
	var errs []error
	for _, f := range l.functions {
		for _, b := range append([]binding{f.trigger}, f.outputs...) {
			if b.Type != queueTrigger && b.Type != queueOutput {
				continue
			}
			err := open(b.Connection, b.QueueName)
			if poison := poisonName(b.QueueName); err == nil && b.Type == queueTrigger && poison != "" {
				err = open(b.Connection, poison)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("function %q: binding %q: %w", f.name, b.Name, err))
			}
		}
	}
	return opened, errors.Join(errs...)
}

func queueKey(connection, name string) string { return connection + "/" + name }
