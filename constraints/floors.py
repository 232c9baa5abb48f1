"""Print the lowest versions that pyproject.toml allows, as pins: `make floors` resolves the rest.

torch is left out: `make test-floors` chooses it, since its CPU builds are not on every index.
"""

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def floors() -> dict[str, str]:
    """Package, with its extras -> the version after `>=`, of every dependency and extra.

    Raises:
        ValueError: for a dependency without a lower bound.
    """
    project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    found: dict[str, str] = {}
    for group in [
        project["dependencies"],
        *project["optional-dependencies"].values(),
    ]:
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
