"""The ciphers that files are sealed with: AES-256-GCM, and SM4-GCM as a profile.

AES: FIPS 197; SM4: GB/T 32907-2016 (ISO/IEC 18033-3); GCM: NIST SP 800-38D; HKDF: RFC
5869, with SM3 (GB/T 32905-2016) for SM4.
"""

import os
from enum import StrEnum

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from lineshaft.core.errors import ConfigError, Denied

KEY, NONCE, TAG = 32, 12, 16
"""Bytes of a key that is kept, of a nonce, and of what an encryption is longer."""
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 1 << 15, 8, 1
"""32 MiB and about 0.1 s for each guess (RFC 7914)."""


class Suite(StrEnum):
    """A cipher with its key derivation."""

    AES = "AES-256-GCM"
    SM4 = "SM4-GCM"


class Sealer:
    """One key of one suite. Whoever calls sees to it that no nonce comes twice."""

    def __init__(self, suite: Suite, key: bytes, salt: bytes, about: bytes) -> None:
        """Derive the key that is used from one that is kept; `about` is bound to it."""
        algorithm = hashes.SHA256() if suite is Suite.AES else hashes.SM3()
        length = KEY if suite is Suite.AES else SM4.block_size // 8
        try:
            derived = HKDF(algorithm, length, salt, about).derive(key)
        except UnsupportedAlgorithm as error:
            raise _unsupported(suite) from error
        self._suite, self._key = suite, derived
        self._aes = AESGCM(derived) if suite is Suite.AES else None

    def seal(self, nonce: bytes, plain: bytes, about: bytes = b"") -> bytes:
        """Return the encryption, with its tag at the end."""
        if self._aes is not None:
            return self._aes.encrypt(nonce, plain, about)
        cipher = Cipher(SM4(self._key), modes.GCM(nonce))
        try:
            work = cipher.encryptor()
        except UnsupportedAlgorithm as error:
            raise _unsupported(self._suite) from error
        work.authenticate_additional_data(about)
        return work.update(plain) + work.finalize() + work.tag

    def open(self, nonce: bytes, sealed: bytes, about: bytes = b"") -> bytes:
        """Return what was sealed; `Denied` if anything of it was changed."""
        try:
            if self._aes is not None:
                return self._aes.decrypt(nonce, sealed, about)
            cipher = Cipher(SM4(self._key), modes.GCM(nonce, sealed[-TAG:]))
            work = cipher.decryptor()
            work.authenticate_additional_data(about)
            return work.update(sealed[:-TAG]) + work.finalize()
        except (InvalidTag, ValueError) as error:
            raise Denied("it was changed, or sealed with another key") from error
        except UnsupportedAlgorithm as error:
            raise _unsupported(self._suite) from error


def wrap(master: bytes, key: bytes, about: bytes) -> bytes:
    """Return a key, encrypted with another one and bound to what it is for.

    A random nonce stands before it; keys are few, so that none comes twice (NIST SP
    800-38D, 8.3: below 2^32 uses).
    """
    nonce = os.urandom(NONCE)
    return nonce + AESGCM(master).encrypt(nonce, key, about)


def unwrap(master: bytes, wrapped: bytes, about: bytes) -> bytes:
    """Return the key; `Denied` if it was changed, or wrapped by another one."""
    try:
        return AESGCM(master).decrypt(wrapped[:NONCE], wrapped[NONCE:], about)
    except (InvalidTag, ValueError) as error:
        raise Denied("the key was changed, or wrapped by another master key") from error


def key_of_passphrase(passphrase: str, salt: bytes) -> bytes:
    """Return the key that a passphrase stands for."""
    work = Scrypt(salt, KEY, _SCRYPT_N, _SCRYPT_R, _SCRYPT_P)
    return work.derive(passphrase.encode())


def _unsupported(suite: Suite) -> ConfigError:
    return ConfigError(
        f"the OpenSSL of this Python package cryptography has no {suite}; choose "
        f"{Suite.AES}"
    )
