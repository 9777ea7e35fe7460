#!/usr/bin/env bash
# "az keyvault create" sends the retention days of a Managed HSM as text, "softDeleteRetentionInDays": "90", where the
# specification of Azure's API has an integer. A service or a policy that wants a number may refuse the command that makes the HSM.
# Seen with azure-cli 2.91.0.
# This runs the command with a token from this machine, and prints the body that the client hands to its transport, which sends nothing.
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cd "$here"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile azure-cli==2.91.0
cat > finding.py <<'PYTHON'
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

ID = "00000000-0000-4000-8000-000000000001"


class Identity(BaseHTTPRequestHandler):
    """Gives tokens, as the endpoint of a managed identity in App Service does."""

    def do_GET(self):
        token = {"access_token": "invented", "expires_on": str(int(time.time()) + 3600), "resource": "any", "token_type": "Bearer"}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(token).encode())

    def log_message(self, *_):
        pass


identity = HTTPServer(("127.0.0.1", 0), Identity)
threading.Thread(target=identity.serve_forever, daemon=True).start()
os.mkdir("azure")
with open("azure/azureProfile.json", "w") as profile:
    json.dump({"subscriptions": [{
        "id": ID, "name": "contoso", "state": "Enabled", "isDefault": True, "tenantId": ID, "environmentName": "AzureCloud",
        "user": {"name": "systemAssignedIdentity", "type": "servicePrincipal", "assignedIdentityInfo": "MSI"}}]}, profile)
os.environ.update(
    AZURE_CONFIG_DIR=os.path.abspath("azure"), AZURE_CORE_COLLECT_TELEMETRY="no", AZURE_CORE_NO_COLOR="yes",
    IDENTITY_ENDPOINT=f"http://127.0.0.1:{identity.server_port}/", IDENTITY_HEADER="invented", NO_PROXY="127.0.0.1")

from azure.cli.core import get_default_cli
from azure.core.pipeline.transport import RequestsTransport


class Sent(BaseException):
    pass


def send(_, request, **__):
    if request.method == "PUT":
        properties = json.loads(request.body)["properties"]
        print(json.dumps({"softDeleteRetentionInDays": properties["softDeleteRetentionInDays"]}), flush=True)
    raise Sent(request.method + " " + request.url)


RequestsTransport.send = send
try:
    get_default_cli().invoke([
        "keyvault", "create", "--hsm-name", "contoso", "--resource-group", "prod", "--location", "westeurope",
        "--administrators", ID, "--retention-days", "90"])
except Sent:
    pass
PYTHON
said=$(venv/bin/python finding.py)
printf '%s\n' "$said"
[ "$said" = '{"softDeleteRetentionInDays": "90"}' ] || { echo "the behaviour has changed" >&2; exit 1; }
