"""Python's pollers, ARM's and the core's own, unchanged, on Lifeboat's API: see "make clients".

Alone, as "python azurepollers_test.py POLLER TOKEN", a process that goes on with what another one began.
"""

import os
import subprocess
import sys
import unittest

from azure.core import PipelineClient
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import AzureKeyCredentialPolicy
from azure.core.polling import LROPoller
from azure.core.polling.base_polling import LROBasePolling
from azure.core.rest import HttpRequest
from azure.mgmt.core.polling.arm_polling import ARMPolling

API = os.environ["CLIENTS_API"]
SERVICES = (f"/subscriptions/{os.environ['CLIENTS_SUBSCRIPTION']}/resourceGroups/{os.environ['CLIENTS_GROUP']}"
            "/providers/Microsoft.ApiManagement/service/")
GOOD, BAD = SERVICES + os.environ["CLIENTS_POLLED"], SERVICES + os.environ["CLIENTS_BROKEN"]
POLLERS = {"arm": ARMPolling, "core": LROBasePolling}
CLIENT = PipelineClient(API, per_call_policies=[
    AzureKeyCredentialPolicy(AzureKeyCredential(os.environ["CLIENTS_KEY"]), "x-functions-key")])


def ask(path, body=None, request_id=None):
    request = HttpRequest("POST", API + path, json=body)
    if request_id:
        request.headers["Repeatability-Request-ID"] = request_id
    return CLIENT.send_request(request, _return_pipeline_response=True)


def read(response):
    return response.http_response.json()


def resume(poller, token):
    """Goes on with what the token was made of, and tells how it ended."""
    try:
        return LROPoller.from_continuation_token(
            POLLERS[poller](timeout=0.3), token, client=CLIENT, deserialization_callback=read).result()["status"]
    except HttpResponseError as error:
        return str(error)


def elsewhere(poller, token):
    """Is resume in a process of its own."""
    done = subprocess.run([sys.executable, "-W", "ignore", __file__, poller, token], capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Pollers(unittest.TestCase):
    def follow(self, poller, path, body, request_id):
        """Asks, follows to the end, asks again, and follows that, here and in another process: all must end alike."""
        ends = []
        for number in range(2):
            first = ask(path, body, f"python-{poller}-{request_id}")
            self.assertEqual(first.http_response.status_code, 202)
            following = LROPoller(CLIENT, first, read, POLLERS[poller](timeout=0.3))
            token = following.continuation_token()
            try:
                ends.append(following.result()["status"])
            except HttpResponseError as error:
                ends.append(str(error))
            if number:
                ends.append(elsewhere(poller, token))
        self.assertEqual(len(set(ends)), 1, ends)
        return ends[0]

    def each(self, test):
        for poller in POLLERS:
            with self.subTest(poller=poller):
                test(poller)

    def test_success(self):
        self.each(lambda poller: self.assertEqual(self.follow(poller, "/backups", {"target": GOOD}, "good"), "Succeeded"))

    def test_resumed(self):
        def test(poller):
            begun = ask("/backups", {"target": GOOD}, f"python-{poller}-resumed")
            token = LROPoller(CLIENT, begun, read, POLLERS[poller](timeout=0.3)).continuation_token()
            self.assertEqual(elsewhere(poller, token), "Succeeded")
        self.each(test)

    def test_failure(self):
        self.each(lambda poller: self.assertRegex(
            self.follow(poller, "/backups", {"target": BAD}, "bad"),
            r"\(BackupFailed\).*Cannot backup: the container is gone"))

    def test_batch_of_which_a_part_failed(self):
        self.each(lambda poller: self.assertRegex(
            self.follow(poller, "/backups", {"plan": "polled"}, "batch"), r"\(BatchIncomplete\) 1 of 2 backups did not succeed"))

    def test_restore(self):
        ask("/backups", {"target": GOOD}, "python-to-restore")
        LROPoller(CLIENT, ask("/backups", {"target": GOOD}, "python-to-restore"), read, ARMPolling(timeout=0.3)).wait()
        self.each(lambda poller: self.assertEqual(
            self.follow(poller, "/restores", {"target": GOOD, "recoveryPoint": "latest"}, "restore"), "Succeeded"))

    def test_restore_that_is_canceled(self):
        LROPoller(CLIENT, ask("/backups", {"target": GOOD}, "python-to-cancel"), read, ARMPolling(timeout=0.3)).wait()

        def test(poller):
            body = {"target": GOOD, "recoveryPoint": "latest"}
            ask("/backups", {"target": GOOD}, f"python-{poller}-busy")  # the restore waits for it
            asked = ask("/restores", body, f"python-{poller}-canceled")
            canceled = ask(f"/restores/{read(asked)['id']}/cancel")
            self.assertEqual(canceled.http_response.status_code, 200, canceled.http_response.text())
            self.assertRegex(self.follow(poller, "/restores", body, "canceled"), r"\(Canceled\) canceled by")
        self.each(test)


if __name__ == "__main__":
    print(resume(*sys.argv[1:]))
