"""What every verb promises before it does anything."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from lineshaft.cli.completing import script
from lineshaft.cli.screen import complain, table
from lineshaft.cli.verbs import app, execute

VERBS = sorted(name for name in app if not name.startswith("-"))
SEEN = [name for name in VERBS if name != "complete-names"]
FAMILIES = ["audit", "data", "people", "policy", "trust"]


def leaves() -> Iterator[tuple[str, ...]]:
    """Yield every verb that does something, also those of a family."""
    for verb in SEEN:
        if verb not in FAMILIES:
            yield (verb,)
        else:
            of = [each for each in app[verb] if not each.startswith("-")]
            yield from ((verb, each) for each in of)


def test_these_are_the_verbs() -> None:
    expected = "add assess audit backup browse check completion data demo doctor "
    expected += "enrol explain health history import listeners may people policy read "
    expected += "reload restore run sbom trust up verify verify-release"
    assert {*expected.split(), "watch", "write"} == set(SEEN)


@pytest.mark.parametrize("verb", [*((each,) for each in FAMILIES), *leaves()])
def test_the_help_of_every_verb_has_an_example(
    verb: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute([*verb, "--help"]) == 0
    assert f"Example: lineshaft {' '.join(verb)}" in capsys.readouterr().out


@pytest.mark.parametrize("verb", [*leaves()], ids=" ".join)
def test_every_option_of_a_verb_is_described(verb: tuple[str, ...]) -> None:
    found = app
    for word in verb:
        found = found[word]
    arguments = found.assemble_argument_collection(parse_docstring=True)
    shown = [each for each in arguments if each.show]
    bare = [each.name for each in shown if not each.parameter.help]
    assert not bare
    assert shown


@pytest.mark.parametrize("verb", [*leaves()], ids=" ".join)
def test_an_unknown_option_is_a_wrong_command(
    verb: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute([*verb, "--colour-of-the-sky", "blue"]) == 2
    assert "Traceback" not in "".join(capsys.readouterr())


def test_a_misspelt_verb_is_answered_with_the_right_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert execute(["chekc"]) == 2
    assert 'Did you mean "check"?' in "".join(capsys.readouterr())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_know_every_verb(
    shell: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert execute(["completion", shell]) == 0
    sys.stdout.flush()
    said = capfdbinary.readouterr().out.decode()
    words = said.replace('"', " ").split()
    assert [verb for verb in SEEN if verb not in words] == []


COMPLETE = """
lineshaft() { [ "$1" = complete-names ] && printf '%s\\n' acme/a acme/b; }
COMP_WORDS=(lineshaft "$@"); COMP_CWORD=$#; _lineshaft; echo "${COMPREPLY[@]}"
complete -p lineshaft
"""


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        (["wr"], "write"),
        (["hi"], "history"),
        (["read", "acme/"], "acme/a acme/b"),
        (["write", "acme/b"], "acme/b"),
        (["check", "/et"], "/etc"),
    ],
)
def test_bash_completes_verbs_names_and_files(typed: list[str], completed: str) -> None:
    program = script("bash", SEEN) + COMPLETE
    done = subprocess.run(
        ["bash", "--norc", "-c", program, "bash", *typed],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    first, second = done.stdout.splitlines()
    assert first == completed
    assert second == "complete -o nospace -F _lineshaft lineshaft"
    assert not done.stderr


def test_a_place_in_a_file_is_no_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    complain("points.csv:100:5: [wrong]")
    assert capsys.readouterr().err == "points.csv:100:5: [wrong]\n"


def test_a_table_shows_what_devices_say_as_they_say_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts = [r"a\[red]b", "[/]", "[bold]", ":smile:", "naïve"]
    table(("name", "text"), [("x", text) for text in texts])
    shown = capsys.readouterr().out
    assert [text for text in texts if text not in shown] == []
