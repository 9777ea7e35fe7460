package securitydomain_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"lifeboat/internal/testing/fakeazure/domainwriter"
)

// childVariable makes this program a child, which runs the command for each line of its input, without the network.
const childVariable = "LIFEBOAT_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		child()
		return
	}
	os.Exit(m.Run())
}

// said is the answer of a child.
type said struct {
	Out, Errs string
	Code      int
}

var kept []byte // by the child that leaks

func child() {
	if err := refuseNetwork(); err != nil {
		fmt.Fprintln(os.Stderr, "refuse the network:", err)
		os.Exit(1)
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var args []string
		if err := json.Unmarshal(lines.Bytes(), &args); err != nil {
			panic(err)
		}
		var s said
		switch args[0] {
		case "leak":
			kept, _ = os.ReadFile(args[1])
		case "dial":
			_, err := net.Dial("udp", "127.0.0.1:9")
			s.Errs = fmt.Sprint(err)
		default:
			s.Out, s.Errs, s.Code = run(context.Background(), nobody, args...)
		}
		answer, err := json.Marshal(s)
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(os.Stdout, "%s\n", answer)
	}
}

// refuseNetwork has the kernel kill this process if it makes a socket.
func refuseNetwork() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the number of the call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_SOCKET, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, failed := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if failed != 0 {
		return failed
	}
	return nil
}

// process is a running child.
type process struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func newProcess(t *testing.T, folder string) *process {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.CommandContext(t.Context(), program)}
	p.Dir, p.Stderr = folder, os.Stderr
	p.Env = append(os.Environ(), childVariable+"=1")
	if p.in, err = p.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewScanner(out)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.end)
	return p
}

func (p *process) end() {
	_ = p.in.Close()
	_ = p.Wait()
}

// asks has the child run the command, and returns false if the child is dead.
func (p *process) asks(t *testing.T, args ...string) (s said, alive bool) {
	t.Helper()
	if _, err := fmt.Fprintf(p.in, "%s\n", must(json.Marshal(args))); err != nil {
		t.Fatal(err)
	}
	if !p.out.Scan() {
		return s, false
	}
	if err := json.Unmarshal(p.out.Bytes(), &s); err != nil {
		t.Fatal(err, p.out.Text())
	}
	return s, true
}

// memory calls look with each stretch of memory that the child can write and that is there.
func (p *process) memory(t *testing.T, look func([]byte)) {
	t.Helper()
	open := func(name string) *os.File {
		f, err := os.Open(fmt.Sprintf("/proc/%d/%s", p.Process.Pid, name))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	maps, present, content := open("maps"), open("pagemap"), open("mem")
	defer maps.Close()
	defer present.Close()
	defer content.Close()
	page := os.Getpagesize()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to uint64
		var mode string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &mode); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(mode, "rw") || to-from > 1<<32 { // the race detector's notes are that large
			continue
		}
		flags := make([]byte, 8*int((to-from)/uint64(page)))
		if _, err := present.ReadAt(flags, int64(8*from/uint64(page))); err != nil {
			continue // memory of the kernel
		}
		for i := 0; i < len(flags); {
			j := i
			for j < len(flags) && binary.LittleEndian.Uint64(flags[j:])>>62 != 0 { // in memory, or swapped
				j += 8
			}
			if j > i {
				stretch := make([]byte, (j-i)/8*page)
				if _, err := content.ReadAt(stretch, int64(from)+int64(i/8*page)); err != nil {
					t.Fatal(err)
				}
				look(stretch)
			}
			i = max(j, i+8)
		}
	}
}

// needles are secrets by their first two bytes.
type needles struct {
	names  map[[2]byte][]needle
	begins [1 << 16]bool
	all    []needle
}

type needle struct {
	name  string
	bytes []byte
}

// plant takes 20 bytes from the middle of a secret; no zero is the first, since most of a memory is zeros.
func (n *needles) plant(name string, secret []byte) {
	at := max(0, (len(secret)-20)/2)
	for secret[at] == 0 {
		at++
	}
	part := slices.Clone(secret[at:min(len(secret), at+20)])
	n.all = append(n.all, needle{name, part})
	n.begins[binary.LittleEndian.Uint16(part)] = true
	n.names[[2]byte(part[:2])] = append(n.names[[2]byte(part[:2])], needle{name, part})
}

// found returns the names of the secrets in the text.
func (n *needles) found(text []byte) (found []string) {
	for i := 0; i+1 < len(text); i++ {
		if n.begins[uint16(text[i])|uint16(text[i+1])<<8] {
			for _, one := range n.names[[2]byte(text[i:i+2])] {
				if bytes.HasPrefix(text[i:], one.bytes) && !slices.Contains(found, one.name) {
					found = append(found, one.name)
				}
			}
		}
	}
	return found
}

// secrets are all secrets of a world, in the forms in which a program may have them.
func secrets(w *world) *needles {
	n := &needles{names: map[[2]byte][]needle{}}
	n.plant("the password", []byte(password))
	for name, h := range people() {
		key := h.KeyPEM()
		n.plant(name+"'s key in PEM", key)
		for part, number := range map[string]*big.Int{"exponent": h.Key.D, "first prime": h.Key.Primes[0], "second prime": h.Key.Primes[1]} {
			big := number.Bytes()
			little := slices.Clone(big)
			slices.Reverse(little)
			n.plant(name+"'s "+part, big)
			n.plant(name+"'s "+part+" in words", little)
		}
	}
	for name, d := range map[string]*domainwriter.Domain{"three": w.three, "five": w.five} {
		n.plant("the secret of "+name, d.Master[:])
		for i, share := range d.Shares {
			n.plant(fmt.Sprintf("share %d of %s", i+1, name), share)
			var words []byte
			for at := 0; at < len(share); at += 2 {
				words = binary.LittleEndian.AppendUint64(words, uint64(binary.LittleEndian.Uint16(share[at:])&0x1ff))
			}
			words = words[:64]
			n.plant(fmt.Sprintf("the words of share %d of %s", i+1, name), words)
		}
		for _, p := range d.Parts {
			n.plant(p.Tag+" of "+name, p.Content)
			key := domainwriter.PartKey(d.Master, p.Tag)
			n.plant("the cipher key of "+p.Tag+" of "+name, key[32:])
			n.plant("the MAC key of "+p.Tag+" of "+name, key[:32])
			if _, k, ok := bytes.Cut(p.Content, []byte("\x02k\x00")); ok && p.Tag != domainwriter.HSM { // which is no document
				n.plant("the inner key of "+p.Tag+" of "+name, k[4:90])
				n.plant("the decoded inner key of "+p.Tag+" of "+name, must(base64.RawURLEncoding.DecodeString(string(k[4:90]))))
			}
		}
	}
	return n
}

// cleared tells whether the command itself clears each copy of the secret. Copies of the others are Go's, in its RSA, AES and SHA and in
// registers that it saves: these are overwritten where the runtime takes memory anew.
func cleared(name string) bool {
	for _, text := range []string{"PEM", "inner key", "MAC key"} {
		if strings.Contains(name, text) {
			return true
		}
	}
	return strings.HasPrefix(name, "share ") || strings.Contains(name, "_backup of") && !strings.Contains(name, "cipher key")
}

// TestNothingSecretStays runs every situation in a process of its own that may have no socket. After the outcome it searches the texts
// that were printed, the files, and the memory of that process for every secret. A copy that only Go can reach may stay in one process
// of twenty.
func TestNothingSecretStays(t *testing.T) {
	w := newWorld(t)
	planted := secrets(w)
	all, left := append(slices.Clone(situations), stating...), 0
	for _, s := range all {
		p := newProcess(t, w.folder)
		s.lay(t, w)
		before := listed(t, w.folder)
		a, alive := p.asks(t, s.words()...)
		if !alive {
			t.Fatalf("%s: the process died: it made a socket", s.name)
		}
		if a.Code != s.code {
			t.Errorf("%s: exit code %d\n%s%s", s.name, a.Code, a.Out, a.Errs)
		}
		if found := planted.found([]byte(a.Out + a.Errs)); found != nil {
			t.Errorf("%s: it prints %q", s.name, found)
		}
		for _, file := range listed(t, w.folder) {
			if !slices.Contains(before, file) {
				name, _, _ := strings.Cut(file, " ")
				if found := planted.found(must(os.ReadFile(filepath.Join(w.folder, name)))); found != nil || s.code != 0 {
					t.Errorf("%s: it writes %s with %q", s.name, name, found)
				}
			}
		}
		var found []string
		p.memory(t, func(stretch []byte) { found = append(found, planted.found(stretch)...) })
		if slices.ContainsFunc(found, cleared) {
			t.Errorf("%s: memory has %q", s.name, found)
		}
		if found != nil {
			left++
			t.Logf("%s: memory has %q", s.name, found)
		}
		p.end()
	}
	if left > len(all)/20 {
		t.Errorf("the memory of %d of %d processes has secrets", left, len(all))
	}
}

// stating writes statements.
var stating = []situation{
	{"a statement of one holder", nil, "k:bob --holder --statement one.json", 0, noQuorum, "", ""},
	{"a statement of a quorum", nil, "k:pbes2 k:legacy k:bob --password-file passwords --statement two.json", 0, recoverable, "", ""},
}

// TestSecretsWouldBeFound checks that the search finds a key that a process keeps, and that a process that makes a socket dies.
func TestSecretsWouldBeFound(t *testing.T) {
	w := newWorld(t)
	planted := secrets(w)
	p := newProcess(t, w.folder)
	if _, alive := p.asks(t, "leak", "alice.key"); !alive {
		t.Fatal("the process died")
	}
	var found []string
	p.memory(t, func(stretch []byte) { found = append(found, planted.found(stretch)...) })
	if !slices.Contains(found, "alice's key in PEM") {
		t.Errorf("found %q", found)
	}
	for _, one := range planted.all {
		if !slices.Contains(planted.found(append(make([]byte, 3), one.bytes...)), one.name) {
			t.Errorf("the search does not find %s", one.name)
		}
	}
	if s, alive := p.asks(t, "dial"); alive {
		t.Errorf("it dialed: %s", s.Errs)
	}
}
