"""Passkeys (WebAuthn level 2, W3C): a key that never leaves its device."""

import msgspec
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from lineshaft.core.errors import Denied, Refused
from lineshaft.security.people.pending import Pending
from lineshaft.security.people.store import Store


class Site(msgspec.Struct, frozen=True):
    """Where the page is that asks: a passkey works there and nowhere else."""

    host: str
    """The name in the address; an address of digits has no passkeys."""
    origin: str
    """Scheme, name and port, as a browser tells it."""


class Passkeys:
    """The passkeys of a plant."""

    def __init__(self, store: Store, plant: str) -> None:
        self._store = store
        self._plant = plant
        self._asked: Pending[tuple[str, Site]] = Pending()

    def offer(self, account: str, handle: bytes, site: Site, now_s: float) -> str:
        """Return the JSON with which a page asks its browser for a new passkey."""
        if site.host.replace(".", "").isdigit() or ":" in site.host:
            raise Refused(
                f"a browser makes no passkey for the address {site.host}; open the "
                "page under a name, such as http://localhost with its port"
            )
        rows = self._store.rows("SELECT id FROM passkeys WHERE account = ?", account)
        options = generate_registration_options(
            rp_id=site.host,
            rp_name=self._plant,
            user_name=account,
            user_id=handle,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[
                PublicKeyCredentialDescriptor(row["id"]) for row in rows
            ],
        )
        self._asked.keep(options.challenge.hex(), (account, site), now_s)
        return options_to_json(options)

    def keep(self, account: str, said: str, label: str, now_s: float) -> None:
        """Keep the passkey that a browser made; `Refused` if it was not asked for."""
        challenge = _challenge(said)
        asked = self._asked.take(challenge.hex(), now_s)
        if asked is None or asked[0] != account:
            raise Refused("this passkey was not asked for, or too long ago; begin anew")
        site = asked[1]
        try:
            made = verify_registration_response(
                credential=said,
                expected_challenge=challenge,
                expected_rp_id=site.host,
                expected_origin=site.origin,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError) as error:
            raise Refused("the browser's answer is no passkey of this page") from error
        kept = self._store.change(
            "INSERT OR IGNORE INTO passkeys VALUES (?, ?, ?, ?, ?, ?)",
            made.credential_id, account, made.credential_public_key,
            made.sign_count, label[:60], int(now_s * 1e6),
        )  # fmt: skip
        if not kept:
            raise Refused("this passkey is known already")

    def ask(self, site: Site, now_s: float) -> str:
        """Return the JSON with which a page asks for any passkey of this plant."""
        options = generate_authentication_options(
            rp_id=site.host, user_verification=UserVerificationRequirement.REQUIRED
        )
        self._asked.keep(options.challenge.hex(), ("", site), now_s)
        return options_to_json(options)

    def check(self, said: str, now_s: float) -> str:
        """Return the account whose passkey answered; `Denied` if none of ours did."""
        no = Denied("this passkey is not known here, or was asked for too long ago")
        try:
            challenge = _challenge(said)
            number = base64url_to_bytes(msgspec.json.decode(said, type=_Named).id)
        except (Refused, msgspec.MsgspecError, ValueError) as error:
            raise no from error
        asked = self._asked.take(challenge.hex(), now_s)
        row = self._store.row(
            "SELECT * FROM passkeys WHERE id = ? AND account IN "
            "(SELECT name FROM accounts WHERE NOT disabled)",
            number,
        )
        if asked is None or row is None or asked[0]:
            raise no
        try:
            proved = verify_authentication_response(
                credential=said,
                expected_challenge=challenge,
                expected_rp_id=asked[1].host,
                expected_origin=asked[1].origin,
                credential_public_key=row["public_key"],
                credential_current_sign_count=row["uses"],
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError) as error:
            raise no from error
        order = "UPDATE passkeys SET uses = ? WHERE id = ?"
        self._store.change(order, proved.new_sign_count, number)
        return str(row["account"])

    def labels(self, account: str) -> list[tuple[str, str, int]]:
        """Return the passkeys of an account: number, label, and since when."""
        rows = self._store.rows("SELECT * FROM passkeys WHERE account = ?", account)
        return [(bytes(row["id"]).hex(), row["label"], row["made_us"]) for row in rows]

    def remove(self, account: str, number: str) -> bool:
        """Take a passkey away; False if the account has none of that number."""
        try:
            wanted = bytes.fromhex(number)
        except ValueError:
            return False
        order = "DELETE FROM passkeys WHERE account = ? AND id = ?"
        return self._store.change(order, account, wanted) == 1


class _Inside(msgspec.Struct):
    clientDataJSON: str  # noqa: N815  the name is of the standard


class _Answer(msgspec.Struct):
    response: _Inside


class _Named(msgspec.Struct):
    id: str


class _ClientData(msgspec.Struct):
    challenge: str


def _challenge(said: str) -> bytes:
    """Return the challenge that an answer claims to be for."""
    try:
        inside = msgspec.json.decode(said, type=_Answer).response.clientDataJSON
        client = msgspec.json.decode(base64url_to_bytes(inside), type=_ClientData)
        return base64url_to_bytes(client.challenge)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Refused("this is no answer of a browser to a passkey request") from error
