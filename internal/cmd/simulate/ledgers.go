package main

// verifier is the package that verifies ledgers.
const verifier = "internal/services/ledger/ccf"

func init() { edges = append(edges, ledgers...) }

// ledgers are bugs in the verification of ledgers, each of which would let a damage or a forgery pass.
var ledgers = []edge{
	{
		"./" + verifier + " TestDamages", "a leaf is not compared with the signed one", verifier + "/tree.go",
		"leaf != leaves[seqno-from] {", "leaf == (hash{}) {",
	},
	{
		"./" + verifier + " TestDamages", "a node's signature is not verified", verifier + "/signature.go",
		"err != nil || !verifiesASN1(key, f.root[:], s.Node) {", "err != nil || !verifiesASN1(key, f.root[:], s.Node) && len(s.Node) == 0 {",
	},
	{
		"./" + verifier + " TestDamages", "the service's signature is not verified", verifier + "/cose.go",
		"if message.Verify(nil, coseKeyOf(key)) != nil {", "if message.Verify(nil, coseKeyOf(key)) != nil && len(message.Signature) == 0 {",
	},
	{
		"./" + verifier + " TestIdentityChain", "the certificate of a node is not verified", verifier + "/signature.go",
		"c.wrong = c.service != nil && !signedBy(c.cert, c.service)", "c.wrong = c.service != nil && !signedBy(c.cert, c.service) && c.key == nil",
	},
	{
		"./" + verifier + " TestIdentityChain", "the last signature of an earlier identity is not verified", verifier + "/identity.go",
		"\tif before != nil {\n\t\tv.settlePending()\n", "\tif before != nil {\n",
	},
	{
		"./" + verifier + " TestIdentityChain", "a recovery may name any service before it", verifier + "/identity.go",
		"if !sameKey(key, v.service) {\n\t\t\treturn errors", "if key == nil {\n\t\t\treturn errors",
	},
	{
		"./" + verifier + " TestIdentityChain", "a recovery may name any last root", verifier + "/identity.go",
		"n != sha256.Size || !bytes.Equal(root[:], v.lastRoot) {", "n != sha256.Size {",
	},
	{
		"./" + verifier + " TestIdentityChain", "a recovery may follow any transaction", verifier + "/identity.go",
		"if w.seqno != v.lastSignature+1 {", "if w.seqno < v.lastSignature+1 {",
	},
	{
		"./" + verifier + " TestIdentityChain", "an endorsement is not verified", verifier + "/identity.go",
		"valid = verifySign1(&m.message, service) == nil", "valid = verifySign1(&m.message, service) == nil || m.message.Signature != nil",
	},
	{
		"./" + verifier + " TestDamages", "a receipt may be for other bytes", verifier + "/snapshot.go",
		"case r.claims != s.digest:", "case r.claims == (hash{}):",
	},
	{
		"./" + verifier + " TestDamages", "the signature of a receipt is not verified", verifier + "/receipt.go",
		"case !ok || !verifiesASN1(key, r.root[:], j.Signature):", "case !ok || key == nil:",
	},
	{
		"./" + verifier + " TestECDSALikeTheStandardLibrary", "a signature of P-384 holds for any digest", verifier + "/ecdsa.go",
		"e := new(big.Int).SetBytes(digest)", "e := new(big.Int).SetBytes(digest[:1])",
	},
	{
		"./" + verifier + " TestECDSALikeTheStandardLibrary", "a signature of P-384 may be larger than the order", verifier + "/ecdsa.go",
		"r.Cmp(n) >= 0 || s.Cmp(n) >= 0 ||", "r.Cmp(n) >= 0 ||",
	},
	{
		"./" + verifier + " TestDamages", "a missing file is no gap", verifier + "/verify.go",
		"if v.next > 1 || v.last != \"\" {", "if v.next > 1 && v.last == \"\" {",
	},
	{
		"./" + verifier + " TestDamages", "a file of another place is read", verifier + "/chunk.go",
		"if t.problem == \"\" && t.seqno != v.next {", "if t.problem == \"\" && t.seqno < 1 {",
	},
	{
		"./" + verifier + " TestDamages", "a wrong table of positions is not told", verifier + "/chunk.go",
		"\tif r.wrong != \"\" {\n\t\tv.tellFile", "\tif r.wrong != \"\" && r.positions == nil {\n\t\tv.tellFile",
	},
	{
		"./" + verifier + " TestDamages", "a copy in progress is damaged", verifier + "/chunk.go",
		"if c.committed && at == 0 {", "if c.committed && at == 1 {",
	},
	{
		"./" + verifier + " TestDamages", "a ledger without a signature is proven", verifier + "/held.go",
		"case v.report.Signed == \"\":", "case v.report.Signed == \"-\":",
	},
	{
		"./" + verifier + " TestDamages", "transactions after the last signature are not told", verifier + "/held.go",
		"if v.lastSeqno > v.lastSignature {", "if v.lastSeqno > v.lastSignature+99 {",
	},
	{
		"./" + verifier + " TestDamages", "a wrong signature is told too late", verifier + "/verify.go",
		"func (v *Verifier) tell(s severity, code Code, transaction, text string) {\n\tv.catchUp()\n", "func (v *Verifier) tell(s severity, code Code, transaction, text string) {\n",
	},
	{
		"./" + verifier + " TestResumesAtEachSignature", "a checkpoint forgets the signature to verify", verifier + "/checkpoint.go",
		"v.lastRoot = s.Pending, s.LastSignature", "v.lastRoot = s.Pending[:0], s.LastSignature",
	},
	{
		"./" + verifier + " TestWatch", "a transaction counts as signed although nothing compared it", verifier + "/settle.go",
		"v.compared = max(v.from, table.before.count)", "v.compared = min(v.from, table.before.count)",
	},
	{
		"./" + verifier + " TestWrongMessages", "a member's message is not verified", verifier + "/governance.go",
		"case verifySign1(&m.message, key) != nil:", "case verifySign1(&m.message, key) != nil && key.X == nil:",
	},
	{
		"./" + verifier + " TestWrongMessages", "a proposal may be another one than the signed one", verifier + "/proposal.go",
		"m.state == Valid && string(m.payload) != string(content) {", "m.state == Valid && m.payload == nil {",
	},
	{
		"./internal/cli/ledger TestShow", "a transaction after the last valid signature is proven", "internal/cli/ledger/show.go",
		"s.shown.State == signed && s.seqno < valid.seqno", "s.seqno < valid.seqno",
	},
	{
		"./internal/cli/ledger TestDiff", "ledgers that part are the same", "internal/cli/ledger/diff.go",
		"case d.PartedA != \"\":\n\t\td.Relation = parted", "case d.PartedA == \"-\":\n\t\td.Relation = parted",
	},
	{
		"./internal/cli/ledger TestACopyThatDiffersFromItsRecoveryPoint", "share: a file with other bytes is the recorded one", "internal/services/ledger/recorded.go",
		"case old.SHA256 != f.SHA256:", "case old.SHA256 != f.SHA256 && old.Size != f.Size:",
	},
	{
		"./internal/cli/ledger TestACopyThatDiffersFromItsRecoveryPoint", "share: another service has the recorded ledger", "internal/services/ledger/recorded.go",
		"if was != \"\" && is != was {", "if was != \"\" && is != was && f.fact != factService {",
	},
	{
		"./internal/services/ledger TestALongListIsCompared", "share: the long list of an older version is a change", "internal/services/ledger/recorded.go",
		"c.order(true)\n", "c.order(false)\n",
	},
	{
		"./internal/cli/ledger TestAPartThatBreaksOffIsReadAgain", "share: a part that breaks off ends the command", "internal/services/ledger/reader.go",
		"passes := f.Kind == backup.Throttled || f.Kind == backup.Retryable", "passes := f.Kind == backup.Throttled",
	},
	{
		"./internal/cli/ledger TestAShareThatCannotBeRead", "share: a sign-in goes to the host that the app names", "internal/services/ledger/reader.go",
		"if err := r.cloud.CheckStorageHost(host, \"file\"); err != nil {", "if err := r.cloud.CheckStorageHost(host, \"file\"); err != nil && p.Storage.Zone == \"\" {",
	},
	{
		"./internal/cli/ledger TestAShareThatCannotBeRead", "share: a missing role is tried again", "internal/services/ledger/reader.go",
		"Means: func(int, string) backup.FaultKind { return backup.Refused }, Hint: func(status", "Means: func(int, string) backup.FaultKind { return backup.Retryable }, Hint: func(status",
	},
	{
		"./internal/cli/ledger TestWhatIsNoCopy", "share: a file in place of a folder is a recovery point", "internal/cli/ledger/open.go",
		"case errors.Is(err, fs.ErrNotExist):", "case errors.Is(err, fs.ErrNotExist) || !info.IsDir():",
	},
	{
		"./internal/cli/ledger TestACopyThatDiffersFromItsRecoveryPoint", "share: a transaction of another copy is shown as the recorded one", "internal/cli/ledger/show.go",
		"return judged(errors.Join(err, copied.differs(report)))", "return judged(err)",
	},
	{
		"./internal/cli/ledger TestAPartThatNeverComes", "share: a part that never comes is waited for", "internal/services/ledger/reader.go",
		"context.WithTimeout(ctx, c.reader.PartTime)", "context.WithTimeout(ctx, 1000*c.reader.PartTime)",
	},
	{
		"./internal/cli/ledger TestGovernanceSaysWhatIsSigned", "governance before a wrong signature is signed", "internal/cli/ledger/governance.go",
		"if s == signed && id.seqno >= valid.seqno {", "if s == signed && id.seqno >= valid.seqno+99 {",
	},
	{
		"./internal/cli/ledger TestSeveralCopiesAreRefused", "the files of two copies make one ledger", verifier + "/copies.go",
		"several = slices.Compact(several); len(several) > 1 {", "several = slices.Compact(several); len(several) > 9 {",
	},
	{
		"./internal/cli/ledger TestSeveralCopiesAreRefused", "a damaged file of the same name and size is the same file", verifier + "/copies.go",
		"if !bytes.Equal(buffers[0][:n], buffers[1][:n]) {", "if n == 0 || bytes.Equal(nil, buffers[1][:n]) {",
	},
	{
		"./" + verifier + " TestAMissingRecoveryIsNoForgery", "a recovery in a missing file is a forgery", verifier + "/verify.go",
		"\tv.doubtFrom(later.first - 1)\n", "",
	},
	{
		"./" + verifier + " TestAForgeryAfterAGapIsFound", "behind a gap the service is never known", verifier + "/doubt.go",
		"case v.service == nil, certified, named == known, s", "case v.service == nil, certified && named == known && s.Key == nil, s",
	},
	{
		"./" + verifier + " TestDamages", "an empty file is read in place of whole ones", verifier + "/names.go",
		"if c.hollow() || c.outweighed(sorted[i+1:]) {", "if c.hollow() && c.outweighed(sorted[:i]) {",
	},
	{
		"./internal/cli/ledger TestTheServiceIsPinned", "any service is the one of the certificate", "internal/cli/ledger/ledger.go",
		"report.Service != pinned && report.Last", "report.Service == \"\" && report.Last",
	},
	{
		"./internal/cli/ledger TestDiff", "an older copy contains the newer one", "internal/cli/ledger/diff.go",
		"if must && d.Relation != same && d.Relation != bHasMore {", "if must && d.Relation == unshared {",
	},
}
