#!/usr/bin/env bash
# "az keyvault key restore" cannot restore a key out of a Managed HSM's backup: the command calls a method of the Python client,
# begin_selective_restore, that the client which it installs has no more, and ends before it sends anything. Seen with azure-cli
# 2.91.0 and azure-keyvault-administration 4.8.0b2, as "'KeyVaultBackupClient' object has no attribute 'begin_selective_restore'".
# "az keyvault restore start" of the same version does restore the key, by --key-name, as the tests with this project's simulator show.
# This calls the function of the command with a real client and no Azure, since the command itself wants a login first.
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cd "$here"
export AZURE_CONFIG_DIR=$here/azure
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile azure-cli==2.91.0 azure-keyvault-administration==4.8.0b2
cat > finding.py <<'PYTHON'
from types import SimpleNamespace

from azure.cli.command_modules.keyvault import custom
from azure.cli.core.mock import DummyCli
from azure.keyvault.administration import KeyVaultBackupClient

HSM = "https://contoso.managedhsm.invalid"
client = KeyVaultBackupClient(HSM, SimpleNamespace(get_token=None), verify_challenge_resource=False)
custom.get_client_factory = lambda resource: lambda cli, arguments: client  # in place of one that wants a login
try:
    custom.restore_key(
        SimpleNamespace(cli_ctx=DummyCli()), SimpleNamespace(vault_url=HSM), name="key", storage_account_name="contoso",
        blob_container_name="backups", token="se=2030-01-01", backup_folder="mhsm-contoso-2026010101010101")
except Exception as error:
    print(error)
PYTHON
said=$(venv/bin/python finding.py)
printf '%s\n' "$said"
[ "$said" = "'KeyVaultBackupClient' object has no attribute 'begin_selective_restore'" ] || { echo "the behaviour has changed" >&2; exit 1; }
