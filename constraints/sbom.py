"""What is installed beside the package, as a CycloneDX 1.6 bill of materials in JSON.

python constraints/sbom.py OUT.json

Reads the metadata of the environment that runs it, and the hashes of `lock.txt` beside it. It asks
no network, and the same environment gives the same bytes.
"""

import json
import re
import sys
import uuid
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

PACKAGE = "temporal-jepa"
LOCK = Path(__file__).with_name("lock.txt")


def name_of(text: str) -> str:
    """The name in a requirement, as package indexes write it."""
    found = re.match(r"[A-Za-z0-9._-]+", text)
    assert found, text
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def reference(package: Distribution) -> str:
    """The package URL of a distribution."""
    version = package.version.replace("+", "%2B")
    return f"pkg:pypi/{name_of(package.metadata['Name'])}@{version}"


def locked_hashes(text: str) -> dict[str, list[str]]:
    """Name -> the SHA-256 of its files that may be installed."""
    found: dict[str, list[str]] = {}
    for block in re.split(r"\n(?=[A-Za-z0-9])", text):
        if "==" in block and not block.startswith("#"):
            found[name_of(block)] = re.findall(r"sha256:([0-9a-f]{64})", block)
    return found


def licences(package: Distribution) -> list[dict[str, Any]]:
    """What a distribution says of its licence: an SPDX expression, or a name in a few words."""
    expression = package.metadata.get("License-Expression")
    if expression:
        return [{"expression": expression}]
    names = [
        line.rpartition(" :: ")[2]
        for line in package.metadata.get_all("Classifier", [])
        if line.startswith("License :: ")
    ]
    text = (package.metadata.get("License") or "").strip()
    if not names and text:
        names = [text.splitlines()[0][:80]]
    return [{"license": {"name": name}} for name in names]


def component(package: Distribution) -> dict[str, Any]:
    """A distribution as CycloneDX has it."""
    made = {
        "type": "library",
        "bom-ref": reference(package),
        "name": name_of(package.metadata["Name"]),
        "version": package.version,
        "purl": reference(package),
    }
    found = licences(package)
    return {**made, "licenses": found} if found else made


def bill(packages: dict[str, Distribution], lock: str) -> dict[str, Any]:
    """The bill of materials of these distributions, by name."""
    ours = packages[PACKAGE]
    hashes = locked_hashes(lock)
    parts = []
    for name in sorted(packages):
        if name != PACKAGE:
            part = component(packages[name])
            known = sorted(hashes.get(name, []))
            if known:
                text = " ".join(known)
                part["properties"] = [{"name": "lock:sha256", "value": text}]
            parts.append(part)
    needs = []
    for name in sorted(packages):
        required = packages[name].requires or []
        plain = {name_of(text) for text in required if "extra ==" not in text}
        refs = [reference(packages[other]) for other in sorted(plain & {*packages})]
        needs.append({"ref": reference(packages[name]), "dependsOn": refs})
    content = json.dumps([parts, needs], sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}",
        "version": 1,
        "metadata": {"component": {**component(ours), "type": "application"}},
        "components": parts,
        "dependencies": needs,
    }


def main() -> None:
    """Write the bill to the file that is named."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python constraints/sbom.py OUT.json")
    packages = {name_of(each.metadata["Name"]): each for each in distributions()}
    if PACKAGE not in packages:
        raise SystemExit(f"{PACKAGE} is not installed here: make setup")
    out = Path(sys.argv[1])
    out.parent.mkdir(parents=True, exist_ok=True)
    made = bill(packages, LOCK.read_text("utf-8"))
    out.write_text(json.dumps(made, indent=2) + "\n", "utf-8")
    print(f"{out}: {len(made['components'])} components")


if __name__ == "__main__":
    main()
