"""The lock file with hashes and the bill of materials."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "constraints" / "lock.txt").read_text("utf-8")
PINS = dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", LOCK, re.MULTILINE))


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", name)[0]).lower()


NOT_LOCKED = {"mlflow", "wandb", "trackio"}
"""Trackers, which bring many packages: no test uses them, and no environment of ours."""


def test_every_pin_of_the_lock_has_a_hash_and_no_place() -> None:
    blocks = re.split(r"\n(?=[A-Za-z0-9])", LOCK)
    pins = [block for block in blocks if "==" in block.partition("\n")[0]]
    assert len(pins) == len(PINS) > 50
    for block in pins:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block[:60]
    assert "@ file" not in LOCK
    assert "find-links" not in LOCK
    assert "index-url" not in LOCK


def test_the_lock_has_all_that_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = {plain(each) for each in project["dependencies"]}
    for extra in project["optional-dependencies"].values():
        asked |= {plain(each) for each in extra}
    missing = asked - {*map(plain, PINS)} - {"torch", "temporal-jepa"} - NOT_LOCKED
    assert not missing, f"make lock, then commit constraints/lock.txt: {missing}"
    assert "torch" not in PINS
    assert re.search(
        r"^torch==", (ROOT / "constraints" / "cpu.txt").read_text("utf-8"), re.MULTILINE
    )


def test_ci_installs_from_the_lock() -> None:
    assert "make setup LOCKED=1" in (ROOT / ".ci" / "run").read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert "--no-deps --require-hashes -r constraints/lock.txt" in makefile


def test_what_comes_from_npm_has_a_hash_too() -> None:
    assert "npm ci --prefix tests/report" in (ROOT / ".ci" / "run").read_text("utf-8")
    folder = ROOT / "tests" / "report"
    asked = json.loads((folder / "package.json").read_text("utf-8"))["devDependencies"]
    lock = json.loads((folder / "package-lock.json").read_text("utf-8"))["packages"]
    packages = {name: entry for name, entry in lock.items() if name}
    assert {name.rpartition("node_modules/")[2] for name in packages} == {*asked}
    for entry in packages.values():
        assert entry["integrity"].startswith("sha512-")
        assert "resolved" not in entry  # the address of a registry


def test_the_bill_of_materials_lists_what_is_installed(tmp_path: Path) -> None:
    out = tmp_path / "new" / "sbom.json"
    words = [sys.executable, str(ROOT / "constraints" / "sbom.py"), str(out)]
    done = subprocess.run(words, capture_output=True, text=True)
    if "is not installed here" in done.stderr:
        pytest.skip("the package is on the path and not installed")
    assert done.returncode == 0, done.stderr
    bill = json.loads(out.read_text("utf-8"))
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "temporal-jepa"
    parts = {part["name"]: part for part in bill["components"]}
    assert {"torch", "numpy", "safetensors"} <= {*parts}
    assert parts["numpy"]["purl"].startswith("pkg:pypi/numpy@")
    references = {part["bom-ref"] for part in bill["components"]}
    references.add(bill["metadata"]["component"]["bom-ref"])
    for each in bill["dependencies"]:
        assert {each["ref"], *each["dependsOn"]} <= references
