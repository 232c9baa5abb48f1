"""What a release consists of: one version, one set of bounds, files that others' tools read."""

import importlib.util
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import temporal_jepa

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
GITHUB = ROOT / ".github"
CONDA = {
    "torch": "pytorch",
    "matplotlib": "matplotlib-base",
    "docstring-parser": "docstring_parser",
    "huggingface-hub": "huggingface_hub",
}
"""Package on PyPI -> its name on conda-forge, where they differ."""
NOT_ON_CONDA = {"garmin-fit-sdk", "trackio"}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def bounds(requirements: list[str]) -> dict[str, str]:
    """Package -> lower bound, of requirements such as "numpy>=1.26" or "numpy >=1.26"."""
    found = {}
    for text in requirements:
        match = re.fullmatch(r"([\w.-]+)(?:\[[\w,]+\])? ?>=([\w.]+)", text)
        assert match, f"expected NAME>=VERSION, got {text}"
        found[match[1]] = match[2]
    return found


def extras() -> dict[str, str]:
    """The bounds of all extras for users."""
    groups = PROJECT["optional-dependencies"]
    names = set(groups) - {"all", "docs", "dev"}
    return {
        name: bound for group in names for name, bound in bounds(groups[group]).items()
    }


def of_conda(wanted: dict[str, str]) -> dict[str, str]:
    return {
        CONDA.get(name, name): bound
        for name, bound in wanted.items()
        if name not in NOT_ON_CONDA
    }


def test_all_files_state_one_version() -> None:
    version = temporal_jepa.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert load(ROOT / "CITATION.cff")["version"] == version
    assert load(ROOT / "conda" / "recipe.yaml")["context"]["version"] == version
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## (\S+)", changelog, re.MULTILINE)
    assert headings[0] == version
    minor = version.rpartition(".")[0]
    assert f"today {minor}." in (ROOT / "SECURITY.md").read_text("utf-8")


def test_the_citation_says_what_the_project_says() -> None:
    citation = load(ROOT / "CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert citation["license"] == PROJECT["license"]
    assert citation["keywords"] == PROJECT["keywords"]
    names = [author["name"] for author in citation["authors"]]
    assert names == [author["name"] for author in PROJECT["authors"]]


def test_the_conda_recipe_has_the_bounds_of_pyproject() -> None:
    recipe = load(ROOT / "conda" / "recipe.yaml")
    python = {"python": PROJECT["requires-python"].removeprefix(">=")}
    required = bounds(PROJECT["dependencies"])
    asked = recipe["requirements"]
    assert bounds(asked["run"]) == python | of_conda(required)
    assert bounds(asked["run_constraints"]) == of_conda(extras())
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]
    host = [each for each in asked["host"] if each != "pip"]
    assert bounds(host) == python | bounds(build["requires"])
    scripts = [f"{name} = {place}" for name, place in PROJECT["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == scripts
    assert recipe["about"]["license"] == PROJECT["license"]
    assert recipe["about"]["summary"] == PROJECT["description"]


def test_the_tested_floors_are_those_of_pyproject() -> None:
    place = ROOT / "constraints" / "floors.py"
    spec = importlib.util.spec_from_file_location("floors", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = (ROOT / "constraints" / "floors.txt").read_text("utf-8")
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE))
    for name, bound in module.floors().items():
        plain = re.sub(r"[-_.]+", "-", name.partition("[")[0]).lower()
        if plain == "torch":
            continue
        # 1.26 is 1.26.0
        assert re.fullmatch(rf"{re.escape(bound)}(\.0)*", pins[plain]), (
            f"make floors, then commit constraints/floors.txt: {name}"
        )
    makefile = (ROOT / "Makefile").read_text("utf-8")
    tested = re.search(r"^FLOOR_TORCH \?= (\S+)$", makefile, re.MULTILINE)
    assert tested
    assert tested[1] == module.floors()["torch"] + ".0"


@pytest.mark.skipif(not GITHUB.exists(), reason="not a checkout")
def test_public_ci_tests_the_floors_and_pins_its_actions() -> None:
    path = GITHUB / "workflows" / "ci.yml"
    jobs = load(path)["jobs"]
    used = re.findall(r"uses: (\S+)", path.read_text("utf-8"))
    assert used
    for action in used:
        assert re.fullmatch(r"[\w/-]+@v\d+\.\d+\.\d+", action), action
    rows = jobs["quick"]["strategy"]["matrix"]["include"]
    pythons = {row["python"] for row in rows}
    assert {"3.11", "3.12", "3.13", "3.14"} == pythons
    assert PROJECT["requires-python"] == f">={min(pythons)}"
    torches = {row["torch"] for row in rows}
    floor = bounds(PROJECT["dependencies"])["torch"]
    assert torches == {"newest", f"{floor}.0"}
    systems = {row["os"].partition("-")[0] for row in rows}
    assert systems == {"ubuntu", "macos", "windows"}


@pytest.mark.skipif(not GITHUB.exists(), reason="not a checkout")
@pytest.mark.parametrize("kind", ["bug", "question", "feature"])
def test_the_forms_for_issues_ask_something(kind: str) -> None:
    form = load(GITHUB / "ISSUE_TEMPLATE" / f"{kind}.yml")
    assert form["name"]
    assert form["description"]
    fields = [part for part in form["body"] if part["type"] != "markdown"]
    assert len({part["id"] for part in fields}) == len(fields)
    assert any(part.get("validations", {}).get("required") for part in fields)
