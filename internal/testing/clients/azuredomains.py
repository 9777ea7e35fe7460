"""Security domains by Azure CLI, unchanged, without a sign-in and without the network: see "make clients".

    azuredomains.py open    reads cases from stdin, and says which of them Azure CLI opens for a restore
    azuredomains.py make    writes security domains into this folder, encrypted by Azure CLI's own code, and says which
"""

import base64
import contextlib
import datetime
import hashlib
import io
import json
import os
import secrets
import sys
import tempfile
from pathlib import Path

from azure.cli.command_modules.keyvault.security_domain.jwe import JWE
from azure.cli.command_modules.keyvault.security_domain.sp800_108 import KDF
from azure.cli.core import get_default_cli
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import rsa


def certified(name):
    """Returns a key with its certificate."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    begin = datetime.datetime(2021, 1, 1)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(begin)
    return key, builder.not_valid_after(begin + datetime.timedelta(days=365)).sign(key, hashes.SHA256())


def exchange():
    """Writes the certificate of an exchange key, and returns its file."""
    Path("exchange.pem").write_bytes(certified("exchange")[1].public_bytes(pem.Encoding.PEM))
    return "exchange.pem"


@contextlib.contextmanager
def said():
    """Collects what is written to stderr meanwhile, by loggers that know it already too."""
    with tempfile.TemporaryFile("w+") as file:
        before = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield lambda: (sys.stderr.flush(), file.seek(0), file.read())[2][:300]
        finally:
            os.dup2(before, 2)
            os.close(before)


def opened(case, key, blob):
    """Returns the case with what Azure CLI answers."""
    words = ["keyvault", "security-domain", "restore-blob", "--sd-file", case["file"], "--sd-exchange-key", key,
             "--sd-file-restore-blob", blob, "--sd-wrapping-keys", *case["keys"]]
    if case.get("passwords"):
        words += ["--passwords", *case["passwords"]]
    code, answer = 1, io.StringIO()
    with said() as read:
        try:
            code = get_default_cli().invoke(words, out_file=answer)
        except SystemExit as end:
            code = end.code
        text = read()
    return {**case, "opens": code == 0 and os.path.exists(blob), "said": text}


def shares(secret, required, count):
    """Splits a secret: a polynomial over GF(257) for each byte, and for each holder a word of each, little-endian."""
    polynomials = [[byte, *(secrets.randbelow(257) for _ in range(required - 1))] for byte in secret]
    return [b"".join((x << 9 | sum(c * x**i for i, c in enumerate(p)) % 257).to_bytes(2, "little") for p in polynomials)
            for x in range(1, count + 1)]


def domain(required, holders):
    """Returns a security domain for the certificates, encrypted by Azure CLI's own code."""
    master, data, keys = secrets.token_bytes(32), [], []
    for tag in ("hsm_backup", "base_enclave_backup", "partition_enclave_backup"):
        part = JWE()
        part.encrypt_using_bytes(KDF.sp800_108(bytearray(master), tag, "", 512), secrets.token_bytes(1000), "A256CBC-HS512", kid=tag)
        data.append({"compact_jwe": part.encode_compact(), "tag": tag})
    for share, cert in zip(shares(master, required, len(holders)), holders):
        wrapped = JWE()
        wrapped.encrypt_using_cert(cert, share)
        thumbprint = hashlib.sha256(cert.public_bytes(pem.Encoding.DER)).digest()
        keys.append({"enc_key": wrapped.encode_compact(), "x5t_256": base64.urlsafe_b64encode(thumbprint).decode().rstrip("=")})
    return {"EncData": {"data": data, "kdf": "sp108_kdf"},
            "SharedKeys": {"enc_shares": keys, "key_algorithm": "shamir_share", "required": required}, "version": 2}


def make(password):
    """Writes key files in the forms of the library, and security domains of them; returns their names with a quorum of keys."""
    best = pem.BestAvailableEncryption(password.encode())
    forms = [(pem.PrivateFormat.PKCS8, best), (pem.PrivateFormat.TraditionalOpenSSL, best),
             (pem.PrivateFormat.PKCS8, pem.NoEncryption()), (pem.PrivateFormat.TraditionalOpenSSL, pem.NoEncryption()),
             (pem.PrivateFormat.PKCS8, best)]
    certificates, files, locked = [], [], []
    for n, (form, protection) in enumerate(forms):
        key, cert = certified(f"holder {n}")
        files.append(f"holder{n}.key")
        Path(files[-1]).write_bytes(key.private_bytes(pem.Encoding.PEM, form, protection))
        Path(files[-1]).chmod(0o600)
        Path(f"holder{n}.cer").write_bytes(cert.public_bytes(pem.Encoding.PEM))
        certificates.append(cert)
        locked.append(not isinstance(protection, pem.NoEncryption))
    made = []
    for required in (2, 3, 5):
        name = f"domain{required}.json"
        Path(name).write_text(json.dumps(domain(required, certificates)))
        chosen = sorted(range(len(files)), key=lambda n: (not locked[n], n))[:required]
        made.append({"file": name, "keys": [files[n] for n in chosen]})
        case = {"file": name, "keys": made[-1]["keys"], "passwords": [password for n in chosen if locked[n]]}
        answer = opened(case, exchange(), "blob.json" if required == 2 else name + ".blob")
        assert answer["opens"], answer
    return made


def main(mode):
    """Answers on stdout."""
    asked = json.load(sys.stdin)
    if mode == "make":
        answer = make(asked["password"])
    else:
        key = exchange()
        answer = [opened(case, key, f"blob{n}") for n, case in enumerate(asked)]
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
