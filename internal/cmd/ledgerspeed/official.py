"""Reads the ledger in a folder so many times with the official reader, as its own command does, and prints what that took."""

import json
import sys
import time

import ccf.ledger

folder, times = sys.argv[1], int(sys.argv[2])
begun = time.monotonic()
for _ in range(times):
    full = ccf.ledger.VerificationLevel.FULL
    validator = ccf.ledger.LedgerValidator(verification_level=full)
    ledger = ccf.ledger.Ledger([folder], committed_only=False, verification_level=full)
    for chunk in ledger:
        for transaction in chunk:
            validator.add_transaction(transaction)
seconds = time.monotonic() - begun
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
print(json.dumps({
    "seconds": seconds,
    "peakKiB": peak,
    "transactions": validator.transaction_count,
    "signatures": validator.signature_count,
    "signed": str(validator.last_verified_txid()),
}))
