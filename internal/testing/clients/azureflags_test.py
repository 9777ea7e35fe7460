"""The commands of Azure CLI in the pages, the hints and the scripts, as azcommands finds them. Azure CLI itself reads each, with what it
checks before it runs one; no command is run, and no other machine is reached: see "make clients"."""

import contextlib
import io
import json
import os
import pkgutil
import re
import socket
import tempfile
import unittest
from pathlib import Path
from unittest import mock

CONFIG = tempfile.TemporaryDirectory()
os.environ.update(AZURE_CONFIG_DIR=CONFIG.name, AZURE_CORE_COLLECT_TELEMETRY="no", AZURE_CORE_NO_COLOR="yes")

from azure.cli.core import MainCommandsLoader, get_default_cli  # noqa: E402  it reads the environment
from azure.cli.core.commands import AzCliCommandInvoker  # noqa: E402
from azure.cli.core.parser import AzCliCommandParser  # noqa: E402

COMMANDS = [json.loads(line) for line in (Path(__file__).parent / "azcommands.jsonl").read_text().splitlines()]
SUBSCRIPTION = "0c0ffee0-0000-4000-8000-000000000001"
ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g/providers/Microsoft.ApiManagement/service/contoso"
# HOLE is a word that a person, the shell or the program puts something in for. FORMS has what a flag takes there, if that has a form.
HOLE = re.compile(r"[A-Z]+|%(?:\[\d\])?[sq]|\$\w+|\$[({].*[)}]")
FORMS = {"--ids": ID, "--query": "id", "--resource ID": ID}
NETWORK = mock.Mock(side_effect=OSError("there is no network in this test"))


class Refused(Exception):
    """Says what Azure CLI says against a command."""


def refuse(_, message):
    raise Refused(message)


def filled(words):
    """Returns the words with something in the holes."""
    return [FORMS.get(before if HOLE.fullmatch(word) else None) or FORMS.get(f"{before} {word}") or word
            for before, word in zip([None, *words], words)]


def refusal(words):
    """Returns what Azure CLI says against the command; nothing, if it would run it."""
    cli = get_default_cli()
    cli.invocation = cli.invocation_cls(
        cli_ctx=cli, parser_cls=cli.parser_cls, commands_loader_cls=cli.commands_loader_cls, help_cls=cli.help_cls)
    said = io.StringIO()
    NETWORK.reset_mock()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            cli.invocation.execute(filled(words))
        return None
    except Refused as why:
        return str(why)
    except (Exception, SystemExit) as why:  # pylint: disable=broad-except
        text = said.getvalue() or str(why)
        # All that is left is to ask Azure. For a command that it does not know, it asks which extension has it.
        return None if NETWORK.called and "not recognized" not in text else text


def setUpModule():
    """Signs in as an identity that no machine has, and lets Azure CLI read a command whole. It looks for a command that its index does
    not have in no other module: that takes it ten seconds."""
    user = {"name": "systemAssignedIdentity", "type": "servicePrincipal", "assignedIdentityInfo": "MSI"}
    (Path(CONFIG.name) / "azureProfile.json").write_text(json.dumps({"subscriptions": [{
        "id": SUBSCRIPTION, "name": "contoso", "state": "Enabled", "isDefault": True, "tenantId": SUBSCRIPTION,
        "homeTenantId": SUBSCRIPTION, "managedByTenants": [], "environmentName": "AzureCloud", "user": user}]}))
    modules = pkgutil.iter_modules
    for owner, name, other in [
            (AzCliCommandParser, "error", refuse), (AzCliCommandInvoker, "_run_job", lambda *_: []),
            (AzCliCommandInvoker, "resolve_confirmation", lambda *_: None), (MainCommandsLoader, "_cache_help_index", lambda *_: None),
            (pkgutil, "iter_modules", lambda path=None, prefix="": [] if "command_modules" in str(path) else modules(path, prefix)),
            (socket.socket, "connect", NETWORK), (socket, "getaddrinfo", NETWORK)]:
        replaced = mock.patch.object(owner, name, other)
        replaced.start()
        unittest.addModuleCleanup(replaced.stop)


def tearDownModule():
    CONFIG.cleanup()


class Flags(unittest.TestCase):
    def test_commands(self):
        """Azure CLI takes each command. A sentence may name one without its flags."""
        self.assertGreater(len(COMMANDS), 150)
        said = {}
        for command in COMMANDS:
            words = command["words"]
            if (text := " ".join(words)) not in said:
                said[text] = refusal(words)
            named = command["prose"] and not any(word.startswith("-") for word in words)
            with self.subTest(command["place"]):
                if said[text] and not (named and "not recognized" not in said[text]):
                    self.fail(f"az {text}: {said[text]}")

    def test_mistakes(self):
        """Azure CLI refuses a command that it does not know, an unknown flag, a flag too few, and a value that is none."""
        for words, why in {
                "storage blob lst": "'lst' is misspelled or not recognized",
                "monitor scheduled-query create -g GROUP": "'scheduled-query' is misspelled or not recognized",  # an extension has it
                "role assignment list --asignee PRINCIPAL": "unrecognized arguments: --asignee",
                "apim show --ids TARGET": "the following arguments are required: --resource-group/-g, --name/-n",
                "functionapp show -g GROUP": "(--name | --ids) are required",
                "storage account show --ids contoso": "invalid resource ID: contoso",
                "storage blob upload --auth-mode login --account-name ACCOUNT -f plan.yaml": "container",
                "lock create --name keep --lock-type Delete -g GROUP": "'Delete' is not a valid value for '--lock-type'",
                "account list --query [.id": "invalid jmespath_type value",
                "lock list --resource": "expected one argument",
                "lock list --resource contoso": "--resource is not a valid resource ID"}.items():
            with self.subTest(words):
                self.assertIn(why, refusal(words.split()) or "it takes it")


if __name__ == "__main__":
    unittest.main()
