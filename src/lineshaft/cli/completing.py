"""Completion of verbs, and of the names of points that a running plant has."""

import contextlib
import json
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from lineshaft.cli.plant import find
from lineshaft.core.errors import LineshaftError

MOST = 200
MOST_ASKED = 10_000
PATIENCE_S = 2.0
_WITH_NAMES = "read watch history write may"

_BASH = """\
_lineshaft() {{
  local word=${{COMP_WORDS[COMP_CWORD]}}
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "{verbs}" -- "$word"))
  elif [[ " {with_names} " == *" ${{COMP_WORDS[1]}} "* ]]; then
    local names=$(lineshaft complete-names "$word" 2>/dev/null)
    COMPREPLY=($(compgen -W "$names" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}}
complete -o nospace -F _lineshaft lineshaft
"""
_ZSH = """\
#compdef lineshaft
_lineshaft() {{
  if (( CURRENT == 2 )); then
    compadd {verbs}
  elif [[ " {with_names} " == *" $words[2] "* ]]; then
    compadd -S '' -- ${{(f)"$(lineshaft complete-names "$PREFIX" 2>/dev/null)"}}
  else
    _files
  fi
}}
compdef _lineshaft lineshaft
"""
_FISH = """\
complete -c lineshaft -n __fish_use_subcommand -f -a "{verbs}"
complete -c lineshaft -n "__fish_seen_subcommand_from {with_names}" -f \\
  -a "(lineshaft complete-names (commandline -ct) 2>/dev/null)"
"""


def script(shell: str, verbs: Sequence[str]) -> str:
    """Return the completion script of a shell."""
    scripts = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
    return scripts[shell].format(verbs=" ".join(verbs), with_names=_WITH_NAMES)


def names(data: Path, prefix: str) -> list[str]:
    """Return what the word can become: names, or places to go on from.

    Empty when no plant runs: a shell that waits or complains is worse than none.
    """
    try:
        found = _ask(find(data).url, prefix)
    except (LineshaftError, OSError, HTTPException, ValueError, KeyError, TypeError):
        return []
    matching = [name for name in found if name.startswith(prefix)]
    if len(matching) <= MOST:
        return matching
    level = prefix.count("/") + 1
    return sorted({_up_to(name, level) for name in matching})


def _ask(url: str, prefix: str) -> list[str]:
    # Someone waits at a key: httpx alone takes longer to import than all this does.
    where = urlsplit(url)
    with contextlib.closing(
        HTTPConnection(where.hostname or "", where.port, timeout=PATIENCE_S)
    ) as connection:
        query = urlencode({"search": prefix, "limit": MOST_ASKED})
        connection.request("GET", f"/api/v1/points?{query}")
        answer = json.loads(connection.getresponse().read())
    return [str(point["name"]) for point in answer["points"]]


def _up_to(name: str, level: int) -> str:
    """Return the name itself if it ends there, else the place with a slash."""
    segments = name.split("/")
    place = "/".join(segments[:level])
    return place if len(segments) <= level else f"{place}/"
