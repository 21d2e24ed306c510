"""explain: what a code means, from the book in the package, without a network."""

from lineshaft.cli import screen
from lineshaft.core.errors import NotFound
from lineshaft.core.errors.codes import Entry, book, code_of_reason


def explain(asked: str, *, as_json: bool) -> None:
    """Print what a code means, or the code of the reason of a BAD reading."""
    entry = find(asked)
    if as_json:
        told = {
            "code": entry.code,
            "what": entry.what,
            "causes": entry.causes,
            "do": entry.do,
        }
        screen.write_json(told)
        return
    screen.say(f"{entry.code}  {entry.what}")
    for head, lines in (("Likely causes", entry.causes), ("What to do", entry.do)):
        screen.say(f"\n{head}:")
        for number, line in enumerate(lines, 1):
            screen.say(f"  {number}. {line}")


def find(asked: str) -> Entry:
    """Return the entry of a code, however it is typed, or of a reason."""
    known = book()
    code = asked.strip().upper()
    code = f"LS-{code}" if code.isdigit() else code
    if code in known:
        return known[code]
    if code := code_of_reason(asked):
        return known[code]
    raise NotFound(
        f"there is no code {asked!r}; codes look like LS-1212, and `lineshaft explain` "
        "without one lists them all"
    )


def list_all() -> None:
    """Print every code with what happened."""
    screen.table(("code", "what happened"), [(e.code, e.what) for e in book().values()])
