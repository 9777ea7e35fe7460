"""The script of "lifeboat plan roles -o az", run with Azure CLI, unchanged, against the local stand-ins: see "make clients"."""

import json
import os
import re
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import azureforks

BIN = Path(__file__).parent / "azurecli" / "bin"
KNOWN = json.loads(os.environ["CLIENTS_ROLES"])
APP = KNOWN["identities"]["app"]
LIFEBOAT = {**os.environ, "LIFEBOAT_URL": KNOWN["url"], "LIFEBOAT_KEY": KNOWN["key"]}
CONFIG = tempfile.TemporaryDirectory()
GIVER = {
    **os.environ, **KNOWN["giver"], "AZURE_CONFIG_DIR": CONFIG.name, "AZURE_CORE_COLLECT_TELEMETRY": "no",
    "PATH": f"{CONFIG.name}:{os.environ['PATH']}"}


def run(words, environment, timeout=300):
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=timeout, check=False)


def script(name, *words):
    """Returns the script that gives the roles of a plan to the app."""
    done = run([KNOWN["program"], "plan", "roles", KNOWN["files"][name], "--principal", APP, "-o", "az", *words], os.environ)
    assert done.returncode == 0, done
    return done.stdout


def check():
    """Returns the exit code of the check by the app's own identity, and what it found amiss."""
    done = run([KNOWN["program"], "check", "-o", "json"], LIFEBOAT)
    assert done.stdout, done
    found = json.loads(done.stdout)
    return done.returncode, [f for f in found["findings"] if f["result"] != "warning"]


def read(url, resource):
    """Asks as the giver, and returns the list of the answer."""
    query = urllib.parse.urlencode({"resource": resource, "api-version": "2019-08-01"})
    ask = urllib.request.Request(GIVER["IDENTITY_ENDPOINT"] + "?" + query, headers={"X-IDENTITY-HEADER": GIVER["IDENTITY_HEADER"]})
    with urllib.request.urlopen(ask, timeout=60) as answer:
        token = json.load(answer)["access_token"]
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": "Bearer " + token}), timeout=60) as answer:
        return json.load(answer)["value"]


def assigned():
    """Returns the assignments of the identities of the plan: by their names, whose they are, the role and the scope."""
    names = {id: name for name, id in KNOWN["identities"].items()}
    found, hsm = {}, f"https://{KNOWN['hsm']}.managedhsm.azure.net"
    for url, resource in [
            (f"https://management.azure.com{s}/providers/Microsoft.Authorization/roleAssignments?api-version=2022-04-01",
             "https://management.azure.com/") for s in KNOWN["subscriptions"]] + [
            (hsm + "///providers/Microsoft.Authorization/roleAssignments?api-version=7.5", "https://managedhsm.azure.net")]:
        for a in read(url, resource):
            p = a["properties"]
            if p["principalId"] in names:
                scope = KNOWN["hsm"] + p["scope"] if "managedhsm" in url else p["scope"]
                found[a["name"]] = (names[p["principalId"]], p["roleDefinitionId"].rsplit("/", 1)[1], scope)
    return found


class Roles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        done = run([BIN / "az", "login", "--identity"], GIVER)
        assert done.returncode == 0, done.stderr
        assert ["/subscriptions/" + a["id"] for a in json.loads(done.stdout)] == KNOWN["subscriptions"], done.stdout

        cls.addClassCleanup(CONFIG.cleanup)
        cls.addClassCleanup(azureforks.started(CONFIG.name, GIVER))

    def runs(self, text, shell, code=0):
        """Runs a script, and returns what it wrote."""
        path = Path(CONFIG.name) / "roles.sh"
        path.write_text(text)
        done = run([shell, path], GIVER, 600)
        self.assertEqual(done.returncode, code, done)
        return done.stdout + done.stderr

    def test_script(self):
        """The script turns the check from refused to ok, and can be run again; that of an edit takes away what only the old plan needs."""
        needed = script("plan")
        begin, *gives = re.split(r"(?m)^(?=give |local_give )", needed)
        functions = begin.split("\n\n# ")[0]
        whose = [line.rsplit(" # ", 1)[1].split(": ")[0] for line in gives if "$(identity " not in line]
        code, missing = check()
        self.assertEqual(code, 1)
        self.assertEqual(sorted(f["what"].split(" on ")[0] for f in missing), sorted("the role " + role for role in whose))
        self.assertEqual({f["error"]["code"] for f in missing}, {"RoleMissing", "AuthorizationFailed"})
        for n, give in enumerate(gives[:3], 1):
            self.runs((begin if n == 1 else functions + "\n") + give, "dash")
            code, left = check()
            self.assertEqual((code, len(missing) - len(left)), (1, n), left)
        self.runs("\n".join([functions, *gives[3:]]), "dash")
        self.assertEqual(check(), (0, []))
        given = assigned()
        self.assertEqual(len(given), len(gives))
        self.runs(needed, "bash")
        self.assertEqual(assigned(), given)

        edit = script("edited", "--was", KNOWN["files"]["plan"])
        self.runs(edit, "bash")
        left = assigned()
        self.assertEqual({}, {name: a for name, a in left.items() if given.get(name) != a})
        both = [line for line in re.split(r"(?m)^(?=give |# |take )", edit) if line.startswith("give ")]
        keeps = sorted(a[1:] for a in left.values() if not any(a[1] in line and a[2] + "'" in line for line in both))
        self.assertEqual(keeps, [("c12c1c16-33a1-487b-954d-41c89c60f349", KNOWN["account"])])  # Reader and Data Access
        self.assertEqual(edit.count("\n# when its last recovery point is gone: take "), len(keeps))
        self.assertEqual(len(left), edit.count("\ngive ") + len(keeps))
        again = [re.search(rf"(?m)^{take} .*", edit)[0] for take in ("take", "local_take")]
        self.runs("\n".join([functions, *again]), "dash")  # none is there any more
        self.assertEqual(assigned(), left)

    def test_no_identity(self):
        """A script says which service lacks its identity, gives nothing to nobody, goes on, and ends with 1."""
        needed = script("without")
        functions, (give,) = needed.split("\n\n# ")[0], re.findall(r"(?m)^give .*identity .*", needed)
        said = self.runs(f"{functions}\n{give}\necho goes on", "dash", 1)
        self.assertRegex(said, f"^goes on\n{KNOWN['without']} does not have that identity\n"
                         "not given at .*: attach that identity to the service, and run this again\nnot all was done: .*\n$")


if __name__ == "__main__":
    unittest.main()
