"""Enrolment, renewal and revocation, with openssl and curl as peers."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from lineshaft.cli.files.security import trusting
from lineshaft.core.bus.audit import AuditRecord
from lineshaft.core.errors import Denied, NotFound, Refused
from lineshaft.security.identity import authority as authorities
from lineshaft.security.identity import client
from lineshaft.security.identity.authority import Authority
from lineshaft.security.identity.est import ROOT, Ask, Enrolment
from lineshaft.security.identity.keys import fingerprint, now, read_certificates
from lineshaft.security.identity.listener import Listener
from lineshaft.security.identity.register import Invited, open_register
from lineshaft.security.identity.service import node_files
from lineshaft.security.identity.settings import Settings
from lineshaft.security.identity.tls import (
    check_peer,
    client_context,
    pem,
    server_context,
)


@dataclass
class Running:
    """An authority that listens."""

    url: str
    ours: Authority
    told: list[AuditRecord]
    home: Path

    @property
    def root(self) -> str:
        """Return the fingerprint of its root."""
        return fingerprint(self.ours.root)

    def invite(self, name: str, *hosts: str, days: float = 1) -> str:
        """Return a code for a device."""
        invited = Invited(name, "device", hosts)
        return self.ours.register.invite(invited, "test", now(), days)

    async def enrol(self, name: str, code: str, home: Path) -> Path:
        """Enrol as a machine would."""
        doing = partial(client.enrol, self.url, (name, code), self.root, home)
        return await asyncio.to_thread(doing)


@asynccontextmanager
async def listening(home: Path) -> AsyncIterator[Running]:
    told: list[AuditRecord] = []

    async def tell(record: AuditRecord) -> None:
        told.append(record)

    with open_register(home) as register:
        ours = Authority(home, "Osaka works", register)
        files = node_files(home, ours, Settings())
        enrolment = Enrolment(ours, Settings(), tell)
        context = server_context(files, [ours.certificate, *ours.trusted])
        server = await Listener(enrolment.answer).listen("127.0.0.1", 0, context)
        async with server:
            port = server.sockets[0].getsockname()[1]
            yield Running(f"https://localhost:{port}", ours, told, home)


async def run(*words: str | Path, at: Path, given: bytes = b"") -> tuple[int, bytes]:
    process = await asyncio.create_subprocess_exec(
        *map(str, words),
        cwd=at,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = await process.communicate(given)
    return process.returncode or 0, said


needs_peers = pytest.mark.skipif(
    not (shutil.which("openssl") and shutil.which("curl")),
    reason="openssl and curl are the independent peers of these tests",
)


async def test_a_machine_enrols_renews_and_is_refused_once_it_is_revoked(
    tmp_path: Path,
) -> None:
    async with listening(tmp_path / "authority") as plant:
        home = tmp_path / "machine"
        file = await plant.enrol("press-7", plant.invite("press-7"), home)
        first = read_certificates(file)[0]
        for name in ("key.pem",):
            assert (home / name).stat().st_mode & 0o777 == 0o600
        assert "urn:lineshaft:Osaka-works:device:press-7" in str(first.extensions)
        await asyncio.to_thread(client.renew, plant.url, home)
        second = read_certificates(file)[0]
        assert second.serial_number != first.serial_number
        assert second.public_key() != first.public_key()
        plant.ours.register.revoke("press-7", "keyCompromise", now())
        with pytest.raises(Denied):
            await asyncio.to_thread(client.renew, plant.url, home)
        assert read_certificates(file)[0] == second
    kinds = [record.kind for record in plant.told]
    assert kinds == ["identity.enrolled", "identity.renewed", "identity.refused"]
    assert plant.told[0].who == "press-7"


async def test_a_code_works_once_for_its_name_and_in_time(tmp_path: Path) -> None:
    async with listening(tmp_path / "authority") as plant:
        code = plant.invite("press-7")
        with pytest.raises(Denied, match="could not prove"):
            await plant.enrol("press-8", code, tmp_path / "other")
        await plant.enrol("press-7", code, tmp_path / "first")
        with pytest.raises(Denied):
            await plant.enrol("press-7", code, tmp_path / "again")
        late = plant.invite("press-9", days=-1)
        with pytest.raises(Denied):
            await plant.enrol("press-9", late, tmp_path / "late")
        assert not (tmp_path / "late" / "certificate.pem").exists()


async def test_guessing_codes_becomes_slow(tmp_path: Path) -> None:
    async with listening(tmp_path / "authority") as plant:
        for guess in range(6):
            with pytest.raises((Denied, Refused)) as said:
                await plant.enrol("press-7", f"guess{guess}", tmp_path / str(guess))
        assert "wait" in str(said.value)


async def test_a_plant_with_another_fingerprint_is_not_trusted(tmp_path: Path) -> None:
    async with (
        listening(tmp_path / "a") as plant,
        listening(tmp_path / "b") as other,
    ):
        doing = partial(
            client.enrol, other.url, ("x", "code"), plant.root, tmp_path / "machine"
        )
        with pytest.raises(Denied, match="is not the plant"):
            await asyncio.to_thread(doing)
        # Enrolled at one, it is nobody at the other.
        home = tmp_path / "m"
        await plant.enrol("press-7", plant.invite("press-7"), home)
        with pytest.raises((Denied, Refused)):
            await asyncio.to_thread(client.renew, other.url, home)


async def test_a_lost_authority_is_replaced_and_machines_move_over(
    tmp_path: Path,
) -> None:
    home = tmp_path / "authority"
    async with listening(home) as plant:
        machine = tmp_path / "machine"
        await plant.enrol("press-7", plant.invite("press-7"), machine)
        before = plant.root
    authorities.replace(home, "Osaka works")
    (home / "node.pem").unlink()
    async with listening(home) as plant:
        assert plant.root != before
        assert {fingerprint(each) for each in plant.ours.trusted} == {
            before, plant.root,
        }  # fmt: skip
        # It enrols anew with a code: what the old key signed proves nothing now.
        fresh = tmp_path / "fresh"
        await plant.enrol("press-7", plant.invite("press-7"), fresh)
        assert (fresh / "certificate.pem").exists()


CURL = ("curl", "-sS", "--noproxy", "*", "--tlsv1.3", "--cacert", "root.pem")
PKCS10 = ("-H", "Content-Type: application/pkcs10")
TO_PEM = "openssl base64 -d -in p7 | openssl pkcs7 -inform DER -print_certs -out m.pem"
OCSP = (
    *("openssl", "ocsp", "-issuer", "issuing.pem", "-cert", "m.pem", "-CAfile"),
    *("root.pem", "-verify_other", "issuing.pem", "-trust_other", "-no_nonce"),
)
P_256 = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
CRL = (
    "openssl crl -inform DER -in r.der -out r.pem && openssl verify -crl_check "
    "-CAfile root.pem -untrusted issuing.pem -CRLfile r.pem m.pem"
)


async def by_openssl(plant: Running, at: Path, kind: tuple[str, ...]) -> bytes:
    """Enrol with a key that openssl makes, over curl; return status and type."""
    at.mkdir()
    (at / "root.pem").write_text(pem([plant.ours.root]))
    (at / "issuing.pem").write_text(pem([plant.ours.certificate]))
    request = ("openssl", "req", "-new", "-newkey", *kind, "-nodes", "-keyout", "m.key")
    made = await run(*request, "-subj", "/CN=oven-1", "-out", "m.csr", at=at)
    assert made[0] == 0, made
    await run(
        "openssl", "req", "-in", "m.csr", "-outform", "DER", "-out", "m.der", at=at
    )
    await run("openssl", "base64", "-in", "m.der", "-out", "m.b64", at=at)
    login = f"oven-1:{plant.invite('oven-1', 'oven-1.local')}"
    est = f"{plant.url}/.well-known/est/simpleenroll"
    sent = ("-u", login, "--data-binary", "@m.b64", *PKCS10, est, "-o", "p7")
    code, said = await run(*CURL, *sent, "-w", "%{http_code} %{content_type}", at=at)
    assert code == 0, said
    return said


@needs_peers
async def test_openssl_and_curl_enrol_and_believe_what_they_get(tmp_path: Path) -> None:
    async with listening(tmp_path / "authority") as plant:
        at = tmp_path / "peer"
        said = await by_openssl(
            plant, at, ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
        )
        assert said == b"200 application/pkcs7-mime; smime-type=certs-only"
        await run("sh", "-c", TO_PEM, at=at)
        verify = ("openssl", "verify", "-CAfile", "root.pem", "-untrusted")
        strictly = ("issuing.pem", "-purpose", "sslclient", "-x509_strict", "m.pem")
        assert await run(*verify, *strictly, at=at) == (0, b"m.pem: OK\n")
        shown = await run("openssl", "x509", "-in", "m.pem", "-noout", "-text", at=at)
        assert b"DNS:oven-1.local" in shown[1]
        _, coded = await run(*CURL, f"{plant.url}/.well-known/est/csrattrs", at=at)
        parse = "openssl base64 -d -A | openssl asn1parse -inform DER"
        attributes = (await run("sh", "-c", parse, at=at, given=coded))[1]
        assert b"prime256v1" in attributes
        assert b"ecdsa-with-SHA256" in attributes
        older = ("openssl", "s_client", "-connect", plant.url[8:], "-tls1_2")
        assert (await run(*older, at=at))[0] != 0
        weak = await by_openssl(plant, tmp_path / "weak", ("rsa:1024",))
        assert weak.startswith(b"400")
        assert b"RSA of 1024 bits" in (tmp_path / "weak" / "p7").read_bytes()


@needs_peers
async def test_openssl_sees_a_revocation_at_once(tmp_path: Path) -> None:
    async with listening(tmp_path / "authority") as plant:
        at = tmp_path / "peer"
        await by_openssl(plant, at, P_256)
        await run("sh", "-c", TO_PEM, at=at)
        await run(*OCSP, "-reqout", "q.der", at=at)
        send = (*CURL, "--data-binary", "@q.der", f"{plant.url}/ocsp", "-o", "a.der")
        mine = ("--cert", "m.pem", "--key", "m.key", "--data-binary", "@m.b64", *PKCS10)
        renew = (*CURL, *mine, f"{plant.url}/.well-known/est/simplereenroll")
        status = ("-o", "/dev/null", "-w", "%{http_code}")
        await run(*send, at=at)
        assert b"m.pem: good" in (await run(*OCSP, "-respin", "a.der", at=at))[1]
        assert await run(*renew, *status, at=at) == (0, b"200")
        plant.ours.register.revoke("oven-1", "keyCompromise", now())
        await run(*send, at=at)
        said = (await run(*OCSP, "-respin", "a.der", at=at))[1]
        assert b"m.pem: revoked" in said
        assert b"keyCompromise" in said
        await run(*CURL, f"{plant.url}/crl", "-o", "r.der", at=at)
        assert b"certificate revoked" in (await run("sh", "-c", CRL, at=at))[1]
        assert await run(*renew, *status, at=at) == (0, b"401")


async def test_nonsense_ends_with_an_answer_and_never_with_a_traceback(
    tmp_path: Path,
) -> None:
    async with listening(tmp_path / "authority") as plant:
        context = client_context([plant.ours.root])
        host, port = plant.url[8:].split(":")
        for said in (
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\x00\xff nonsense\r\n\r\n",
            b"POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\n"
            b"Content-Length: 99999999\r\n\r\n" + b"x" * 70_000,
            b"POST /ocsp HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        ):
            reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
            writer.write(said)
            answer = await asyncio.wait_for(reader.read(100), 30)
            assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 200"))
            writer.close()


async def test_a_clock_that_is_off_by_a_day_gets_a_clear_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening(tmp_path / "authority") as plant:
        home = tmp_path / "machine"
        await plant.enrol("press-7", plant.invite("press-7"), home)
        shown = read_certificates(home / "certificate.pem")[0]
        later = now() + timedelta(days=366)
        monkeypatch.setattr("lineshaft.security.identity.tls.now", lambda: later)
        der = shown.public_bytes(Encoding.DER)
        with pytest.raises(Denied, match="does not count"):
            check_peer(der, plant.ours.chain, plant.ours.register)
        with pytest.raises(NotFound):
            plant.ours.register.revoke("nobody", "unspecified", now())


@settings(max_examples=60, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    path=st.sampled_from(
        [f"{ROOT}{each}" for each in ("cacerts", "simpleenroll", "simplereenroll", "x")]
        + ["/ocsp", "/crl", "/"]
    ),
    body=st.binary(max_size=200) | st.just(b"MIIB"),
    login=st.text(max_size=20) | st.just("Basic eDp5"),
    shown=st.none() | st.binary(max_size=100),
    media=st.sampled_from(["application/pkcs10", "text/plain", ""]),
)
async def test_whatever_is_asked_is_answered(
    tmp_path_factory: pytest.TempPathFactory, **asked: Any
) -> None:
    home = tmp_path_factory.mktemp("authority")

    async def tell(_: AuditRecord) -> None: ...

    with open_register(home) as register:
        ours = Authority(home, "Osaka works", register)
        headers = {"content-type": asked["media"], "authorization": asked["login"]}
        ask = Ask(
            asked["method"], asked["path"], headers, asked["body"], "10.0.0.1",
            asked["shown"],
        )  # fmt: skip
        reply = await Enrolment(ours, Settings(), tell).answer(ask)
    assert reply.status in (200, 400, 401, 404, 405, 429)
    assert b"Traceback" not in reply.body


@needs_peers
async def test_the_application_certificate_for_opc_ua_is_what_its_standard_asks_for(
    tmp_path: Path,
) -> None:
    (tmp_path / "lineshaft.toml").write_text('[plant]\nname = "Works"\n', "utf-8")
    place = trusting.Place(tmp_path / "lineshaft.toml", tmp_path / "data")
    trusting.opcua(place, tmp_path / "pki", ("localhost",), as_json=True)
    at = tmp_path / "pki"
    for name in ("root", "issuing"):
        file = f"issuers/certs/{name}.der"
        made = ("openssl", "x509", "-inform", "DER", "-in", file, "-out", f"{name}.pem")
        assert (await run(*made, at=at))[0] == 0
    verify = ("openssl", "verify", "-CAfile", "root.pem", "-untrusted", "issuing.pem")
    said = await run(*verify, "-x509_strict", "lineshaft.pem", at=at)
    assert said == (0, b"lineshaft.pem: OK\n")
    shown = ("openssl", "x509", "-in", "lineshaft.pem", "-noout", "-text")
    text = (await run(*shown, at=at))[1].decode()
    assert "Public-Key: (3072 bit)" in text
    assert "Key Encipherment, Data Encipherment" in text
    # Peers compare the first URI with the application URI that we tell.
    names = text.partition("Subject Alternative Name")[2]
    assert names.partition("URI:")[2].startswith("urn:lineshaft:Works:app:lineshaft")
    assert (at / "lineshaft.key").stat().st_mode & 0o777 == 0o600
    assert (at / "issuers" / "crl" / "issuing.crl").exists()
