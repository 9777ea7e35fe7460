package ccfwriter

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// parts reads the parts of an entry one after the other. After the first one that is not there, all are empty.
type parts struct {
	rest []byte
	err  error
}

func (p *parts) take(n uint64) []byte {
	if n > uint64(len(p.rest)) {
		p.rest, p.err = nil, errors.New("it ends early")
		return make([]byte, min(n, 8))
	}
	taken := p.rest[:n]
	p.rest = p.rest[n:]
	return taken
}

func (p *parts) number() uint64 { return binary.LittleEndian.Uint64(p.take(8)) }

func (p *parts) sized() string { return string(p.take(p.number())) }

// Writes returns what the transactions of a chunk have written publicly, in their order. It verifies nothing.
func (f File) Writes() ([]Write, error) {
	if len(f.Content) < 8 {
		return nil, fmt.Errorf("%s has %d bytes", f.Name, len(f.Content))
	}
	p := parts{rest: f.Content[8:]}
	if table := f.Table(); table != 0 {
		if table < 8 || table > len(f.Content) {
			return nil, fmt.Errorf("%s has no table of positions", f.Name)
		}
		p.rest = f.Content[8:table]
	}
	var all []Write
	for len(p.rest) > 0 && p.err == nil {
		entry := parts{rest: p.take(p.number() >> 16)}
		entry.take(16 + 12)
		public := parts{rest: entry.take(entry.number())}
		if err := errors.Join(entry.err, public.err); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		writes, err := public.writes()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		all = append(all, writes...)
	}
	if p.err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, p.err)
	}
	return all, nil
}

// writes reads the public part of an entry.
func (p *parts) writes() ([]Write, error) {
	kind := p.take(1)[0]
	p.take(8)
	switch kind {
	case 3:
		p.take(32)
	case 4:
		p.take(64)
	}
	p.take(8)
	var all []Write
	for len(p.rest) > 0 && p.err == nil {
		table := p.sized()
		p.take(16)
		for n := p.number(); n > 0 && p.err == nil; n-- {
			all = append(all, Write{Table: table, Key: p.sized(), Value: []byte(p.sized())})
		}
		for n := p.number(); n > 0 && p.err == nil; n-- {
			all = append(all, Write{Table: table, Key: p.sized(), Remove: true})
		}
	}
	return all, p.err
}
