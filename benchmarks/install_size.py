"""Megabytes that a package and all it requires take in this environment, without torch.

python benchmarks/install_size.py temporal-jepa aeon tsfresh

What only torch requires is left out too: the CPU build for Linux takes 0.9 GB, the CUDA build more.
Optional parts (extras) and weights that a package downloads later are not counted.
"""

from importlib.metadata import Distribution, distribution

from packaging.requirements import Requirement
from results import parser_of

LEFT_OUT = "torch"


def required(package: str) -> dict[str, Distribution]:
    """A package and everything it requires, by name."""
    found: dict[str, Distribution] = {}
    names = [package]
    while names:
        name = names.pop().lower().replace("_", "-")
        if name in found or name == LEFT_OUT:
            continue
        found[name] = distribution(name)
        for line in found[name].requires or []:
            requirement = Requirement(line)
            if not requirement.marker or requirement.marker.evaluate({"extra": ""}):
                names.append(requirement.name)
    return found


def megabytes(one: Distribution) -> float:
    """Of the files that were installed and still exist."""
    paths = [file.locate() for file in one.files or []]
    return sum(path.stat().st_size for path in paths if path.exists()) / 1e6


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("packages", nargs="+", metavar="PACKAGE")
    for package in parser.parse_args().packages:
        parts = required(package)
        total = sum(map(megabytes, parts.values()))
        version = parts[package].version
        print(f"{package} {version}: {total:.0f} MB in {len(parts)} packages")


if __name__ == "__main__":
    main()
