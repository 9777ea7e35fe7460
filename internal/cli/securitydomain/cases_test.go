package securitydomain_test

import (
	"bytes"
	"slices"
	"strings"

	"lifeboat/internal/testing/fakeazure/domainwriter"
)

// situation is a file with keys, and all that the command says about it.
type situation struct {
	name     string
	file     func(*world) []byte // nil: an undamaged one with a quorum of 2 of 3; it returns nil for no file
	args     string              // k:NAME is the flag --key NAME.key
	code     int
	outcome  string // empty: nothing is checked
	codes    string // all findings, in their order
	expected string // texts in the answer for people, with | between them
}

func plain(w *world) []byte { return w.three.File().JSON() }

func five(w *world) []byte { return w.five.File().JSON() }

const (
	recoverable = "recoverable"
	noQuorum    = "quorum-not-reached"
	damaged     = "damaged"
	unreadable  = "unreadable"
)

// situations are in groups: shapes of a quorum, forms of keys, azure-cli, forms of the file, damage to shares and to parts, identity,
// and wrong use.
var situations = slices.Concat(shapes, keyForms, azure, fileForms, shareDamage, partDamage, identities, misuse)

var shapes = []situation{
	{"a quorum", nil, "k:alice k:bob", 0, recoverable, "", "2 of 3 holders, 2 opened|opened by alice.key|CN=bob, expired 2022-01-01|part hsm_backup|authentic"},
	{"another order", nil, "k:carol k:alice", 0, recoverable, "", "2 of 3 holders, 2 opened"},
	{"all holders", nil, "k:alice k:bob k:carol", 0, recoverable, "", "2 of 3 holders, 3 opened"},
	{"one key", nil, "k:alice", 2, noQuorum, "", "1 of 3 shares opened, and the quorum is 2|not tried"},
	{"no key", nil, "", 2, noQuorum, "", "0 of 3 shares opened|not opened"},
	{"the same key twice", nil, "k:alice k:alice", 2, noQuorum, "KeyTwice", "alice.key is the same key as alice.key, and counts once"},
	{"the same key in two files", nil, "k:alice k:twin", 2, noQuorum, "KeyTwice", "twin.key is the same key as alice.key"},
	{"the same key twice in a quorum", nil, "k:alice k:twin k:bob", 0, recoverable, "KeyTwice", "opened by alice.key, twin.key"},
	{"a foreign key", nil, "k:frank", 2, noQuorum, "KeyOpensNothing", "frank.key opens no share: no share has the thumbprint of its certificate, so that it is no holder's key, or was renewed and its share is damaged"},
	{"a foreign key beside a quorum", nil, "k:alice k:frank k:bob", 3, recoverable, "KeyOpensNothing", "recoverable, with 1 error"},
	{"a foreign key without its certificate", nil, "--key foreign", 2, noQuorum, "KeyOpensNothing", "foreign opens no share: it is no holder's key, or its share is damaged; its certificate would tell"},
	{"a key of another size", nil, "k:grace", 2, noQuorum, "KeyOpensNothing", "no share is wrapped for RSA 3072"},
	{"three of five", five, "k:erin k:alice k:carol", 0, recoverable, "", "3 of 5 holders, 3 opened"},
	{"two of five", five, "k:erin k:alice", 2, noQuorum, "", "2 of 5 shares opened, and the quorum is 3"},
	{"five of five", five, "k:alice k:bob k:carol k:dave k:erin", 0, recoverable, "", "3 of 5 holders, 5 opened"},
	{"one holder", nil, "k:bob --holder", 0, noQuorum, "", "not tried|opened by bob.key|the one key, tried alone, opens share 2 of 3"},
	{"one holder, who is none", nil, "k:frank --holder", 2, noQuorum, "KeyOpensNothing", "0 of 3 shares opened"},
	{"one holder with a key that is none", nil, "k:ec --holder", 2, noQuorum, "KeyUnreadable", "holders have RSA keys"},
}

var keyForms = []situation{
	{"PKCS #8", nil, "k:pkcs8 k:bob", 0, recoverable, "", ""},
	{"PBES2", nil, "k:pbes2 k:bob --password-file passwords", 0, recoverable, "", ""},
	{"the older encryption", nil, "k:legacy k:bob --password-file passwords", 0, recoverable, "", ""},
	{"the older encryption with 3DES", nil, "k:old k:bob --password-file passwords", 0, recoverable, "", ""},
	{"CRLF and a byte order mark", nil, "k:windows k:bob", 0, recoverable, "", ""},
	{"key and certificate in one file", nil, "k:both k:bob", 0, recoverable, "", ""},
	{"no password", nil, "k:pbes2 k:bob", 2, noQuorum, "KeyUnreadable", "protected by a password, and none was given"},
	{"a wrong password", nil, "k:legacy k:bob --password-file wrong", 2, noQuorum, "KeyUnreadable", "no password that was given opens it"},
	{"a wrong password beside a quorum", nil, "k:alice k:legacy k:bob --password-file wrong", 3, recoverable, "KeyUnreadable", ""},
	{"scrypt", nil, "k:scrypt k:bob --password-file passwords", 2, noQuorum, "KeyUnreadable", "(scrypt): make a copy with openssl pkcs8"},
	{"an EC key", nil, "k:ec k:bob", 2, noQuorum, "KeyUnreadable", "its private key is not RSA: holders have RSA keys"},
	{"DER", nil, "k:der k:bob", 2, noQuorum, "KeyUnreadable", "DER or PFX, which azure-cli does not read either"},
	{"a key that is cut off", nil, "k:cut k:bob", 2, noQuorum, "KeyUnreadable", "cut off"},
	{"a certificate as a key", nil, "k:certificate k:bob", 2, noQuorum, "KeyUnreadable", "it holds no private key, only a certificate"},
	{"an empty key file", nil, "k:empty k:bob", 2, noQuorum, "KeyUnreadable", "it is empty"},
	{"a large key file", nil, "k:large k:bob", 2, noQuorum, "KeyUnreadable", "at most 65536 are read: it is no key"},
	{"a missing key file", nil, "k:zoe k:bob", 2, noQuorum, "KeyUnreadable", "zoe.key: no such file or directory"},
	{"a folder as a key", nil, "--key folder k:bob", 2, noQuorum, "KeyUnreadable", "folder is a folder"},
	{"a missing key file beside a quorum", nil, "k:alice k:zoe k:bob", 3, recoverable, "KeyUnreadable", ""},
	{"a key that others can read", nil, "k:exposed k:bob", 0, recoverable, "KeyExposed", "exposed.key can be read by others"},
}

var azure = []situation{
	{"no certificate beside the key", nil, "k:bare k:bob", 0, recoverable, "NotForAzureCLI", "looks for the certificate bare.cer, which is not there"},
	{"a certificate with another ending", nil, "k:crt k:bob", 0, recoverable, "NotForAzureCLI", "crt.cer, which is not there"},
	{"the certificate by its flag", nil, "k:crt k:bob --certificate crt.crt", 0, recoverable, "NotForAzureCLI", "CN=alice, expired 2022-01-01"},
	{"a certificate in DER", nil, "k:asn1 k:bob", 0, recoverable, "NotForAzureCLI", "asn1.cer, which is no PEM"},
	{"a certificate in DER by its flag", nil, "k:alice k:bob --certificate asn1.cer", 0, recoverable, "", "CN=alice"},
	{"a renewed certificate", nil, "k:renewed k:bob", 0, recoverable, "NotForAzureCLI", "no share has the thumbprint of renewed.cer"},
	{"the certificate of another holder", nil, "k:swapped k:bob", 0, recoverable, "NotForAzureCLI", "by swapped.cer it takes share 2, which the key does not open"},
	{"thumbprints in hex", changed(func(w *world, f *domainwriter.File) {
		f.SharedKeys.Shares[0].X5T = strings.ToUpper(thumbprint(w.three.Holders[0]))
	}), "k:alice k:bob", 0, recoverable, "ThumbprintWrong NotForAzureCLI", "share 1 is not written in base64url|CN=alice"},
	{
		"a share without a thumbprint", changed(func(_ *world, f *domainwriter.File) { f.SharedKeys.Shares[0].X5T = "" }),
		"k:alice k:bob", 0, recoverable, "ThumbprintWrong NotForAzureCLI", "the thumbprint of share 1 is none (missing)",
	},
	{"thumbprints that were swapped", changed(func(_ *world, f *domainwriter.File) {
		s := f.SharedKeys.Shares
		s[0].X5T, s[1].X5T = s[1].X5T, s[0].X5T
	}), "k:alice k:bob", 0, recoverable, "NotForAzureCLI NotForAzureCLI", "by alice.cer it takes share 2, which the key does not open"},
}

var fileForms = []situation{
	{"indented", indented, "k:alice k:bob", 0, recoverable, "", ""},
	{"another order of members", reordered, "k:alice k:bob", 0, recoverable, "", ""},
	{"the answer of the service around it", outer, "k:alice k:bob", 0, recoverable, "OuterForm", "keep a second copy of the text inside"},
	{
		"a byte order mark", func(w *world) []byte { return append([]byte("\xef\xbb\xbf"), plain(w)...) },
		"k:alice k:bob", 0, recoverable, "ByteOrderMark", "azure-cli refuses it",
	},
	{"UTF-16", utf16, "k:alice k:bob", 3, unreadable, "NotRead", "UTF-16, as > of PowerShell writes it"},
	{"no text", literally("\x80\x81"), "k:alice", 3, unreadable, "NotRead", "no UTF-8 text"},
	{"empty", literally(" \n"), "k:alice", 3, unreadable, "NotRead", "it is empty"},
	{"no JSON", literally("domain"), "k:alice", 3, unreadable, "NotRead", "no JSON object"},
	{"a list", literally("[1]"), "k:alice", 3, unreadable, "NotRead", "no JSON object"},
	{"null", literally("null"), "k:alice", 3, unreadable, "NotRead", "no JSON object"},
	{"cut off", func(w *world) []byte { return plain(w)[:9000] }, "k:alice k:bob", 3, unreadable, "NotRead", "no JSON object"},
	{"text behind it", func(w *world) []byte { return append(plain(w), '}') }, "k:alice k:bob", 3, unreadable, "NotRead", "no JSON object"},
	{"another object", literally(`{"keys":[]}`), "k:alice", 3, unreadable, "NotRead", "it is no security domain"},
	{"a restore blob", literally(`{"EncData":{"data":[],"kdf":"sp108_kdf"},"WrappedKey":{}}`), "k:alice", 3, unreadable, "NotRead", "it is a restore blob"},
	{"version 1", literally(`{"EncData":{},"SplitKeys":{"enc_shares":[]},"version":1}`), "k:alice", 3, unreadable, "NotRead", "of version 1 (SplitKeys)"},
	{"version 3", text(`"version":2`, `"version":3`), "k:alice k:bob", 0, recoverable, "OtherVersion", `its version is "3"`},
	{"no version", text(`,"version":2`, ``), "k:alice k:bob", 0, recoverable, "OtherVersion", "its version is missing"},
	{"names in another case", text(`"SharedKeys"`, `"sharedkeys"`), "k:alice k:bob", 3, unreadable, "NotRead", "it has no SharedKeys and EncData"},
	{"another algorithm", text("shamir_share", "xor_split"), "k:alice", 3, unreadable, "NotRead", `its key_algorithm is "\"xor_split\""`},
	{"another key derivation", text("sp108_kdf", "hkdf"), "k:alice k:bob", 0, recoverable, "OtherKDF", "sp108_kdf is known"},
	{"no quorum", text(`,"required":2`, ``), "k:alice", 3, unreadable, "NotRead", "its quorum (required) is missing"},
	{"a quorum in words", text(`"required":2`, `"required":"2"`), "k:alice", 3, unreadable, "NotRead", "which is no number"},
	{"a quorum of null", text(`"required":2`, `"required":null`), "k:alice", 3, unreadable, "NotRead", "which is no number"},
	{"a quorum of one", text(`"required":2`, `"required":1`), "k:alice", 3, damaged, "QuorumWrong", "its quorum (required) is 1 of 3 holders"},
	{
		"a quorum of one, and the keys of two", text(`"required":2`, `"required":1`), "k:alice k:bob", 3, damaged, "QuorumWrong QuorumWrong",
		"the file asks for 1 shares, and 2 give the secret",
	},
	{
		"a quorum of more than all", text(`"required":2`, `"required":4`), "k:alice k:bob k:carol", 3, damaged, "QuorumWrong QuorumWrong",
		"the file asks for 4 shares, and 2 give the secret",
	},
	{
		"a raised quorum", text(`"required":2`, `"required":3`), "k:alice k:bob k:carol", 3, recoverable, "QuorumWrong",
		"the file asks for 3 shares, and 2 give the secret: its quorum (required) was changed",
	},
	{
		"a lowered quorum, with as many keys", ofFive(func(_ *world, f *domainwriter.File) { f.SharedKeys.Required = 2 }),
		"k:alice k:bob", 3, damaged, "SharesDisagree", "or the quorum was changed; one more key would tell",
	},
	{
		"a lowered quorum, with one more key", ofFive(func(_ *world, f *domainwriter.File) { f.SharedKeys.Required = 2 }),
		"k:alice k:bob k:erin", 3, damaged, "QuorumWrong", "the file asks for 2 shares, and 3 give the secret",
	},
	{"no shares", changed(func(_ *world, f *domainwriter.File) { f.SharedKeys.Shares = nil }), "k:alice", 3, unreadable, "NotRead", "it lists 0 shares"},
	{"eleven shares", changed(func(_ *world, f *domainwriter.File) {
		f.SharedKeys.Shares = slices.Repeat(f.SharedKeys.Shares, 4)[:11]
	}), "k:alice", 3, unreadable, "NotRead", "it lists 11 shares, and a security domain has 3 to 10"},
	{"shares that are no list", text(`"enc_shares":[`, `"enc_shares":1,"x":[`), "k:alice", 3, unreadable, "NotRead", "its enc_shares are no list"},
	{"many shares", func(*world) []byte {
		return []byte(`{"EncData":{},"SharedKeys":{"enc_shares":[0` + strings.Repeat(",0", 400_000) + `],"key_algorithm":"shamir_share","required":2}}`)
	}, "k:alice", 3, unreadable, "NotRead", "it lists 400001 shares"},
	{"a million shares", aMillion, "k:alice", 3, unreadable, "NotRead", "it has 3000097 bytes, and at most 1048576 are read"},
	{"ten megabytes", func(*world) []byte { return bytes.Repeat([]byte(" "), 10_000_000) }, "k:alice", 3, unreadable, "NotRead", "it has 10000000 bytes"},
	{"no file", func(*world) []byte { return nil }, "k:alice", 3, unreadable, "NotRead", "no such file or directory"},
}

var shareDamage = []situation{
	{
		"a damaged wrapped key", changed(func(_ *world, f *domainwriter.File) { flip(&f.SharedKeys.Shares[0].Key, 1) }),
		"k:alice k:bob", 3, damaged, "ShareDamaged", "share 1 is damaged: alice.key is its key by the certificate, and does not unwrap it",
	},
	{
		"a damaged wrapped key beside a quorum", changed(func(_ *world, f *domainwriter.File) { flip(&f.SharedKeys.Shares[0].Key, 1) }),
		"k:alice k:bob k:carol", 3, recoverable, "ShareDamaged", "share 1 is damaged",
	},
	{
		"a damaged wrapped key, without its certificate", changed(func(_ *world, f *domainwriter.File) { flip(&f.SharedKeys.Shares[0].Key, 1) }),
		"k:bare k:bob", 2, noQuorum, "KeyOpensNothing", "bare.key opens no share: it is no holder's key, or its share is damaged; its certificate would tell",
	},
	{
		"a damaged wrapped key of one holder", changed(func(_ *world, f *domainwriter.File) { flip(&f.SharedKeys.Shares[0].Key, 1) }),
		"k:alice --holder", 3, damaged, "ShareDamaged", "share 1 is damaged",
	},
	{"a damaged header", changed(func(_ *world, f *domainwriter.File) {
		f.SharedKeys.Shares[1].Key = "x" + f.SharedKeys.Shares[1].Key
	}), "k:alice k:bob", 3, damaged, "ShareDamaged", "share 2 cannot be read: the header of its JWE is no JSON object"},
	{"a changed key ID", changed(func(w *world, f *domainwriter.File) {
		key := &f.SharedKeys.Shares[0].Key
		_, rest, _ := strings.Cut(*key, ".")
		header, _, _ := strings.Cut(headed(w, 0, map[string]string{"kid": "another"}), ".")
		*key = header + "." + rest
	}), "k:alice k:bob", 3, damaged, "ShareDamaged", "alice.key is its key, and its authentication tag does not fit its content"},
	{
		"a damaged initialization vector", changed(func(_ *world, f *domainwriter.File) { flip(&f.SharedKeys.Shares[0].Key, 2) }),
		"k:alice k:bob", 3, damaged, "ShareDamaged", "its authentication tag does not fit",
	},
	{
		"a damaged share", changed(func(_ *world, f *domainwriter.File) { flip(&f.SharedKeys.Shares[0].Key, 3) }),
		"k:alice k:bob", 3, damaged, "ShareDamaged", "its authentication tag does not fit",
	},
	{
		"a damaged tag", changed(func(_ *world, f *domainwriter.File) { flip(&f.SharedKeys.Shares[0].Key, 4) }),
		"k:alice k:bob", 3, damaged, "ShareDamaged", "its authentication tag does not fit",
	},
	{
		"a damaged share of nobody's key", changed(func(_ *world, f *domainwriter.File) { flip(&f.SharedKeys.Shares[2].Key, 3) }),
		"k:alice k:bob", 0, recoverable, "", "",
	},
	{
		"RSA1_5", changed(func(w *world, f *domainwriter.File) {
			f.SharedKeys.Shares[2].Key = headed(w, 2, map[string]string{"alg": "RSA1_5"})
		}),
		"k:alice k:bob", 3, recoverable, "ShareDamaged", `share 3 cannot be read: its alg is "RSA1_5", not RSA-OAEP-256`,
	},
	{
		"another cipher", changed(func(w *world, f *domainwriter.File) {
			f.SharedKeys.Shares[2].Key = headed(w, 2, map[string]string{"enc": "A256GCM"})
		}),
		"k:alice k:bob", 3, recoverable, "ShareDamaged", `its enc is "A256GCM"`,
	},
	{
		"a compressed share", changed(func(w *world, f *domainwriter.File) {
			f.SharedKeys.Shares[2].Key = headed(w, 2, map[string]string{"zip": "DEF"})
		}),
		"k:alice k:bob", 3, recoverable, "ShareDamaged", "it is compressed (zip)",
	},
	{
		"a critical header", changed(func(w *world, f *domainwriter.File) {
			f.SharedKeys.Shares[2].Key = headed(w, 2, map[string]string{"crit": "exp"})
		}),
		"k:alice k:bob", 3, recoverable, "ShareDamaged", "it has a critical header (crit)",
	},
	{"a JWE of four parts", changed(func(_ *world, f *domainwriter.File) {
		key := &f.SharedKeys.Shares[0].Key
		*key = (*key)[:strings.LastIndex(*key, ".")]
	}), "k:alice k:bob", 3, damaged, "ShareDamaged", "it has 4 parts, and a compact JWE has 5"},
	{
		"padded base64", changed(func(_ *world, f *domainwriter.File) { f.SharedKeys.Shares[0].Key += "=" }),
		"k:alice k:bob", 3, damaged, "ShareDamaged", "part 5 of its JWE is not written in base64url",
	},
	{
		"a line break in a share", changed(func(_ *world, f *domainwriter.File) { f.SharedKeys.Shares[0].Key += "\n" }),
		"k:alice k:bob", 3, damaged, "ShareDamaged", "a line break is in it",
	},
	{
		"a share that is null", changed(func(_ *world, f *domainwriter.File) { f.SharedKeys.Shares[0].Key = "" }),
		"k:bob k:carol", 3, recoverable, "ShareDamaged", "share 1 cannot be read: it has 1 parts",
	},
	{"a share of another download", ofAnother(0), "k:alice k:bob", 3, damaged, "SharesDisagree", "2 shares open, and together they open no part: the parts or one"},
	{
		"a share of another download, with one more key", ofAnother(0), "k:alice k:bob k:carol", 3, recoverable, "ShareOfAnother",
		"share 1 opens, and does not fit the others: it is of another download",
	},
	{"a short share", content(func(share []byte) []byte { return share[:62] }), "k:alice k:bob", 3, damaged, "ShareDamaged", "another length than a share"},
	{"a share with two positions", content(func(share []byte) []byte { share[63] ^= 8; return share }), "k:alice k:bob", 3, damaged, "ShareDamaged", "several positions"},
	{"a share at position 0", content(func(share []byte) []byte { return make([]byte, len(share)) }), "k:alice k:bob", 3, damaged, "ShareDamaged", "no point of a polynomial"},
	{
		"two shares of one position", content(func([]byte) []byte { return bytes.Repeat([]byte{7, 4}, 32) }), "k:alice k:bob", 3, damaged, "SharesDisagree",
		"two are of one position",
	},
	{"shares that were swapped", changed(func(_ *world, f *domainwriter.File) {
		s := f.SharedKeys.Shares
		s[0].Key, s[1].Key = s[1].Key, s[0].Key
	}), "k:alice k:bob", 0, recoverable, "NotForAzureCLI NotForAzureCLI", "by alice.cer it takes share 1, which the key does not open"},
	{
		"a share that was taken out", changed(func(_ *world, f *domainwriter.File) { f.SharedKeys.Shares = f.SharedKeys.Shares[:2] }),
		"k:alice k:bob", 3, recoverable, "ShareMissing", "it lists 2 shares, and each download has 3 to 10",
	},
	{
		"two shares of five that were taken out", ofFive(func(_ *world, f *domainwriter.File) { f.SharedKeys.Shares = slices.Delete(f.SharedKeys.Shares, 2, 4) }),
		"k:alice k:bob k:erin", 3, recoverable, "ShareMissing", "share 3 is number 5 of its download, and the file lists 3: some were taken out",
	},
	{
		"two shares of five that were taken out, and one holder", ofFive(func(_ *world, f *domainwriter.File) { f.SharedKeys.Shares = slices.Delete(f.SharedKeys.Shares, 2, 4) }),
		"k:erin --holder", 3, damaged, "ShareMissing", "share 3 is number 5 of its download, and the file lists 3: some were taken out, or it is of another download",
	},
	{"one person with two shares", func(w *world) []byte {
		return domainwriter.New("contoso-hsm", 2, people()["anchor"].Key, holders("alice", "bob", "alice")...).File().JSON()
	}, "k:alice", 0, recoverable, "FewerPeople FewerPeople", "alice.key opens shares 1 and 3: fewer people|shares 1 and 3 are of one certificate"},
	{
		"one share twice", changed(func(_ *world, f *domainwriter.File) { f.SharedKeys.Shares[2] = f.SharedKeys.Shares[0] }),
		"k:alice", 2, noQuorum, "FewerPeople FewerPeople FewerPeople", "share 3 is the same as one before it, and counts once",
	},
}

var partDamage = []situation{
	{
		"a damaged first part", changed(func(_ *world, f *domainwriter.File) { flip(&f.EncData.Data[0].JWE, 3) }),
		"k:alice k:bob", 3, damaged, "PartDamaged", "the part hsm_backup is damaged, or is of another download: its authentication tag does not fit",
	},
	{
		"a damaged second part", changed(func(_ *world, f *domainwriter.File) { flip(&f.EncData.Data[1].JWE, 2) }),
		"k:alice k:bob", 3, damaged, "PartDamaged NoIdentity", "the part base_enclave_backup is damaged",
	},
	{
		"a damaged third part", changed(func(_ *world, f *domainwriter.File) { flip(&f.EncData.Data[2].JWE, 4) }),
		"k:alice k:bob", 3, damaged, "PartDamaged NoIdentity", "the part partition_enclave_backup is damaged",
	},
	{
		"a damaged part of too few keys", changed(func(_ *world, f *domainwriter.File) { flip(&f.EncData.Data[0].JWE, 3) }),
		"k:alice", 2, noQuorum, "", "not tried",
	},
	{
		"a missing part", changed(func(_ *world, f *domainwriter.File) { f.EncData.Data = f.EncData.Data[:2] }),
		"k:alice k:bob", 3, damaged, "PartMissing NoIdentity", "the part partition_enclave_backup is missing; azure-cli does not look for it",
	},
	{
		"a missing part of one holder", changed(func(_ *world, f *domainwriter.File) { f.EncData.Data = f.EncData.Data[1:] }),
		"k:alice --holder", 3, damaged, "PartMissing", "the part hsm_backup is missing",
	},
	{"no parts", changed(func(_ *world, f *domainwriter.File) { f.EncData.Data = nil }), "k:alice k:bob", 3, damaged, "PartMissing PartMissing PartMissing", ""},
	{"an empty list of parts", text(`"data":[`, `"data":[],"x":[`), "k:alice k:bob", 3, damaged, "PartMissing PartMissing PartMissing", ""},
	{
		"a part twice", changed(func(_ *world, f *domainwriter.File) { f.EncData.Data = append(f.EncData.Data, f.EncData.Data[0]) }),
		"k:alice k:bob", 3, recoverable, "PartTwice", "the part hsm_backup is there twice",
	},
	{
		"an unknown part", changed(func(_ *world, f *domainwriter.File) { f.EncData.Data[0].Tag = "backup" }),
		"k:alice k:bob", 3, damaged, "PartDamaged PartMissing", "its tag is unknown|the part hsm_backup is missing",
	},
	{"parts that were swapped", changed(func(_ *world, f *domainwriter.File) {
		d := f.EncData.Data
		d[0].JWE, d[1].JWE = d[1].JWE, d[0].JWE
	}), "k:alice k:bob", 3, damaged, "PartDamaged PartDamaged NoIdentity", `its kid is "base_enclave_backup", not its tag`},
	{
		"many parts", changed(func(_ *world, f *domainwriter.File) { f.EncData.Data = slices.Repeat(f.EncData.Data, 3) }),
		"k:alice k:bob", 3, unreadable, "NotRead", "it lists 9 parts",
	},
	{"a part without its text", text(`"compact_jwe"`, `"jwe"`), "k:alice k:bob", 3, damaged, "PartDamaged", "it has no compact_jwe"},
	{"a part with a wrapped key", changed(func(_ *world, f *domainwriter.File) {
		f.EncData.Data[0].JWE = strings.Replace(f.EncData.Data[0].JWE, "..", ".AAAA.", 1)
	}), "k:alice k:bob", 3, damaged, "PartDamaged", "it has a wrapped key beside alg dir"},
	{
		"a part of another download", changed(func(_ *world, f *domainwriter.File) { f.EncData.Data[0] = otherDownload().EncData.Data[0] }),
		"k:alice k:bob", 3, damaged, "PartDamaged", "the part hsm_backup is damaged, or is of another download",
	},
	{
		"all parts of another download", changed(func(_ *world, f *domainwriter.File) { f.EncData = otherDownload().EncData }),
		"k:alice k:bob", 3, damaged, "SharesDisagree", "one more key would tell",
	},
	{
		"all parts of another download, with one more key", changed(func(_ *world, f *domainwriter.File) { f.EncData = otherDownload().EncData }),
		"k:alice k:bob k:carol", 3, damaged, "SharesDisagree", "the shares fit each other, so that the parts are damaged, or of another download",
	},
	{"all shares of several downloads", changed(func(_ *world, f *domainwriter.File) {
		for n := range 2 {
			f.SharedKeys.Shares[n] = otherDownload().SharedKeys.Shares[n]
		}
	}), "k:alice k:bob k:carol", 3, damaged, "SharesDisagree", "the shares do not fit each other"},
}

var identities = []situation{
	{"the names of the HSM", nil, "k:alice k:bob", 0, recoverable, "", "contoso-hsm, activated 2023-04-05T06:07:08Z|1:M-HSM:"},
	{"the attestation of the HSM", nil, "k:alice k:bob --attestation attestation.json", 0, recoverable, "", "attestation                    same\n"},
	{
		"the attestation of another HSM", nil, "k:alice k:bob --attestation another.json", 3, recoverable, "AttestationDiffers",
		"it is the security domain of another HSM",
	},
	{"an attestation without a quorum", nil, "k:alice --attestation attestation.json", 2, noQuorum, "NothingToCheck", "not compared"},
	{"parts in another form", func(w *world) []byte {
		f := w.three.File()
		f.EncData.Data[1].JWE = domainwriter.Enclose(w.three.Master, domainwriter.Part{Tag: domainwriter.Enclave, Content: []byte("pool_protection_key")})
		return f.JSON()
	}, "k:alice k:bob", 0, recoverable, "NoIdentity", "do not name their HSM in the form that is known"},
	{"an ID that is none", func(w *world) []byte {
		f := w.three.File()
		content := bytes.Replace(w.three.Parts[1].Content, []byte("1:M-HSM"), []byte("1 M-HSM"), 1)
		f.EncData.Data[1].JWE = domainwriter.Enclose(w.three.Master, domainwriter.Part{Tag: domainwriter.Enclave, Content: content})
		return f.JSON()
	}, "k:alice k:bob", 0, recoverable, "NoIdentity", ""},
}

var misuse = []situation{
	{"another form", nil, "k:alice -o xml", 1, "", "", "-o is one of table, json"},
	{"two holders", nil, "k:alice k:bob --holder", 1, "", "", "--holder wants one --key: no two keys need to meet"},
	{"no holder", nil, "--holder", 1, "", "", "--holder wants one --key"},
	{"two files", nil, "other.json k:alice", 1, "", "", "it wants FILE"},
	{"an unknown flag", nil, "--keys alice.key", 1, "", "", "there is no flag --keys"},
	{"too many keys", nil, strings.Repeat("k:alice ", 21), 1, "", "", "at most 20 keys"},
	{"a missing certificate", nil, "k:alice --certificate zoe.cer", 1, "", "", "read a certificate: open zoe.cer: no such file"},
	{"a certificate that is none", nil, "k:alice --certificate nothing", 1, "", "", "nothing: it is no certificate, in PEM or DER"},
	{"a key as a certificate", nil, "k:alice --certificate bob.key", 1, "", "", "bob.key: it has no certificate"},
	{"missing passwords", nil, "k:alice --password-file zoe", 1, "", "", "read the passwords: open zoe: no such file"},
	{"no passwords", nil, "k:alice --password-file nothing", 1, "", "", "nothing has 0 passwords, and 1 to 20 are read"},
	{"a large file of passwords", nil, "k:alice --password-file huge", 1, "", "", "read the passwords: it has 2097152 bytes, and at most 65536 are read: it is no file of passwords"},
	{"a large certificate", nil, "k:alice --certificate huge", 1, "", "", "read a certificate: it has 2097152 bytes, and at most 65536 are read: it is no certificate"},
	{"a large attestation", nil, "k:alice --attestation huge", 1, "", "", "it has 2097152 bytes, and at most 1048576 are read: it is no attestation of a key"},
	{"a missing attestation", nil, "k:alice --attestation zoe", 1, "", "", "read the attestation: open zoe: no such file"},
	{"an attestation that is none", nil, "k:alice --attestation alice.cer", 1, "", "", "alice.cer: it has no two certificates in PEM"},
	{"another answer as an attestation", nil, "k:alice --attestation domain.json", 1, "", "", "it has no attributes.attestation.certificatePemFile"},
}
