"""Passwords: what is a good one, and how it is kept (Argon2id, RFC 9106).

Length and a list of what everybody tries count, not kinds of letters (NIST SP 800-63B,
5.1.1.2).
"""

import re
import unicodedata
from collections.abc import Iterable
from itertools import pairwise

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from lineshaft.core.errors import Refused

SHORTEST, LONGEST = 12, 256
FEWEST_DIFFERENT = 5
SHORTEST_WORD = 4
ENOUGH_BESIDE = 6
"""Letters that make a password of their own beside a word that everybody tries."""
MEMORY_KIB, PASSES, LANES = 64 * 1024, 2, 1
"""64 MiB: a guess costs a tenth of a second here, and as much memory on a rig."""
_HASHER = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
_TRIED_BY_ALL = """
password passwort passw0rd kennwort motdepasse contrasena parola senha haslo qwerty
qwertz azerty asdfgh zxcvbn yxcvbn qazwsx letmein welcome willkommen admin
administrator root toor guest default changeme secret geheim supervisor operator
engineer service maintenance wartung plant factory fabrik machine master monkey dragon
football baseball iloveyou sunshine princess shadow superman batman trustno1 whatever
hello test demo summer winter spring autumn siemens simatic wincc scada modbus logix
schneider mitsubishi omron lineshaft mima woaini tiantian aixin zhongguo wang1234
sakura arigato nihon konnichiwa
""".split()  # noqa: SIM905  a list of words is read as words
_DIGITS_FOR = str.maketrans("4@3105$7", "aaeiosst")


def unfit(password: str, known: Iterable[str] = ()) -> str:
    """Return why a password will not do; empty if it will.

    `known` are words that anybody would try here: the names of the account and plant.
    """
    text = unicodedata.normalize("NFKC", password)
    if len(text) < SHORTEST:
        return f"it has {len(text)} characters; take at least {SHORTEST}"
    if len(text) > LONGEST:
        return f"it has {len(text)} characters; take at most {LONGEST}"
    if len(set(text)) < FEWEST_DIFFERENT:
        return "it has fewer than five different characters"
    if _without_runs(text) * 2 < len(text):
        return "most of it is a row like 12345, abcde or aaaaa"
    plain = text.casefold()
    for word in [
        *_TRIED_BY_ALL,
        *(w.casefold() for w in known if len(w) >= SHORTEST_WORD),
    ]:
        for each in {plain, plain.translate(_DIGITS_FOR)}:
            rest = re.sub(r"[\d\W_]", "", each.replace(word, ""))
            if word in each and len(rest) < ENOUGH_BESIDE:
                return f"everybody tries {word!r}, whatever stands around it"
    return ""


def hashed(password: str) -> str:
    """Return what is kept of a password; slow on purpose."""
    return _HASHER.hash(unicodedata.normalize("NFKC", password))


def is_right(kept: str | None, password: str) -> bool:
    """Whether a password is the one that was kept; slow on purpose.

    Without anything kept it takes as long, and is wrong.
    """
    if kept is None:
        hashed(password[:LONGEST])
        return False
    try:
        return _HASHER.verify(kept, unicodedata.normalize("NFKC", password[:LONGEST]))
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(kept: str) -> bool:
    """Whether it was kept with other parameters than are used now."""
    return _HASHER.check_needs_rehash(kept)


def check_fit(password: str, known: Iterable[str] = ()) -> None:
    """Raise `Refused` for a password that will not do."""
    if why := unfit(password, known):
        raise Refused(f"this password will not do: {why}")


def _without_runs(text: str) -> int:
    """Return how many characters neither repeat nor follow the one before them."""
    steps = (ord(b) - ord(a) for a, b in pairwise(text))
    return 1 + sum(abs(step) > 1 for step in steps)
