"""Azure CLI, unchanged, against the local stand-ins and Lifeboat's API: see "make clients". The services are this file's own, since
other clients run at the same time."""

import json
import os
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path

import azureforks

SUBSCRIPTION, GROUP, SERVICE, REFUSED, FAILING, HSM, ACCOUNT, CONTAINER, APP_ACCOUNT, API, KEY = (
    os.environ["CLIENTS_" + n] for n in (
        "SUBSCRIPTION", "GROUP", "TYPED", "REFUSED", "TYPED_FAILING", "TYPED_HSM", "ACCOUNT", "CONTAINER", "APP_ACCOUNT", "API", "KEY"))
GUEST, GUEST_HEADER, PREMIUM = (os.environ["CLIENTS_" + n] for n in ("GUEST", "GUEST_HEADER", "PREMIUM"))
RESOURCES = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/"
SERVICES = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.ApiManagement/service/"
CONFIG = tempfile.TemporaryDirectory()
ENVIRONMENT = {**os.environ, "AZURE_CONFIG_DIR": CONFIG.name, "AZURE_CORE_COLLECT_TELEMETRY": "no"}
# MODULES are what the commands below import.
MODULES = [
    "azure.cli.command_modules.apim.custom", "azure.cli.command_modules.apim.commands", "azure.cli.command_modules.apim._params",
    "azure.cli.command_modules.resource._bicep", "azure.cli.command_modules.resource.custom",
    "azure.cli.command_modules.resource.commands", "azure.cli.command_modules.resource._params",
    "azure.cli.command_modules.storage.commands", "azure.cli.command_modules.storage._params",
    "azure.cli.command_modules.storage.operations.account", "azure.cli.command_modules.storage.operations.blob",
    "azure.cli.command_modules.storage.operations.queue", "azure.mgmt.apimanagement", "azure.mgmt.resource.resources",
    "azure.mgmt.storage", "azure.storage.blob", "azure.storage.queue", "azure.storage.fileshare", "azure.storage.filedatalake",
    "azure.data.tables", "azure.keyvault.keys",
]


def run(*words, program=Path(CONFIG.name) / "az"):
    return subprocess.run([program, *words], env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False)


def az(*words, **how):
    """Returns what the command prints: None for nothing."""
    done = run(*words, **how)
    if done.returncode:
        raise AssertionError(f"az {words}: {done.returncode} {done.stdout} {done.stderr}")
    return json.loads(done.stdout) if done.stdout.strip() else None


def until(found):
    """Asks again each second until something is found, for two minutes at the most, and returns it."""
    end = time.monotonic() + 120
    while not (result := found()):
        assert time.monotonic() < end, "it was not found in time"
        time.sleep(1)
    return result


def setUpModule():
    (account,) = az("login", "--identity", program=Path(__file__).parent / "azurecli" / "bin" / "az")
    assert account["id"] == SUBSCRIPTION and account["user"]["name"] == "systemAssignedIdentity", account
    unittest.addModuleCleanup(CONFIG.cleanup)
    unittest.addModuleCleanup(azureforks.started(CONFIG.name, ENVIRONMENT, MODULES))
    az("storage", "container", "create", "--name", CONTAINER, "--account-name", ACCOUNT, "--auth-mode", "login")


def key():
    first, _ = az("storage", "account", "keys", "list", "--account-name", ACCOUNT, "--resource-group", GROUP)
    return first["value"]


def guest(method, url, resource="https://management.azure.com/", body=None):
    """Makes a request as the identity that gets and loses roles, and returns the status."""
    query = urllib.parse.urlencode({"resource": resource, "api-version": "2019-08-01"})
    ask = urllib.request.Request(os.environ["IDENTITY_ENDPOINT"] + "?" + query, headers={"X-IDENTITY-HEADER": GUEST_HEADER})
    with urllib.request.urlopen(ask, timeout=60) as answer:
        token = json.load(answer)["access_token"]
    media = "application/xml" if "queue" in url else "application/json"
    headers = {"Authorization": "Bearer " + token, "Content-Type": media, "x-ms-version": "2024-11-04"}
    request = urllib.request.Request(url, method=method, headers=headers, data=body and body.encode())
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


def arm(path, version):
    return f"https://management.azure.com{path}?api-version={version}"


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

        backup = ask("--method", "post", "--url", API + "/backups", "--body", json.dumps({"target": SERVICES + SERVICE}))
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

    def test_grants(self):
        """Each kind of grant changes at once what the guest may do, and its end too."""
        account, service = RESOURCES + "Microsoft.Storage/storageAccounts/" + ACCOUNT, SERVICES + SERVICE
        role = f"Keeper of {SERVICE}"
        definition = Path(CONFIG.name) / "role.json"
        definition.write_text(json.dumps({
            "Name": role, "Description": "Reads it.", "Actions": ["Microsoft.ApiManagement/service/read"], "NotActions": [],
            "DataActions": [], "NotDataActions": [], "AssignableScopes": ["/subscriptions/" + SUBSCRIPTION]}))
        made = az("role", "definition", "create", "--role-definition", "@" + str(definition))
        self.assertEqual((made["roleName"], made["roleType"]), (role, "CustomRole"))
        self.fails(1, "RoleDefinitionWithSameNameExists", "role", "definition", "create", "--role-definition", definition.read_text())
        blobs, storage = f"https://{ACCOUNT}.blob.core.windows.net/{CONTAINER}?restype=container&comp=list", "https://storage.azure.com/"
        queue = f"https://{APP_ACCOUNT}.queue.core.windows.net/restore-requests/messages?visibilitytimeout=1"
        az("storage", "queue", "create", "--name", "restore-requests", "--account-name", APP_ACCOUNT, "--auth-mode", "login")
        message = "<QueueMessage><MessageText>{}</MessageText></QueueMessage>"
        for name, scope, asks in (
                (role, service, lambda: guest("GET", arm(service, "2024-05-01"))),
                (made["name"], f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}", lambda: guest("GET", arm(service, "2024-05-01"))),
                ("acdd72a7-3385-48ef-bd42-f606fba81ae7", RESOURCES + "Microsoft.KeyVault/managedHSMs/" + HSM,
                 lambda: guest("GET", arm(RESOURCES + "Microsoft.KeyVault/managedHSMs/" + HSM, "2024-11-01"))),
                ("Reader and Data Access", account, lambda: guest("POST", arm(account + "/listKeys", "2024-01-01"))),
                ("Storage Blob Data Contributor", f"{account}/blobServices/default/containers/{CONTAINER}",
                 lambda: guest("GET", blobs, storage)),
                ("c6a89b2d-59bc-44d0-9896-0f6e12d7b80a",
                 f"{account.replace(ACCOUNT, APP_ACCOUNT)}/queueServices/default/queues/restore-requests",
                 lambda: guest("POST", queue, storage, message))):
            with self.subTest(role=name, scope=scope):
                who = ("--assignee-object-id", GUEST, "--role", name, "--scope", scope)
                create = ("role", "assignment", "create", *who, "--assignee-principal-type", "ServicePrincipal")
                self.assertEqual(asks(), 403)
                given = az(*create)
                self.assertEqual((given["principalId"], given["scope"].lower()), (GUEST, scope.lower()))
                self.assertIn(asks(), (200, 201))
                self.assertEqual(az(*create)["name"], given["name"])  # once more changes nothing
                self.assertEqual([a["name"] for a in az("role", "assignment", "list", *who)], [given["name"]])
                az("role", "assignment", "delete", *who)
                self.assertEqual(asks(), 403)
        az("role", "definition", "delete", "--name", role)
        self.assertEqual(az("role", "definition", "list", "--name", role), [])
        self.fails(1, "RoleAssignmentExists|PrincipalNotFound|InvalidPrincipalId|does not exist in the directory", "role", "assignment",
                   "create", "--assignee-object-id", str(uuid.uuid4()), "--role", "Reader", "--scope", service)

    def test_hsm_grants(self):
        who = ("--hsm-name", HSM, "--role", "Managed HSM Backup", "--scope", "/", "--assignee-object-id", GUEST)
        start = f"https://{HSM}.managedhsm.azure.net/backup?api-version=7.5"

        def asks():
            return guest("POST", start, "https://managedhsm.azure.net", "{}")  # 400 is behind the permission

        self.assertEqual(asks(), 403)
        given = az("keyvault", "role", "assignment", "create", *who, "--assignee-principal-type", "ServicePrincipal")
        self.assertEqual((given["roleName"], given["principalId"], given["scope"]), ("Managed HSM Backup", GUEST, "/"))
        self.assertEqual(asks(), 400)
        self.assertEqual([a["name"] for a in az("keyvault", "role", "assignment", "list", *who)], [given["name"]])
        az("keyvault", "role", "assignment", "delete", *who)
        self.assertEqual(asks(), 403)

    def test_what_a_script_of_grants_reads(self):
        def value(query, *words):
            return az(*words, "--query", query)

        place = ("--resource-group", GROUP)
        own = value("identity.principalId", "apim", "show", "--name", PREMIUM, *place)
        self.assertEqual(str(uuid.UUID(own)), own)
        self.fails(2, "--resource-group/-g, --name/-n", "apim", "show", "--ids", SERVICES + PREMIUM)  # it knows no --ids
        generic = ("resource", "show", "--ids", SERVICES + PREMIUM, "--api-version", "2024-05-01")
        self.assertEqual(value("identity.principalId", *generic), own)
        identities = "identity.userAssignedIdentities"
        (attached,) = value(f"values({identities})[].principalId", "keyvault", "show", "--hsm-name", HSM, *place)
        self.assertEqual(value(f"values({identities})[].principalId", "keyvault", "show", "--hsm-name", HSM), [attached])
        (name,) = value(f"[?principalId=='{attached}'].name", "identity", "list")
        self.assertEqual(value("principalId", "identity", "show", "--name", name, *place), attached)
        account = RESOURCES + "Microsoft.Storage/storageAccounts/" + ACCOUNT
        self.assertEqual(value("id", "storage", "account", "show", "--name", ACCOUNT, *place), account)
        self.assertEqual(value("id", "storage", "account", "show", "--name", ACCOUNT), account)
        self.assertEqual(value("id", "account", "show"), SUBSCRIPTION)

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
