"""Login at an OpenID Connect provider (Core 1.0): authorization code with PKCE."""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from lineshaft.core.errors import Denied, LineshaftError, Refused, Unreachable
from lineshaft.core.message import read_json
from lineshaft.security.people.pending import Pending
from lineshaft.security.people.settings import SingleSignOn

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
"""Signatures by a private key only: never `none`, never a shared secret."""
_NOT_JSON = (msgspec.MsgspecError, ValueError, KeyError, TypeError, RecursionError)
CLOCKS_DIFFER_S = 60.0
REMEMBER_S = 3600.0

Fetch = Callable[[str, Mapping[str, str] | None, tuple[str, str] | None], bytes]
"""Gets an address, or posts a form there with a login."""


class _Provider(msgspec.Struct, frozen=True):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str


class _Begun(msgspec.Struct, frozen=True):
    verifier: str
    nonce: str
    back: str


class Claims(msgspec.Struct, frozen=True):
    """What we take from an ID token (OpenID Connect Core 1.0, 2)."""

    iss: str
    sub: str
    aud: str | list[str]
    exp: float
    nonce: str = ""
    azp: str = ""
    email: str = ""
    email_verified: bool | str = False
    preferred_username: str = ""
    name: str = ""
    upn: str = ""


class SignOn:
    """One provider; what it says of itself is asked for again each hour."""

    def __init__(self, settings: SingleSignOn, secret: str, fetch: Fetch) -> None:
        self._settings = settings
        self._secret = secret
        self._fetch = fetch
        self._begun: Pending[_Begun] = Pending()
        self._known: tuple[float, _Provider] | None = None

    @property
    def issuer(self) -> str:
        """Return the address of the provider."""
        return self._settings.issuer

    def begin(self, back: str, now_s: float) -> tuple[str, str]:
        """Return where to send a browser, and the state that it must bring back.

        `back` is our address that the provider sends it to. It asks the provider, so
        it takes a while: `Unreachable` when that does not answer as it should.
        """
        provider = self._provider(now_s)
        state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        begun = _Begun(verifier, secrets.token_urlsafe(24), back)
        self._begun.keep(state, begun, now_s)
        digest = hashlib.sha256(verifier.encode()).digest()
        parameters = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": back,
            "scope": " ".join(self._settings.scopes),
            "state": state,
            "nonce": begun.nonce,
            "code_challenge": urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        mark = "&" if "?" in provider.authorization_endpoint else "?"
        return f"{provider.authorization_endpoint}{mark}{urlencode(parameters)}", state

    def finish(self, state: str, code: str, now_s: float) -> str:
        """Return the name of the account that the provider vouches for.

        `Denied` when it does not, or when this login was not begun here.
        """
        begun = self._begun.take(state, now_s)
        if begun is None:
            raise Denied("this login was not begun here, or too long ago; begin anew")
        provider = self._provider(now_s)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": begun.back,
            "client_id": self._settings.client_id,
            "code_verifier": begun.verifier,
        }
        login = None
        if self._secret:
            methods = provider.token_endpoint_auth_methods_supported
            if "client_secret_basic" in methods:
                login = (self._settings.client_id, self._secret)
            else:
                form["client_secret"] = self._secret
        try:
            answer = self._fetch(provider.token_endpoint, form, login)
            tokens = read_json(answer, _Tokens, "an answer with an ID token")
        except Refused as error:
            raise Denied(f"the provider did not confirm this login: {error}") from error
        return self._name(self._claims(tokens.id_token, provider, now_s), begun, now_s)

    def _claims(self, token: str, provider: _Provider, now_s: float) -> Claims:
        keys = self._fetch(provider.jwks_uri, None, None)
        try:
            known = KeySet.import_key_set(msgspec.json.decode(keys))
            signed = jwt.decode(token, known, algorithms=list(ALGORITHMS))
            return msgspec.convert(signed.claims, Claims)
        except (JoseError, *_NOT_JSON) as e:
            raise Denied("the provider's ID token is not signed as it must be") from e

    def _name(self, claims: Claims, begun: _Begun, now_s: float) -> str:
        """Check what the claims must say (Core 1.0, 3.1.3.7); return the account."""
        ours = self._settings.client_id
        audience = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        wrong = {
            "issuer": claims.iss != self._settings.issuer,
            "audience": ours not in audience,
            "authorized party": claims.azp not in ("", ours)
            or (len(audience) > 1 and not claims.azp),
            "time": claims.exp + CLOCKS_DIFFER_S < now_s,
            "nonce": claims.nonce != begun.nonce,
        }
        if told := ", ".join(what for what, is_wrong in wrong.items() if is_wrong):
            raise Denied(f"the provider's ID token has the wrong {told}")
        claim = self._settings.claim
        name = getattr(claims, claim, "")
        if not name:
            raise Denied(f"the provider's ID token has no claim {claim!r}")
        if claim == "email" and str(claims.email_verified).casefold() != "true":
            raise Denied(f"the provider has not verified the email {name}")
        return str(name)

    def _provider(self, now_s: float) -> _Provider:
        if self._known and now_s - self._known[0] < REMEMBER_S:
            return self._known[1]
        where = f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            said = self._fetch(where, None, None)
            provider = read_json(said, _Provider, "a discovery document")
        except LineshaftError as error:
            raise Unreachable(f"single sign-on: {error}") from error
        if provider.issuer != self._settings.issuer:
            raise Unreachable(
                f"single sign-on: {where} speaks for {provider.issuer!r}; set "
                "people.single_sign_on.issuer to the provider's own spelling"
            )
        self._known = (now_s, provider)
        return provider
