"""Codes of six digits from an authenticator app (TOTP, RFC 6238)."""

import pyotp

STEP_S = 30
DRIFT_STEPS = 1
"""Steps that the clock of a phone may be off either way."""


def new_key() -> str:
    """Return a new key, in base 32."""
    return pyotp.random_base32()


def address_of(key: str, account: str, plant: str) -> str:
    """Return the `otpauth:` address that an app reads from a picture or a link."""
    return pyotp.TOTP(key).provisioning_uri(name=account, issuer_name=plant)


def step_of(key: str, code: str, now_s: float) -> int | None:
    """Return the step of time that a code belongs to; None if it is wrong.

    Whoever accepts it must refuse that step and all before from then on (RFC 6238,
    5.2).
    """
    made = pyotp.TOTP(key)
    now = int(now_s) // STEP_S
    said = code.replace(" ", "")
    for step in range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1):
        if pyotp.utils.strings_equal(said, made.generate_otp(step)):
            return step
    return None
