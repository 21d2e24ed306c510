"""The file policy.toml: all problems at once, each with its place; versions; verbs."""

import json
from pathlib import Path

import pytest

from lineshaft.cli.keeping import files_of_configuration
from lineshaft.cli.verbs import execute
from lineshaft.core.errors import ConfigError, NotFound, Refused
from lineshaft.security.access.comparing import compare
from lineshaft.security.access.versions import Versions
from lineshaft.settings.policy import hints, load_policy, parse_policy

SOUND = """\
[subjects.anna]
tenant = "acme"
[subjects.ben]
tenant = "acme"

[groups]
shift = ["anna"]

[[grant]]
name = "shift reads"
who = ["shift"]
role = "viewer"
on = ["acme/osaka/**"]

[[test]]
who = "anna"
may = "read"
on = "acme/osaka/press/speed"
expect = "allow"
"""


def policy_file(folder: Path, text: str) -> Path:
    file = folder / "policy.toml"
    file.write_text(text)
    return file


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_policy(policy_file(folder, text))
    return list(caught.value.problems)


def test_every_wrong_shape_is_told_with_its_line_and_the_nearest_word(
    tmp_path: Path,
) -> None:
    text = SOUND.replace('role = "viewer"', 'role = "veiwer"')
    text += (
        '\n[[grant]]\nname = "x"\nwho = ["anna"]\non = ["acme/**"]\nmey = ["read"]\n'
    )
    told = problems(tmp_path, text.replace('may = "read"', 'may = "raed"'))
    file = tmp_path / "policy.toml"
    assert any(
        t.startswith(f"{file}:12:1: grant.0.role: 'veiwer'")
        and t.endswith("did you mean 'viewer'?")
        for t in told
    )
    line = text[: text.index("mey")].count("\n") + 1
    hint = "grant.1.mey: there is no such setting; did you mean 'may'?"
    assert f"{file}:{line}:1: {hint}" in told
    assert any("test.0.may" in t and "did you mean 'read'?" in t for t in told)


def test_every_name_that_leads_nowhere_is_told_at_once(tmp_path: Path) -> None:
    text = SOUND.replace('who = ["shift"]', 'who = ["shiftt", "ben"]')
    text = text.replace('shift = ["anna"]', 'shift = ["ana"]\nben = []')
    text = text.replace('who = "anna"', 'who = "bne"')
    text += """
[[deny]]
name = "shift reads"
who = ["*"]
may_not = ["read"]
on = ["acme//x", "/acme/**"]
[[approval]]
name = "two"
on = ["a/b/c/d/e/f/g/h/i"]
needed_to = ["write"]
by = ["bem"]
"""
    told = "\n".join(problems(tmp_path, text))
    for part in (
        ":7:1: groups.shift: there is no subject 'ana'; did you mean 'anna'?",
        ":8:1: groups.ben: 'ben' is the name of a subject already",
        ":12:1: grant.0.who: there is no subject or group 'shiftt'; did you mean 'shi",
        "grant.0.name: 'shift reads' is the name of another rule already, in [[deny]]",
        "deny.0.on: 'acme//x' is not a pattern",
        "deny.0.on: '/acme/**' begins or ends with a slash",
        "approval.0.on: 'a/b/c/d/e/f/g/h/i' has more than 8 segments",
        "approval.0.by: there is no subject or group 'bem'; did you mean 'ben'?",
        "test.0.who: there is no subject 'bne'; did you mean 'ben'?",
    ):
        assert part in told


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('role = "viewer"', "", "add `role` or `may`"),
        ('role = "viewer"', 'may = ["read"]\nuntil = 2026-01-01T00:00:00', "timezone"),
        (
            'role = "viewer"',
            'role = "viewer"\n'
            "since = 2026-02-01T00:00:00Z\nuntil = 2026-01-01T00:00:00Z",
            "would never count",
        ),
        ("[subjects.anna]", '[subjects."an na"]', "other letters"),
        ('who = ["shift"]', 'who = "shift"', "'shift': write a list of them"),
        ('who = ["shift"]', "who = []", "grant.0.who: is empty, write at least one"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    assert words in "\n".join(problems(tmp_path, SOUND.replace(old, new)))


def test_without_a_policy_nobody_may_anything(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nobody may do anything; write one"):
        load_policy(tmp_path / "policy.toml")


def test_a_rule_that_reaches_nothing_is_hinted_at(tmp_path: Path) -> None:
    text = SOUND.replace('on = ["acme/osaka/**"]', 'on = ["rival/osaka/**"]')
    told = hints(load_policy(policy_file(tmp_path, text)), ["acme/osaka/press/speed"])
    assert len(told) == 2
    assert "policy.toml:13:1: 'rival/osaka/**' means no point of this plant" in told[0]
    assert "nobody named in 'shift reads' is of that tenant" in told[1]
    sound = load_policy(policy_file(tmp_path, SOUND))
    assert hints(sound, ["acme/osaka/press/speed"]) == []


def test_a_comparison_tells_meaning_and_not_order() -> None:
    here = Path("policy.toml")
    before = parse_policy(SOUND, here)
    lines = SOUND.replace('shift = ["anna"]', 'shift = ["ben", "anna"]')
    after = parse_policy(lines.replace("viewer", "operator"), here)
    told = [(each.what, each.how, dict(each.after)) for each in compare(before, after)]
    assert told == [
        ("grant 'shift reads'", "changed", {"role": "operator"}),
        ("group 'shift'", "changed", {"members": ["anna", "ben"]}),
    ]
    turned = parse_policy(SOUND.replace('["anna"]', '["anna", "ben"]'), here)
    other = parse_policy(SOUND.replace('["anna"]', '["ben", "anna"]'), here)
    assert compare(turned, other) == []


def test_versions_are_kept_whole_and_in_order(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "policy")
    assert versions.newest() is None
    for number, text in enumerate(("one", "two", "one"), 1):
        versions.accept(text, by="anna", time=f"t{number}", note=text)
        assert versions.text(number) == text
    assert [v.number for v in versions.all()] == [1, 2, 3]
    with pytest.raises(Refused, match="version 3 already"):
        versions.accept("one", by="anna", time="t4")
    with pytest.raises(NotFound, match="versions are 1 to 3"):
        versions.text(4)
    assert (tmp_path / "policy" / "000001.toml").stat().st_mode & 0o077 == 0


def test_a_version_that_was_changed_by_hand_is_refused(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    versions.accept("one", by="anna", time="t")
    (tmp_path / "000001.toml").write_text("two")
    with pytest.raises(Refused, match="SHA-256 differs"):
        versions.text(1)
    (tmp_path / "000001.toml").unlink()
    with pytest.raises(Refused, match="is missing"):
        versions.text(1)


@pytest.mark.parametrize("bad", [b"{", b"[" * 100_000, b'{"number":2}', b"\xff\n"])
def test_a_damaged_list_of_versions_is_refused(tmp_path: Path, bad: bytes) -> None:
    versions = Versions(tmp_path)
    versions.accept("one", by="anna", time="t")
    (tmp_path / "versions.jsonl").write_bytes(bad)
    with pytest.raises(Refused, match="damaged"):
        versions.all()


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "lineshaft.toml").write_text('[plant]\nname = "Works"\n')
    policy_file(tmp_path, SOUND)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_may_tells_by_its_exit_code(
    plant: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["may", "anna", "read", "acme/osaka/x", "--why"]) == 0
    assert "anna may read acme/osaka/x: grant 'shift reads'" in capsys.readouterr().out
    assert execute(["may", "anna", "write", "acme/osaka/x", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["outcome"], told["nearest"]) == ("deny", "shift reads")
    assert execute(["may", "anna", "wriet", "acme/osaka/x"]) == 2
    assert "did you mean 'write'?" in capsys.readouterr().err


def test_a_policy_is_accepted_compared_and_taken_back(
    plant: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["policy", "check"]) == 0
    assert execute(["policy", "test"]) == 0
    assert execute(["policy", "accept", "--note", "first"]) == 0
    policy_file(plant, SOUND.replace("viewer", "operator"))
    capsys.readouterr()
    assert execute(["policy", "diff", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["against"], len(told["differences"])) == (1, 1)
    assert execute(["policy", "accept"]) == 0
    assert execute(["policy", "take-back", "1"]) == 0
    assert (plant / "policy.toml").read_text() == SOUND
    capsys.readouterr()
    assert execute(["policy", "history", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [version["number"] for version in told] == [1, 2, 3]
    assert told[0]["sha256"] == told[2]["sha256"]
    assert told[2]["note"] == "version 1 again"


def test_check_tells_the_problems_of_both_files(
    plant: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["check"]) == 0
    policy_file(plant, SOUND.replace("viewer", "veiwer"))
    assert execute(["check"]) == 2
    (plant / "lineshaft.toml").write_text('[plant]\nnaem = "Works"\n')
    assert execute(["check", "--json"]) == 2
    told = json.loads(capsys.readouterr().out.splitlines()[-1])["problems"]
    assert [problem.partition(":")[0] for problem in told] == [
        "lineshaft.toml",
        "policy.toml",
    ]


def test_a_back_up_has_the_policy(plant: Path) -> None:
    files = files_of_configuration(plant / "lineshaft.toml")
    assert files["policy.toml"] == plant / "policy.toml"


def test_a_policy_whose_test_fails_is_not_accepted(
    plant: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy_file(plant, SOUND.replace('expect = "allow"', 'expect = "deny"'))
    assert execute(["policy", "test"]) == 1
    assert "expected deny, the policy says allow: anna may" in capsys.readouterr().out
    assert execute(["policy", "accept"]) == 2
    assert not (plant / "lineshaft-data" / "policy").exists()
