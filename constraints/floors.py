"""Print the lowest versions that pyproject.toml allows, as pins: `make floors` resolves the rest.

torch is left out: `make test-floors` chooses it, since its CPU builds are not on every index.
"""

import re
import tomllib
from pathlib import Path

TRACKERS = ("mlflow", "wandb", "trackio")
"""Extras that no test uses: their bounds are the versions that were tried by hand."""
PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def floors() -> dict[str, str]:
    """Package, with its extras -> the version after `>=`, of every dependency and extra but
    the trackers.

    Raises:
        ValueError: for a dependency without a lower bound.
    """
    project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    found: dict[str, str] = {}
    extras = project["optional-dependencies"]
    tested = [extras[name] for name in extras if name not in TRACKERS]
    for group in [project["dependencies"], *tested]:
        for requirement in group:
            if requirement.startswith("temporal-jepa["):
                continue
            match = re.fullmatch(r"([\w.\[\]-]+)>=([\w.]+)", requirement)
            if match is None:
                raise ValueError(f"{requirement}: expected NAME>=VERSION")
            found[match[1]] = match[2]
    return found


if __name__ == "__main__":
    for name, version in floors().items():
        if name != "torch":
            print(f"{name}=={version}")
