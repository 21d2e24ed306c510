"""Completion of verbs, and of the names of points that a running plant has."""

from collections.abc import Sequence
from pathlib import Path

from lineshaft.cli.plant import Plant, find
from lineshaft.core.errors import LineshaftError

MOST = 200
_WITH_NAMES = "read watch history write"

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
        found = Plant(find(data)).get("/points", search=prefix, limit=10_000)["points"]
    except LineshaftError:
        return []
    matching = [p["name"] for p in found if p["name"].startswith(prefix)]
    if len(matching) <= MOST:
        return matching
    level = prefix.count("/") + 1
    return sorted({_up_to(name, level) for name in matching})


def _up_to(name: str, level: int) -> str:
    """Return the name itself if it ends there, else the place with a slash."""
    segments = name.split("/")
    place = "/".join(segments[:level])
    return place if len(segments) <= level else f"{place}/"
