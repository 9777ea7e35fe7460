package fakeazure

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// state is the part of a Sim that the file Config.State keeps. Operations are not kept: their addresses answer 404 afterwards, as for an
// operation that Azure has forgotten.
type state struct {
	// ProxyPort and IdentityPort are the ports of the proxy and of the identity endpoint on 127.0.0.1.
	ProxyPort, IdentityPort int
	// Services, HSMs and Ledgers have the content of the resources, by the keys of their IDs.
	Services map[string]configuration
	HSMs     map[string]keptHSM
	Ledgers  map[string]keptLedger
	// LastStamp is ledgers.lastStamp.
	LastStamp int64
	Shares    keptFiles

	// draw is mixed into the seeds of IDs: a Sim must not give the IDs of an earlier one to its own operations. It is 0 without
	// an earlier one.
	draw uint64
}

type keptHSM struct {
	Vault                 vault
	LastStart, LastBackup time.Time
	// SecurityDomain is the security domain of an active HSM.
	SecurityDomain string
}

type keptLedger struct {
	Location, State string
	History         history
}

type keptFiles struct {
	Changes  uint64
	Accounts map[string][]keptShare
}

type keptShare struct {
	Name      string
	Metadata  map[string]string
	Quota     int
	Stamp     keptStamp
	Root      keptNode
	Snapshot  string
	Snapshots []keptShare
}

type keptNode struct {
	Name      string
	Directory bool
	Children  []keptNode
	Content   []byte
	Media     string
	Metadata  map[string]string
	Stamp     keptStamp
	ID        uint64
}

type keptStamp struct {
	Created, Modified time.Time
	ETag              string
}

// readState reads the file; the state is empty if there is none yet, or none is wanted.
func readState(file string) (k state, err error) {
	if file == "" {
		return k, nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &k)
	}
	if err != nil {
		return k, fmt.Errorf("state in %s: %w", file, err)
	}
	k.draw = uint64(time.Now().UnixNano())
	return k, nil
}

// Save writes the content of all services, HSMs, ledgers and file shares, and the Sim's ports, to Config.State. A Sim that dies
// while it writes leaves the file as it was.
func (s *Sim) Save() error {
	k := state{
		ProxyPort: portOf(s.proxy.listener), IdentityPort: portOf(s.identity.listener),
		Services: make(map[string]configuration), HSMs: make(map[string]keptHSM), Ledgers: make(map[string]keptLedger),
	}
	s.management.mu.Lock()
	for key, svc := range s.management.services {
		k.Services[key] = svc.configuration.clone()
	}
	s.management.mu.Unlock()
	s.hsms.mu.Lock()
	for _, h := range s.hsms.hsms {
		k.HSMs[h.id.key()] = h.kept()
	}
	s.hsms.mu.Unlock()
	s.ledgers.mu.Lock()
	k.LastStamp = s.ledgers.lastStamp
	for key, l := range s.ledgers.all {
		k.Ledgers[key] = l.kept()
	}
	s.ledgers.mu.Unlock()
	k.Shares = s.files.kept()
	beside := s.state + "~"
	if err := os.WriteFile(beside, encodeJSON(k), 0o600); err != nil {
		return fmt.Errorf("save the simulator's state: %w", err)
	}
	if err := os.Rename(beside, s.state); err != nil {
		return fmt.Errorf("save the simulator's state: %w", err)
	}
	return nil
}

// kept returns the HSM as a later Sim finds it: one that is being activated will be new. It is called under the lock.
func (h *hsm) kept() keptHSM {
	k := keptHSM{h.vault.clone(), h.lastStart, h.lastBackup, ""}
	if h.active() {
		k.SecurityDomain = h.SecurityDomain
	}
	return k
}

// kept returns the ledger as a later Sim finds it: one that is being made or deleted will be gone. It is called under the lock.
func (l *ledger) kept() keptLedger {
	switch l.state {
	case "Succeeded", "Failed":
		return keptLedger{l.location, l.state, l.history.clone()}
	}
	return keptLedger{Location: l.location}
}

// kept returns a copy of all shares.
func (f *files) kept() keptFiles {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := keptFiles{Changes: f.changes, Accounts: make(map[string][]keptShare)}
	for name, account := range f.accounts {
		for _, share := range slices.Sorted(maps.Keys(account.shares)) {
			k.Accounts[name] = append(k.Accounts[name], account.shares[share].kept())
		}
	}
	return k
}

// restore makes the shares of a copy.
func (f *files) restore(k keptFiles) {
	f.changes = k.Changes
	for name, shares := range k.Accounts {
		account := f.account(name)
		for _, share := range shares {
			account.shares[share.Name] = share.open()
		}
	}
}

func (s *share) kept() keptShare {
	k := keptShare{s.name, maps.Clone(s.metadata), s.quota, s.stamp.kept(), s.root.kept(), s.snapshot, nil}
	for _, snapshot := range s.snapshots {
		k.Snapshots = append(k.Snapshots, snapshot.kept())
	}
	return k
}

func (k keptShare) open() *share {
	s := &share{name: k.Name, metadata: k.Metadata, quota: k.Quota, stamp: k.Stamp.open(), root: k.Root.open(), snapshot: k.Snapshot}
	for _, snapshot := range k.Snapshots {
		s.snapshots = append(s.snapshots, snapshot.open())
	}
	return s
}

func (n *node) kept() keptNode {
	k := keptNode{
		Name: n.name, Directory: n.children != nil, Content: slices.Clone(n.content), Media: n.media,
		Metadata: maps.Clone(n.metadata), Stamp: n.stamp.kept(), ID: n.id,
	}
	for _, key := range slices.Sorted(maps.Keys(n.children)) {
		k.Children = append(k.Children, n.children[key].kept())
	}
	return k
}

func (k keptNode) open() *node {
	n := &node{name: k.Name, content: k.Content, media: k.Media, metadata: k.Metadata, stamp: k.Stamp.open(), id: k.ID}
	if k.Directory {
		n.children = make(map[string]*node)
	}
	for _, child := range k.Children {
		n.children[strings.ToLower(child.Name)] = child.open()
	}
	return n
}

func (s stamp) kept() keptStamp { return keptStamp{s.created, s.modified, s.etag} }

func (k keptStamp) open() stamp { return stamp{k.Created, k.Modified, k.ETag} }

func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// listenOn listens on 127.0.0.1, on the port of an earlier Sim if it is still free.
func listenOn(port int) (net.Listener, error) {
	if port != 0 {
		if l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port)); err == nil {
			return l, nil
		}
	}
	return net.Listen("tcp", "127.0.0.1:0")
}
