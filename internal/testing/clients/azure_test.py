"""The official Python clients, unchanged, against the local stand-ins: see "make clients"."""

import json
import os
import subprocess
import tempfile
import unittest
from datetime import datetime, timedelta, timezone

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.data.tables import TableServiceClient, TableTransactionError
from azure.identity import ManagedIdentityCredential
from azure.keyvault.administration import KeyVaultBackupClient
from azure.keyvault.keys import KeyClient
from azure.mgmt.apimanagement import ApiManagementClient
from azure.mgmt.confidentialledger import ConfidentialLedger
from azure.mgmt.storage import StorageManagementClient
from azure.storage.blob import BlobServiceClient, generate_container_sas
from azure.storage.fileshare import (
    AccountSasPermissions, ResourceTypes, ShareServiceClient, generate_account_sas)
from azure.storage.queue import QueueClient

ACCOUNT, CONTAINER = os.environ["CLIENTS_ACCOUNT"], os.environ["CLIENTS_CONTAINER"]
GROUP, SUBSCRIPTION = os.environ["CLIENTS_GROUP"], os.environ["CLIENTS_SUBSCRIPTION"]
ORDINARY, PREMIUM, REFUSED, FAILING = (
    os.environ["CLIENTS_" + n] for n in ("SERVICE", "PREMIUM", "REFUSED", "FAILING"))
HSM = f"https://{os.environ['CLIENTS_HSM']}.managedhsm.azure.net"
CCF = os.environ["CLIENTS_CCF"]
CREDENTIAL = ManagedIdentityCredential()


def address(service):
    return f"https://{ACCOUNT}.{service}.core.windows.net"


def account_key():
    """Returns the first of two keys."""
    keys = StorageManagementClient(CREDENTIAL, SUBSCRIPTION).storage_accounts.list_keys(GROUP, ACCOUNT)["keys"]
    assert [key["keyName"] for key in keys] == ["key1", "key2"], keys
    return keys[0]["value"]


def in_two_days():
    return datetime.now(timezone.utc) + timedelta(days=2)


def container():
    client = BlobServiceClient(address("blob"), CREDENTIAL).get_container_client(CONTAINER)
    if not client.exists():
        client.create_container()
    return client


class Clients(unittest.TestCase):
    def refused(self, status, code, call):
        with self.assertRaises(HttpResponseError) as caught:
            call()
        self.assertEqual((caught.exception.status_code, caught.exception.error.code), (status, code))

    def test_backup(self):
        blobs = container()
        client = ApiManagementClient(CREDENTIAL, SUBSCRIPTION, polling_interval=1)
        services = client.api_management_service

        def backup(service, name):
            return services.begin_backup(GROUP, service, {
                "storage_account": ACCOUNT, "container_name": CONTAINER, "backup_name": name,
                "access_type": "SystemAssignedManagedIdentity",
            }).result()

        self.assertEqual(backup(ORDINARY, "python-1").name, ORDINARY)
        self.assertGreater(blobs.get_blob_client("python-1").get_blob_properties().size, 0)
        self.refused(400, "MethodNotAllowedInPricingTier", lambda: backup(REFUSED, "python-2"))
        self.refused(200, "BackupFailed", lambda: backup(FAILING, "python-3"))
        self.refused(404, "ResourceNotFound", lambda: backup("nobody", "python-4"))

    def test_restore(self):
        container()
        client = ApiManagementClient(CREDENTIAL, SUBSCRIPTION, polling_interval=1)
        services = client.api_management_service
        source = {
            "storage_account": ACCOUNT, "container_name": CONTAINER, "backup_name": "python-restore",
            "access_type": "SystemAssignedManagedIdentity",
        }

        def configure(path):
            client.api.begin_create_or_update(GROUP, ORDINARY, "orders", {
                "display_name": "Orders", "path": path, "protocols": ["https"],
            }).wait()

        configure("orders")
        services.begin_backup(GROUP, ORDINARY, source).wait()
        configure("changed")
        self.assertEqual(services.begin_restore(GROUP, ORDINARY, source).result().provisioning_state, "Succeeded")
        self.assertEqual(client.api.get(GROUP, ORDINARY, "orders").path, "orders")
        self.refused(200, "RestoreFailed", lambda: services.begin_restore(GROUP, PREMIUM, source).result())

    def test_hsm(self):
        sas = generate_container_sas(
            ACCOUNT, CONTAINER, account_key=account_key(), permission="racwdl", expiry=in_two_days())
        uri, keys, client = container().url, KeyClient(HSM, CREDENTIAL), KeyVaultBackupClient(HSM, CREDENTIAL)
        quickly = {"_polling_interval": 0.2}

        before = keys.get_key("rsa1")
        folder = client.begin_backup(uri, sas, **quickly).result().folder_url
        self.assertRegex(folder, "^" + uri + r"/mhsm-.*-\d{16}$")
        self.assertNotEqual(keys.create_rsa_key("rsa1", size=2048).key.n, before.key.n)
        client.begin_restore(folder, sas, **quickly).wait()
        self.assertEqual(keys.get_key("rsa1").id, before.id)
        keys.begin_delete_key("rsa1", _polling_interval=0.2).wait()
        keys.purge_deleted_key("rsa1")
        client.begin_restore(folder, sas, key_name="rsa1", **quickly).wait()
        self.assertEqual(keys.get_key("rsa1").key.n, before.key.n)

        # What is no backup: accepted, to fail at a poll.
        with self.assertRaises(HttpResponseError) as caught:
            client.begin_restore(uri + "/mhsm-nothing-2026010101010101", sas, **quickly).wait()
        self.assertEqual(json.loads(caught.exception.response.text())["statusDetails"], "Invalid backup provided")

        # Accepted, to fail with the reason in the error, or in statusDetails alone.
        with self.assertRaises(HttpResponseError) as caught:
            client.begin_backup(uri, "no-sas", **quickly).result()
        operation = json.loads(caught.exception.response.text())
        self.assertEqual((operation["status"], operation["statusDetails"], operation["error"]["code"]),
                         ("Failed", "Invalid Request", "BadRequest"))
        with self.assertRaises(HttpResponseError) as caught:
            client.begin_backup(uri + "-missing", sas, **quickly).result()
        operation = json.loads(caught.exception.response.text())
        self.assertEqual(caught.exception.status_code, 200)
        self.assertEqual((operation["status"], operation["statusDetails"]), ("Failed", "ResourceNotFound"))

    def test_managed_ccf(self):
        client = ConfidentialLedger(CREDENTIAL, SUBSCRIPTION, polling_interval=1).managed_ccf
        key = account_key()
        sas = generate_account_sas(
            ACCOUNT, key, ResourceTypes(service=True, container=True, object=True),
            AccountSasPermissions(read=True, write=True, delete=True, list=True, create=True), in_two_days())
        place = {"uri": f"{address('file')}/?{sas}", "restoreRegion": "westeurope"}
        files = ShareServiceClient(address("file"), credential=key)

        before = client.get(GROUP, CCF)
        client.begin_backup(GROUP, CCF, place).wait()
        share, = files.list_shares(name_starts_with=CCF + "-")
        client.begin_delete(GROUP, CCF).wait()
        self.refused(404, "ResourceNotFound", lambda: client.get(GROUP, CCF))
        client.begin_restore(GROUP, CCF, {**place, "fileShareName": share.name}).wait()
        self.assertEqual(client.get(GROUP, CCF).id, before.id)
        for apps in client.list_by_resource_group(GROUP), client.list_by_subscription():
            self.assertIn(CCF, [app.name for app in apps])
        self.ledger(files.get_share_client(share.name), 1)
        files.delete_share(share.name)

        # The restore was a recovery: another service goes on with the ledger.
        client.begin_backup(GROUP, CCF, place).wait()
        share, = files.list_shares(name_starts_with=CCF + "-")
        self.ledger(files.get_share_client(share.name), 2)
        files.delete_share(share.name)

    def ledger(self, share, services):
        """Reads a backup with CCF's own readers and with Lifeboat."""
        with tempfile.TemporaryDirectory() as folder:
            for inner in "ledger", "snapshots":
                os.mkdir(os.path.join(folder, inner))
                for item in share.list_directories_and_files(inner):
                    with open(os.path.join(folder, inner, item.name), "wb") as file:
                        share.get_file_client(f"{inner}/{item.name}").download_file().readinto(file)
            newest, older = (
                json.loads(subprocess.check_output([f"ccf{version}/bin/python", "ledger_reader.py", folder])) for version in (7, 6))
            ours = json.loads(subprocess.check_output(["./lifeboat", "ledger", "verify", folder, "-o", "json"]))
        self.assertEqual(newest, older)
        self.assertGreater(len(newest["roots"]), 5)
        signed = ours["signed"].split(".")[1]
        self.assertEqual((newest["last"], newest["transactions"], newest["roots"][signed], newest["snapshots"]),
                         (ours["signed"], ours["transactions"], ours["root"], [s["seqno"] for s in ours["snapshots"]]))
        self.assertEqual((len(newest["roots"]), services), (ours["nodeSignatures"], len(ours["identities"])))

    def test_tables(self):
        table = TableServiceClient(address("table"), credential=CREDENTIAL).create_table("python")
        row = {"PartitionKey": "it's a b", "RowKey": "1", "n": 1}
        first = table.create_entity(row)["etag"]
        match = {"match_condition": MatchConditions.IfNotModified, "etag": first}
        changed = {**row, "n": 2}
        created = {**row, "RowKey": "2"}
        table.submit_transaction([("create", created), ("update", changed, {"mode": "replace", **match})])
        with self.assertRaises(TableTransactionError) as caught:
            table.submit_transaction([
                ("create", {**row, "RowKey": "3"}), ("update", row, {"mode": "replace", **match}),
            ])
        self.assertEqual(caught.exception.index, 1)
        self.assertEqual([e["RowKey"] for e in table.query_entities("n ge 0")], ["1", "2"])
        table.delete_table()

    def test_queues(self):
        queue = QueueClient(address("queue"), "python", credential=CREDENTIAL)
        queue.create_queue()
        queue.send_message("grüße <&>", visibility_timeout=0)
        message = queue.receive_message(visibility_timeout=30)
        self.assertEqual(message.content, "grüße <&>")
        queue.delete_message(queue.update_message(message, visibility_timeout=30))
        queue.delete_queue()


if __name__ == "__main__":
    unittest.main()
