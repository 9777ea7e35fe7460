package securitydomain_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"lifeboat/internal/testing/fakeazure/domainwriter"
)

// people have keys; frank is no holder, and grace has a longer key.
var people = sync.OnceValue(func() map[string]domainwriter.Holder {
	names := []string{"alice", "bob", "carol", "dave", "erin", "frank", "grace", "anchor", "another"}
	made := make([]domainwriter.Holder, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		bits := 2048
		if name == "grace" {
			bits = 3072
		}
		all.Go(func() { made[i] = domainwriter.NewHolder(name, bits) })
	}
	all.Wait()
	byName := map[string]domainwriter.Holder{}
	for i, name := range names {
		byName[name] = made[i]
	}
	return byName
})

const password = "correct horse battery staple"

// world is a folder with key files in many forms, and the security domains of an HSM with three holders and of one with five.
type world struct {
	folder      string
	three, five *domainwriter.Domain
}

func holders(names ...string) (found []domainwriter.Holder) {
	for _, name := range names {
		found = append(found, people()[name])
	}
	return found
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{folder: t.TempDir()}
	w.three = domainwriter.New("contoso-hsm", 2, people()["anchor"].Key, holders("alice", "bob", "carol")...)
	w.five = domainwriter.New("contoso-hsm", 3, people()["anchor"].Key, holders("alice", "bob", "carol", "dave", "erin")...)
	for name, h := range people() {
		w.write(t, name+".key", h.KeyPEM())
		w.write(t, name+".cer", h.PEM())
	}
	for name, content := range keyFiles() {
		w.write(t, name, content)
	}
	w.write(t, "huge", make([]byte, 2<<20))
	w.write(t, "attestation.json", w.three.Attestation())
	w.write(t, "another.json", domainwriter.New("contoso-hsm", 2, people()["another"].Key, holders("alice", "bob", "carol")...).Attestation())
	w.write(t, "passwords", []byte("wrong\r\n"+password+"\n"))
	w.write(t, "wrong", []byte("wrong\n"))
	w.write(t, "nothing", nil)
	if err := os.Mkdir(filepath.Join(w.folder, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(w.folder, "exposed.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	return w
}

// keyFiles are alice's key in other forms, and files that are no key; most have a right certificate beside them.
func keyFiles() map[string][]byte {
	alice := people()["alice"]
	ec := must(x509.MarshalPKCS8PrivateKey(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))))
	strong := domainwriter.Protection{Cipher: "AES-256-CBC", PRF: "SHA256"}
	files := map[string][]byte{
		"pkcs8.key": alice.PKCS8(), "pbes2.key": alice.PBES2(password, 2048, strong), "legacy.key": alice.Legacy(password, "AES-256-CBC"),
		"old.key":     alice.Legacy(password, "DES-EDE3-CBC"),
		"windows.key": append([]byte("\xef\xbb\xbf"), bytes.ReplaceAll(alice.KeyPEM(), []byte("\n"), []byte("\r\n"))...),
		"both.key":    append(alice.PEM(), alice.KeyPEM()...), "exposed.key": alice.KeyPEM(),
		"scrypt.key": alice.PBES2(password, 2048, domainwriter.Protection{Cipher: "AES-256-CBC", KDF: domainwriter.Scrypt}),
		"ec.key":     pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: ec}),
		"der.key":    x509.MarshalPKCS1PrivateKey(alice.Key), "cut.key": alice.KeyPEM()[:800], "certificate.key": alice.PEM(), "empty.key": nil,
		"twin.key": alice.KeyPEM(), "large.key": bytes.Repeat([]byte("\n"), 1<<20),
		"bare.key": alice.KeyPEM(), "crt.key": alice.KeyPEM(), "crt.crt": alice.PEM(), "asn1.key": alice.KeyPEM(), "asn1.cer": alice.Cert.Raw,
		"renewed.key": alice.KeyPEM(), "renewed.cer": alice.Renewed(2024).PEM(), "swapped.key": alice.KeyPEM(), "swapped.cer": people()["bob"].PEM(),
		"foreign": people()["frank"].KeyPEM(),
	}
	for name := range files {
		if base, ok := strings.CutSuffix(name, ".key"); ok && files[base+".cer"] == nil && base != "bare" && base != "crt" {
			files[base+".cer"] = alice.PEM()
		}
	}
	return files
}

func (w *world) write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.folder, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// changed returns the file of three holders after a change.
func changed(change func(w *world, f *domainwriter.File)) func(*world) []byte {
	return func(w *world) []byte {
		f := w.three.File()
		change(w, &f)
		return f.JSON()
	}
}

// ofFive returns the file of five holders, three of whom are enough, after a change.
func ofFive(change func(w *world, f *domainwriter.File)) func(*world) []byte {
	return func(w *world) []byte {
		f := w.five.File()
		change(w, &f)
		return f.JSON()
	}
}

// text returns the file of three holders after a change of its text.
func text(old, changed string) func(*world) []byte {
	return func(w *world) []byte {
		before := w.three.File().JSON()
		after := bytes.Replace(before, []byte(old), []byte(changed), 1)
		if bytes.Equal(before, after) {
			panic("the file has no " + old)
		}
		return after
	}
}

// flipped returns a JWE with another bit in the middle of one of its five parts.
func flipped(jwe string, part int) string {
	fields := strings.Split(jwe, ".")
	content := must(base64.RawURLEncoding.DecodeString(fields[part]))
	content[len(content)/2] ^= 1
	fields[part] = base64.RawURLEncoding.EncodeToString(content)
	return strings.Join(fields, ".")
}

// headed returns a share with another header, which a new tag fits.
func headed(w *world, n int, change map[string]string) string {
	header := map[string]string{"alg": "RSA-OAEP-256", "enc": "A256CBC-HS512", "kid": "not used"}
	for name, value := range change {
		header[name] = value
	}
	return domainwriter.Seal(header, make([]byte, 256), make([]byte, 64), w.three.Shares[n])
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func indented(w *world) []byte {
	var b bytes.Buffer
	if err := json.Indent(&b, w.three.File().JSON(), "", "    "); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// reordered has other members first, and the parts in another order.
func reordered(w *world) []byte {
	f := w.three.File()
	f.EncData.Data[0], f.EncData.Data[2] = f.EncData.Data[2], f.EncData.Data[0]
	return must(json.Marshal(map[string]any{"version": 2, "SharedKeys": f.SharedKeys, "EncData": f.EncData}))
}

func outer(w *world) []byte {
	return must(json.Marshal(map[string]string{"value": string(w.three.File().JSON())}))
}

func utf16(w *world) []byte {
	b := []byte{0xff, 0xfe}
	for _, c := range w.three.File().JSON() {
		b = append(b, c, 0)
	}
	return b
}

func literally(content string) func(*world) []byte {
	return func(*world) []byte { return []byte(content) }
}

func aMillion(*world) []byte {
	return fmt.Appendf(nil, `{"EncData":{"data":[]},"SharedKeys":{"enc_shares":[%s{}],"key_algorithm":"shamir_share","required":2}}`, strings.Repeat("{},", 999_999))
}
