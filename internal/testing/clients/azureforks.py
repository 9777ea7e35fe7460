"""Azure CLI, unchanged, without most of its start, which takes a second of a processor: it is imported once, and each command runs in
a fork of this process.

    azureforks.py SOCKET [MODULE...]    imports them too, says "ready", and serves until it is terminated; the file az beside the socket
                                        is a program for the PATH
"""

import contextlib
import importlib
import json
import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path

CLIENT = """#!{python} -IS
import array, json, os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect({path!r})
said = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
s.sendmsg([len(said).to_bytes(4, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
s.sendall(said)
sys.exit((s.recv(1) or b"\\x01")[0])
"""
# MODULES are what many commands import.
MODULES = [
    "azure.cli.core.telemetry", "azure.cli.core.intercept_survey", "azure.cli.core.commands.client_factory", "azure.cli.core.profiles",
    "azure.cli.core.auth.identity", "azure.cli.core.auth.msal_credentials", "azure.cli.core.extension", "azure.cli.core.azlogging",
    "azure.cli.core.parser", "azure.cli.core._help", "azure.cli.core._output", "azure.cli.core.command_recommender",
    "azure.cli.core.sdk.policies", "requests", "msal",
    "azure.cli.command_modules.role.custom", "azure.cli.command_modules.role.commands", "azure.cli.command_modules.role._params",
    "azure.cli.command_modules.keyvault.custom", "azure.cli.command_modules.keyvault.commands",
    "azure.cli.command_modules.keyvault._params", "azure.cli.command_modules.keyvault._client_factory",
    "azure.cli.command_modules.util.custom", "azure.cli.command_modules.util.commands", "azure.cli.command_modules.util._params",
    "azure.mgmt.authorization", "azure.keyvault.administration", "azure.mgmt.keyvault",
]


def command(answer):
    """Runs a command in this process, a fork."""
    said, fds, *_ = socket.recv_fds(answer, 4, 3)
    size, text = int.from_bytes(said, "big"), b""
    while len(text) < size:
        if not (part := answer.recv(size - len(text))):
            os._exit(1)
        text += part
    words, environment, folder = json.loads(text)
    for n, fd in enumerate(fds):
        os.dup2(fd, n)
        os.close(fd)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["az", *words]
    code = 1
    try:
        runpy.run_module("azure.cli", run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        answer.sendall(bytes([code]))
        os._exit(code)


def main(path, *modules):
    for name in [*MODULES, *modules]:
        importlib.import_module(name)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    program = os.path.join(os.path.dirname(path), "az")
    with open(program, "w", encoding="utf-8") as file:
        file.write(CLIENT.format(python=sys.executable, path=path))
    os.chmod(program, 0o755)
    print("ready", flush=True)
    while True:
        answer, _ = listener.accept()
        if os.fork() == 0:
            command(answer)
        answer.close()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def started(folder, environment, modules=()):
    """Serves in a process of the Python of Azure CLI, for the file az in the folder, and returns what ends that."""
    here = Path(__file__)
    words = [here.parent / "azurecli" / "bin" / "python", here, Path(folder) / "forks", *modules]
    forks = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)

    def end():
        forks.terminate()
        forks.communicate()

    assert forks.stdout.readline() == "ready\n"
    return end


if __name__ == "__main__":
    main(*sys.argv[1:])
