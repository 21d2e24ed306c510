"""How people log in."""

from typing import Literal

from pydantic import BaseModel, Field, field_validator


class SingleSignOn(BaseModel, frozen=True, extra="forbid"):
    """The table `[people.single_sign_on]`: an OpenID Connect provider."""

    issuer: str = Field(
        pattern=r"^https?://[^\s]+$",
        description="Address of the provider, as its discovery document states it. "
        "Plain http is taken of loopback only.",
    )
    client_id: str = Field(min_length=1, description="What it calls this plant.")
    client_secret: str = Field(
        default="",
        description="`env:NAME` or `file:PATH`; left out, PKCE alone protects.",
    )
    claim: Literal["email", "preferred_username", "upn", "name", "sub"] = Field(
        default="email",
        description="The claim whose text is the name of the account. "
        "An email counts only when the provider verified it.",
    )
    scopes: tuple[str, ...] = Field(
        default=("openid", "email", "profile"), description="What is asked for."
    )

    @field_validator("client_secret")
    @classmethod
    def _not_in_the_file(cls, said: str) -> str:
        if said and not said.startswith(("env:", "file:")):
            raise ValueError("no secret stands in this file: write env:NAME, file:PATH")
        return said

    @field_validator("issuer")
    @classmethod
    def _protected(cls, issuer: str) -> str:
        host = issuer.partition("://")[2].partition("/")[0].rpartition(":")[0]
        if issuer.startswith("http:") and host not in ("127.0.0.1", "localhost"):
            raise ValueError("an issuer that is not on this machine needs https")
        return issuer


class Settings(BaseModel, frozen=True, extra="forbid"):
    """The table `[people]` of lineshaft.toml."""

    loopback: Literal["owner", "login"] = Field(
        default="owner",
        description="Who a program or browser on this very machine is: `owner`, it "
        "may do everything without a login if it runs under the user that runs the "
        "plant, and nothing otherwise; `login`, everybody must log in.",
    )
    idle_min: float = Field(
        default=30.0,
        gt=0,
        le=24 * 60,
        description="Minutes without a click after which a session may only look on, "
        "until its owner gives the password again.",
    )
    session_h: float = Field(
        default=12.0, gt=0, le=24 * 31, description="Hours after which a session ends."
    )
    most_sessions: int = Field(
        default=5,
        ge=1,
        le=100,
        description="Sessions of one person; one more ends the oldest.",
    )
    second_factor: Literal["optional", "required"] = Field(
        default="optional",
        description="Whether everybody needs a passkey, or a password and a code.",
    )
    password_days: int | None = Field(
        default=None,
        ge=1,
        le=3660,
        description="Days after which a password must be changed; left out, never.",
    )
    banner: str = Field(
        default="",
        max_length=4000,
        description="Shown before every login, such as whom the use is reserved for.",
    )
    single_sign_on: SingleSignOn | None = Field(
        default=None, description="An OpenID Connect provider that may log people in."
    )
