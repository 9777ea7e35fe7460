"""Reads a copy of a ledger with CCF's own package, and prints what it has proven: python ledger_reader.py FOLDER."""

import json
import os
import sys

import ccf.ledger

folder = sys.argv[1]
validator = ccf.ledger.LedgerValidator()
found = {"transactions": 0, "roots": {}, "snapshots": []}
SIGNATURES = {b"public:ccf.internal.signatures", b"public:ccf.internal.cose_signatures"}
for chunk in ccf.ledger.Ledger([os.path.join(folder, "ledger")], committed_only=False):
    for transaction in chunk:
        domain = transaction.get_public_domain()
        if SIGNATURES & {name.encode() for name in domain.get_tables()}:
            found["roots"][domain.get_seqno()] = validator.merkle.get_merkle_root().hex()
        validator.add_transaction(transaction)  # raises an exception for a root or a signature that is wrong
        found["transactions"] += 1
found["last"] = str(validator.last_verified_txid())
for name in sorted(os.listdir(os.path.join(folder, "snapshots"))):
    with ccf.ledger.Snapshot(os.path.join(folder, "snapshots", name)) as snapshot:  # raises one for a receipt that is wrong
        found["snapshots"].append(snapshot.get_public_domain().get_seqno())
print(json.dumps(found))
