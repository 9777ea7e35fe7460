"""The day on which an HSM is lost, and its way there, with Azure CLI, unchanged, and Lifeboat's commands: see "make clients" and
docs/security-domain.md."""

import datetime
import json
import os
import re
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import rsa

import azureforks

KNOWN = json.loads(os.environ["CLIENTS_DISASTER"])
LOST, FRESH, FOREIGN = (KNOWN[name] for name in ("lost", "fresh", "foreign"))
GROUP = os.environ["CLIENTS_GROUP"]
LIFEBOAT = {**os.environ, "LIFEBOAT_URL": os.environ["CLIENTS_API"].removesuffix("/api"), "LIFEBOAT_KEY": os.environ["CLIENTS_KEY"]}
CONFIG = tempfile.TemporaryDirectory()
CUSTODIAN = {**os.environ, **KNOWN["environment"], "AZURE_CONFIG_DIR": CONFIG.name, "AZURE_CORE_COLLECT_TELEMETRY": "no"}
MODULES = ["azure.keyvault.securitydomain", "azure.keyvault.keys", "azure.cli.command_modules.keyvault.security_domain.jwe"]


def setUpModule():
    end = azureforks.started(CONFIG.name, CUSTODIAN, MODULES)
    unittest.addModuleCleanup(CONFIG.cleanup)
    unittest.addModuleCleanup(end)


def tearDownModule():
    for what, seconds in Disaster.took:
        print(f"{seconds:6.1f} s  {what}")


class Disaster(unittest.TestCase):
    maxDiff = None
    took = []

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def run_(self, program, environment, words, code, said):
        """Runs a command in the folder, checks how it ends, and returns what it prints."""
        began = time.monotonic()
        done = subprocess.run([program, *words], env=environment, cwd=self.folder, capture_output=True, text=True, timeout=300, check=False)
        name = " ".join(["az" if program != KNOWN["program"] else "lifeboat", *words])
        self.took.append((name[:110], time.monotonic() - began))
        self.assertEqual(done.returncode, code, (name, done.stdout, done.stderr))
        self.assertRegex(done.stdout + done.stderr, said or "^", name)
        return done.stdout

    def az(self, *words, code=0, said=""):
        out = self.run_(Path(CONFIG.name) / "az", CUSTODIAN, words, code, said)
        return json.loads(out) if out.strip() and code == 0 else None

    def lifeboat(self, *words, code=0, said=""):
        return self.run_(KNOWN["program"], LIFEBOAT, words, code, said)

    def holder(self, name):
        """Writes a key with its certificate, as openssl does: a certificate for a year, which is over."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        begin = datetime.datetime(2021, 1, 1)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(begin)
        cert = builder.not_valid_after(begin + datetime.timedelta(days=365)).sign(key, hashes.SHA256())
        (self.folder / f"{name}.cer").write_bytes(cert.public_bytes(pem.Encoding.PEM))
        path = self.folder / f"{name}.key"
        path.write_bytes(key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption()))
        path.chmod(0o600)

    def grant(self, name, role, who):
        self.az("keyvault", "role", "assignment", "create", "--hsm-name", name, "--role", role, "--scope", "/",
                "--assignee-object-id", who, "--assignee-principal-type", "ServicePrincipal")

    def admit(self, name):
        """Gives Lifeboat its roles on an HSM, and the custodian one for keys."""
        self.grant(name, "Managed HSM Backup", KNOWN["app"])
        self.grant(name, "Managed HSM Restore", KNOWN["app"])
        self.grant(name, "Managed HSM Crypto User", KNOWN["custodian"])

    def modulus(self, name):
        return self.az("keyvault", "key", "show", "--hsm-name", name, "--name", "orders")["key"]["n"]

    def test_the_whole_way(self):
        az, lifeboat = self.az, self.lifeboat
        az("login", "--identity")
        for name in ("alice", "bob", "carol"):
            self.holder(name)

        # The HSM is activated, and its security domain is checked.
        certificates = ("--sd-wrapping-keys", "alice.cer", "bob.cer", "carol.cer", "--sd-quorum", "2")
        download = ("keyvault", "security-domain", "download", *certificates, "--hsm-name")
        az(*download, LOST, "--security-domain-file", "domain.json", "--no-wait")
        lifeboat("security-domain", "check", "domain.json", code=2, said="quorum-not-reached")
        lifeboat("security-domain", "check", "domain.json", "--key", "alice.key", "--key", "carol.key", said=rf"(?s)recoverable.*made for +{LOST}")
        waited = az("keyvault", "security-domain", "wait", "--hsm-name", LOST, "--target-operation", "download")
        self.assertEqual(waited, {"status": "Success", "statusDetails": "The resource is active."})
        az(*download, LOST, "--security-domain-file", "again.json", code=1, said="Conflict")
        self.assertFalse((self.folder / "again.json").exists())

        # Lifeboat makes a backup, and the HSM is lost.
        self.admit(LOST)
        az("keyvault", "key", "create", "--hsm-name", LOST, "--name", "orders", "--kty", "RSA-HSM")
        key = self.modulus(LOST)
        lifeboat("backup", LOST, "--wait")
        az("keyvault", "delete", "--hsm-name", LOST, "--resource-group", GROUP)

        # A new HSM takes the security domain; nothing else is possible before.
        az("keyvault", "create", "--hsm-name", FRESH, "--resource-group", GROUP, "--location", "westeurope",
           "--administrators", KNOWN["custodian"], "--retention-days", "90", "--mi-user-assigned", KNOWN["identity"])
        restore = ("restore", LOST, "--yes", "--wait", "--into")
        lifeboat(*restore, FRESH, code=1, said="NotActivated")
        exchange = ("keyvault", "security-domain", "init-recovery", "--hsm-name", FRESH, "--sd-exchange-key")
        az(*exchange, "old.pem")
        az(*exchange, "exchange.pem")
        keys = ("--sd-wrapping-keys", "bob.key", "alice.key")
        upload = ("keyvault", "security-domain", "upload", "--hsm-name", FRESH, "--sd-file")
        az(*upload, "domain.json", "--sd-exchange-key", "old.pem", *keys, code=1, said='"Failed".*could not be restored')
        # Without a wait it would say nothing of that, and the wait says it with exit code 0.
        self.assertIsNone(az(*upload, "domain.json", "--sd-exchange-key", "old.pem", *keys, "--no-wait"))
        waited = az("keyvault", "security-domain", "wait", "--hsm-name", FRESH, "--target-operation", "upload")
        self.assertEqual(waited["status"], "Failed")
        az("keyvault", "security-domain", "restore-blob", "--sd-file", "domain.json", "--sd-exchange-key", "exchange.pem",
           *keys, "--sd-file-restore-blob", "blob.json")
        lifeboat("security-domain", "check", "blob.json", code=3, said="restore blob")
        uploaded = az(*upload, "blob.json", "--restore-blob")
        self.assertEqual(uploaded, {"status": "Success", "statusDetails": "The resource is active."})

        # Lifeboat restores its backup there.
        self.admit(FRESH)
        lifeboat("restore", LOST, "--into", FRESH, "--dry-run")
        lifeboat(*restore, FRESH)
        self.assertEqual(self.modulus(FRESH), key)
        az("keyvault", "key", "get-attestation", "--hsm-name", FRESH, "--name", "orders", "--file", "attestation.json")
        lifeboat("security-domain", "check", "domain.json", "--key", "alice.key", "--key", "bob.key", "--attestation", "attestation.json",
                 said=r"attestation +same")

        # An HSM of another security domain does not take the backup.
        az(*download, FOREIGN, "--security-domain-file", "foreign.json")
        text = (self.folder / "foreign.json").read_text()
        self.assertTrue(re.match(r'\{"EncData":', text) and text != (self.folder / "domain.json").read_text())
        lifeboat(*restore, FOREIGN, code=1, said="Invalid backup provided")


if __name__ == "__main__":
    unittest.main()
