"""Reads the ledger in a folder so many times with the official reader, as its own command does, and prints what that took."""

import json
import resource
import sys
import time

import ccf.ledger

folder, times = sys.argv[1], int(sys.argv[2])
begun, used = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
for _ in range(times):
    full = ccf.ledger.VerificationLevel.FULL
    validator = ccf.ledger.LedgerValidator(verification_level=full)
    ledger = ccf.ledger.Ledger([folder], committed_only=False, verification_level=full)
    for chunk in ledger:
        for transaction in chunk:
            validator.add_transaction(transaction)
seconds, now = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_SELF)
processor = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
print(json.dumps({
    "seconds": seconds,
    "processor": processor,
    "peakKiB": peak,
    "transactions": validator.transaction_count,
    "signatures": validator.signature_count,
    "signed": str(validator.last_verified_txid()),
}))
