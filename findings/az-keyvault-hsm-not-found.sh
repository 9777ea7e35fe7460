#!/usr/bin/env bash
# Azure CLI says that a Managed HSM does not exist when it could not look. The commands of "az keyvault" look for the resource group of an
# HSM themselves, if they get none: they list the HSMs of the subscription, and take any error of the list for a list without this HSM. So
# a command without a network says "not found within subscription", in the same words as for a wrong name, and
# "private-endpoint-connection show" calls the right usage incorrect. The same commands say what failed for a vault, or with
# --resource-group. A script that creates what it does not find goes on to create an HSM then. Seen with azure-cli 2.91.0.
# This gives the commands a token from this machine, and a proxy on a port without a listener as their only way to Azure.
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cd "$here"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile azure-cli==2.91.0
cat > finding.py <<'PYTHON'
import json
import os
import socket
import subprocess
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
closed = socket.socket()
closed.bind(("127.0.0.1", 0))  # and never listens, so it refuses
proxy = f"http://127.0.0.1:{closed.getsockname()[1]}"
os.mkdir("azure")
with open("azure/azureProfile.json", "w") as profile:
    json.dump({"subscriptions": [{
        "id": ID, "name": "contoso", "state": "Enabled", "isDefault": True, "tenantId": ID, "environmentName": "AzureCloud",
        "user": {"name": "systemAssignedIdentity", "type": "servicePrincipal", "assignedIdentityInfo": "MSI"}}]}, profile)
environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
environment.update(
    AZURE_CONFIG_DIR=os.path.abspath("azure"), AZURE_CORE_COLLECT_TELEMETRY="no", AZURE_CORE_NO_COLOR="yes",
    IDENTITY_ENDPOINT=f"http://127.0.0.1:{identity.server_port}/", IDENTITY_HEADER="invented",
    HTTPS_PROXY=proxy, HTTP_PROXY=proxy, NO_PROXY="127.0.0.1")
for words in [
        "show --hsm-name contoso", "update-hsm --hsm-name contoso --enable-purge-protection true",
        "private-endpoint-connection show --hsm-name contoso --name link",
        "show --hsm-name contoso --resource-group prod", "show --name contoso", "list --resource-type hsm"]:
    done = subprocess.run(["venv/bin/az", "keyvault", *words.split()], env=environment, capture_output=True, text=True, timeout=300)
    print(words + "\n  " + done.stderr.strip().partition(", NewConnectionError")[0])
PYTHON
said=$(venv/bin/python finding.py)
printf '%s\n' "$said"
[ "$said" = "show --hsm-name contoso
  ERROR: The HSM 'contoso' not found within subscription.
update-hsm --hsm-name contoso --enable-purge-protection true
  ERROR: The HSM 'contoso' not found within subscription.
private-endpoint-connection show --hsm-name contoso --name link
  ERROR: incorrect usage: [--id ID | --name NAME --vault-name NAME | --name NAME --hsm-name NAME]
show --hsm-name contoso --resource-group prod
  ERROR: ('Unable to connect to proxy'
show --name contoso
  ERROR: ('Unable to connect to proxy'
list --resource-type hsm
  ERROR: ('Unable to connect to proxy'" ] || { echo "the behaviour has changed" >&2; exit 1; }
