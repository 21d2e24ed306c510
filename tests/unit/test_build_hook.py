"""The build of the page: when it runs, and what happens when it cannot."""

import importlib.util
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "hatch_build.py"


def load_hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


hook = load_hook()


class Npm:
    """Stands for npm and Vite; `breaks` is what goes wrong."""

    def __init__(self, root: Path, *, breaks: str = "") -> None:
        self.static = root / "src/lineshaft/web/static"
        self.breaks = breaks
        self.commands: list[list[str]] = []
        self.environments: list[Mapping[str, str]] = []

    def __call__(
        self, command: list[str], _folder: Path, environment: Mapping[str, str]
    ) -> None:
        self.commands.append(command)
        self.environments.append(environment)
        if self.breaks:
            raise hook.CannotBuild(self.breaks)
        if "build" in command:
            self.static.mkdir(parents=True, exist_ok=True)
            (self.static / "index.html").write_text("the page")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    frontend = tmp_path / "frontend"
    (frontend / "src").mkdir(parents=True)
    for name in ("package.json", "package-lock.json", "src/main.ts"):
        (frontend / name).write_text(name)
    return tmp_path


def build(root: Path, npm: Npm, **environment: str) -> list[str]:
    said: list[str] = []
    hook.build_page(root, environment, say=said.append, run=npm)
    return said


def page(root: Path) -> str:
    return (root / "src/lineshaft/web/static/index.html").read_text()


def test_the_page_is_built_without_scripts_of_packages(checkout: Path) -> None:
    npm = Npm(checkout)
    build(checkout, npm)
    assert page(checkout) == "the page"
    assert npm.commands[0][2:] == hook.INSTALL
    assert "--ignore-scripts" in npm.commands[0]


def test_node_trusts_what_the_system_trusts(checkout: Path) -> None:
    npm = Npm(checkout)
    build(checkout, npm, PATH="/bin")
    assert all(one["NODE_USE_SYSTEM_CA"] == "1" for one in npm.environments)


def test_a_fresh_bundle_is_not_built_again(checkout: Path) -> None:
    build(checkout, Npm(checkout))
    again = Npm(checkout)
    assert build(checkout, again) == ["the page is up to date"]
    assert again.commands == []


@pytest.mark.parametrize("change", ["edit", "rename", "add"])
def test_a_changed_source_is_built_again(checkout: Path, change: str) -> None:
    build(checkout, Npm(checkout))
    source = checkout / "frontend/src/main.ts"
    if change == "edit":
        source.write_text("other")
    elif change == "rename":
        source.rename(source.with_name("other.ts"))
    else:
        source.with_name("second.ts").write_text("second")
    again = Npm(checkout)
    build(checkout, again)
    assert len(again.commands) == 2


def test_a_bundle_without_its_sources_is_taken_as_it_is(checkout: Path) -> None:
    build(checkout, Npm(checkout))
    (checkout / "frontend").rename(checkout / "elsewhere")
    again = Npm(checkout)
    build(checkout, again)
    assert again.commands == []


def test_a_failed_build_leaves_a_page_that_says_why(checkout: Path) -> None:
    said = build(checkout, Npm(checkout, breaks="no <network>"))
    assert "no &lt;network&gt;" in page(checkout)
    assert "python hatch_build.py" in page(checkout)
    assert any("no <network>" in line for line in said)


def test_after_a_failure_the_next_build_tries_again(checkout: Path) -> None:
    build(checkout, Npm(checkout, breaks="no network"))
    build(checkout, Npm(checkout))
    assert page(checkout) == "the page"


def test_ci_fails_loudly(checkout: Path) -> None:
    with pytest.raises(SystemExit, match="no network"):
        build(checkout, Npm(checkout, breaks="no network"), LINESHAFT_REQUIRE_UI="1")


def test_a_visitor_may_skip_the_build(checkout: Path) -> None:
    npm = Npm(checkout)
    said = build(checkout, npm, LINESHAFT_SKIP_UI="1")
    assert npm.commands == []
    assert "LINESHAFT_SKIP_UI" in said[0]


def test_missing_sources_are_told(checkout: Path) -> None:
    (checkout / "frontend/package-lock.json").unlink()
    said = build(checkout, Npm(checkout))
    assert "package-lock.json" in said[-1]
    assert "package-lock.json" in page(checkout)


def test_a_program_that_fails_tells_its_last_words(tmp_path: Path) -> None:
    script = tmp_path / "npm.py"
    script.write_text("print('certificate is not trusted'); raise SystemExit(3)")
    with pytest.raises(hook.CannotBuild, match=r"failed \(3\):\ncertificate is not"):
        hook.run_program([sys.executable, str(script), "ci"], tmp_path, {})


def test_the_script_works_where_hatchling_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT)],
        env={"LINESHAFT_SKIP_UI": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "LINESHAFT_SKIP_UI" in done.stderr
