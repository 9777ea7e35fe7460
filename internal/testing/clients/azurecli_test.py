"""Azure CLI, unchanged, against the local stand-ins and Lifeboat's API: see "make clients"."""

import json
import os
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

AZ = Path(__file__).parent / "azurecli" / "bin" / "az"
SUBSCRIPTION, GROUP, SERVICE, REFUSED, FAILING, HSM, ACCOUNT, CONTAINER, APP_ACCOUNT, API, KEY, POLLED = (
    os.environ["CLIENTS_" + n] for n in (
        "SUBSCRIPTION", "GROUP", "SERVICE", "REFUSED", "FAILING", "HSM", "ACCOUNT", "CONTAINER", "APP_ACCOUNT", "API", "KEY",
        "POLLED"))
SERVICES = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.ApiManagement/service/"
CONFIG = tempfile.TemporaryDirectory()
ENVIRONMENT = {**os.environ, "AZURE_CONFIG_DIR": CONFIG.name, "AZURE_CORE_COLLECT_TELEMETRY": "no"}


def run(*words):
    return subprocess.run([AZ, *words], env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False)


def az(*words):
    """Returns what the command prints: None for nothing."""
    done = run(*words)
    if done.returncode:
        raise AssertionError(f"az {words}: {done.returncode} {done.stdout} {done.stderr}")
    return json.loads(done.stdout) if done.stdout.strip() else None


def until(found):
    """Asks again until something is found, for two minutes at the most, and returns it."""
    end = time.monotonic() + 120
    while not (result := found()):
        assert time.monotonic() < end, "it was not found in time"
    return result


def setUpModule():
    (account,) = az("login", "--identity")
    assert account["id"] == SUBSCRIPTION and account["user"]["name"] == "systemAssignedIdentity", account
    az("storage", "container", "create", "--name", CONTAINER, "--account-name", ACCOUNT, "--auth-mode", "login")


def tearDownModule():
    CONFIG.cleanup()


def key():
    first, _ = az("storage", "account", "keys", "list", "--account-name", ACCOUNT, "--resource-group", GROUP)
    return first["value"]


class AzureCLI(unittest.TestCase):
    def fails(self, code, pattern, *words):
        done = run(*words)
        self.assertRegex(done.stderr, pattern)
        self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)

    def test_lists(self):
        self.assertEqual([group["name"] for group in az("group", "list")], [GROUP])
        self.assertIn(SERVICE, [service["name"] for service in az("apim", "list", "--resource-group", GROUP)])
        self.assertIn(HSM, [hsm["name"] for hsm in az("keyvault", "list", "--resource-type", "hsm")])

    def test_apim(self):
        address = f"{SERVICES}{SERVICE}/apis/orders?api-version=2022-08-01"

        def configure(path):
            body = {"properties": {"displayName": "Orders", "path": path, "protocols": ["https"]}}
            az("rest", "--method", "put", "--url", address, "--body", json.dumps(body))
            until(lambda: az("rest", "--url", address)["properties"]["path"] == path)

        def move(verb, service, name):
            return ("apim", verb, "--name", service, "--resource-group", GROUP, "--backup-name", name,
                    "--container-name", CONTAINER, "--storage-account-name", ACCOUNT, "--storage-account-key", secret)

        secret = key()
        configure("orders")
        self.assertEqual(az(*move("backup", SERVICE, "az-1"))["name"], SERVICE)
        configure("changed")
        self.assertEqual(az(*move("restore", SERVICE, "az-1"))["provisioningState"], "Succeeded")
        self.assertEqual(az("rest", "--url", address)["properties"]["path"], "orders")
        self.fails(1, r"\(MethodNotAllowedInPricingTier\)", *move("backup", REFUSED, "az-2"))
        self.fails(1, r"BackupFailed.*Cannot backup: the container is gone", *move("backup", FAILING, "az-3"))
        self.fails(3, r"\(ResourceNotFound\)", *move("backup", "nobody", "az-4"))

    def test_invoke_action(self):
        def backup(service, name, version):
            body = {"storageAccount": ACCOUNT, "containerName": CONTAINER, "backupName": name,
                    "accessType": "SystemAssignedManagedIdentity"}
            return ("resource", "invoke-action", "--action", "backup", "--ids", SERVICES + service, "--api-version", version,
                    "--request-body", json.dumps(body))

        self.assertEqual(az(*backup(SERVICE, "az-5", "2024-05-01")), {})  # it looks for the outputs of a deployment
        blob = az("storage", "blob", "show", "--account-name", ACCOUNT, "--container-name", CONTAINER, "--name", "az-5",
                  "--auth-mode", "login")
        self.assertGreater(blob["properties"]["contentLength"], 0)
        self.fails(1, r"BackupFailed.*Cannot backup: the container is gone", *backup(FAILING, "az-6", "2022-08-01"))

    def test_rest_does_not_poll(self):
        body = {"storageAccount": ACCOUNT, "containerName": CONTAINER, "backupName": "az-7",
                "accessType": "SystemAssignedManagedIdentity"}
        url = f"{SERVICES}{FAILING}/backup?api-version=2024-05-01"
        self.assertIsNone(az("rest", "--method", "post", "--url", url, "--body", json.dumps(body)))  # it fails later
        self.fails(1, "MethodNotAllowedInPricingTier", "rest", "--method", "post", "--url", url.replace(FAILING, REFUSED),
                   "--body", json.dumps(body))

    def test_rest_on_lifeboat(self):
        def ask(*words):
            return az("rest", "--skip-authorization-header", "--headers", f"x-functions-key={KEY}", *words)

        backup = ask("--method", "post", "--url", API + "/backups", "--body", json.dumps({"target": SERVICES + POLLED}))
        address = f"{API}/runs/{backup['id']}"
        ends = ("Succeeded", "Failed", "Canceled")
        self.assertEqual(until(lambda: [b["status"] for b in [ask("--url", address)] if b["status"] in ends]), ["Succeeded"])

    def test_keyvault(self):
        place = ("--hsm-name", HSM, "--storage-account-name", ACCOUNT, "--blob-container-name", CONTAINER,
                 "--use-managed-identity", "true")
        name = ("--hsm-name", HSM, "--name", "rsa1")
        before = az("keyvault", "key", "show", *name)["key"]["n"]
        backup = az("keyvault", "backup", "start", *place)
        self.assertRegex(backup["folderUrl"], rf"/{CONTAINER}/mhsm-{HSM}-\d{{16}}$")
        self.assertEqual(backup["status"], "Succeeded")
        folder = ("--backup-folder", backup["folderUrl"].rsplit("/", 1)[1])
        az("keyvault", "key", "delete", *name)
        az("keyvault", "key", "purge", *name)
        restore = ("keyvault", "restore", "start", *place)
        self.assertIsNone(az(*restore, *folder, "--key-name", "rsa1"))
        self.assertEqual(az("keyvault", "key", "show", *name)["key"]["n"], before)
        az("keyvault", "key", "create", *name, "--kty", "RSA-HSM")
        self.assertIsNone(az(*restore, *folder))
        self.assertEqual(az("keyvault", "key", "show", *name)["key"]["n"], before)
        folder = ("--backup-folder", "mhsm-nothing-2026010101010101")
        self.fails(1, r"status 'OK'\nContent: .*Invalid backup provided", *restore, *folder)

    def test_message(self):
        def message(verb, queue, *words):
            return az("storage", "message", verb, "--queue-name", queue, *account, *words)

        account = ("--account-name", APP_ACCOUNT, "--auth-mode", "login")
        az("storage", "queue", "create", "--name", "restore-requests", *account)
        request = {"id": "az-1", "target": SERVICES + "nobody", "recoveryPoint": "latest", "dryRun": True}
        self.assertEqual(message("put", "restore-requests", "--content", json.dumps(request))["content"], json.dumps(request))

        def answers():
            events = [json.loads(found["content"]) for found in message("get", "lifeboat-events", "--num-messages", "32")]
            return [event for event in events if event["data"].get("request") == "az-1"]

        answer = until(answers)[0]
        self.assertEqual((answer["type"], answer["data"]["reason"]["code"]), ("lifeboat.restore.previewed", "UnknownTarget"))


if __name__ == "__main__":
    unittest.main()
