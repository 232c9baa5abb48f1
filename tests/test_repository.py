"""Rules of the repository: floors, imports, what README, Makefile and wheel promise."""

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from importlib.util import resolve_name
from pathlib import Path

import pytest
import torch

import temporal_jepa
from temporal_jepa.cli.main import main

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "temporal_jepa"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

# Rooms and single files, lowest floor first: imports stay in a room or go down. The reasons are in
# docs/decisions/0010-rooms.md.
FLOORS = [
    ["version", "config", "files"],
    ["data", "model"],
    ["checkpoint", "embed"],
    ["training", "evaluation"],
    ["estimators"],
    ["report"],
    ["cli"],
    ["__init__", "__main__", "deprecated"],
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(PACKAGE.rglob("*.py"))
NAMES = [str(file.relative_to(PACKAGE)) for file in FILES]


def run(*command: str | Path, cwd: Path = ROOT, **env: str) -> str:
    """Standard output of a command that must succeed; its output is shown when it does not."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **env},
        text=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    assert done.returncode == 0, (
        f"{command} exited {done.returncode}\n{done.stdout}\n{done.stderr}"
    )
    return done.stdout


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(
        ".__init__"
    )


def imported_rooms(file: Path) -> set[str]:
    """Rooms that a file imports, also inside functions; "__init__" is the package itself."""
    package = ".".join(file.relative_to(ROOT).parent.parts)
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    rooms = set()
    for name in names:
        root, *inner = name.split(".")
        if root == PACKAGE.name:
            rooms.add(inner[0] if inner and inner[0] in FLOOR else "__init__")
    return rooms


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_imports_go_only_down(file: Path) -> None:
    home = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert home in FLOOR, (
        f"{home} has no floor: give it one here and in docs/decisions/0010"
    )
    for room in imported_rooms(file) - {home}:
        assert FLOOR[room] < FLOOR[home], (
            f"{home} (floor {FLOOR[home]}) imports {room} (floor {FLOOR[room]})"
        )


def test_the_decision_record_has_the_same_floors() -> None:
    text = (ROOT / "docs" / "decisions" / "0010-rooms.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", text, re.MULTILINE)
    recorded = {
        int(floor): set(re.findall(r"`(\w+)/?`", rooms)) for floor, rooms in rows
    }
    assert recorded == {floor: set(rooms) for floor, rooms in enumerate(FLOORS)}


@pytest.mark.parametrize(("room", "library"), [("model", "pandas"), ("data", "torch")])
def test_a_room_does_not_import_the_library_of_another(room: str, library: str) -> None:
    imports = re.compile(rf"^\s*(import|from) {library}\b", re.MULTILINE)
    for file in (PACKAGE / room).glob("*.py"):
        assert not imports.search(file.read_text("utf-8")), file.name


FORBIDDEN = {
    "# fmt: skip or off": r"# fmt: (skip|off)",
    "private parts of torch": r"torch\._C\b|torch\.ops\.\w+\._",
    "a question about the processor": r"/proc/cpuinfo",
    "an import by name": r"\bimport_module\(",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_of_the_package_has(what: str) -> None:
    for file in FILES:
        found = re.search(FORBIDDEN[what], file.read_text("utf-8"))
        assert not found, f"{file.name}: {found[0]}" if found else ""


def test_every_public_name_is_documented() -> None:
    for file in FILES:
        if file.name == "__main__.py":
            continue
        module = importlib.import_module(module_name(file))
        assert module.__doc__, f"{module.__name__} has no docstring"
        for name in getattr(module, "__all__", []):
            thing = getattr(
                module, name
            )  # a name in __all__ that does not exist fails here
            if inspect.isclass(thing) or inspect.isroutine(thing):
                made_by_dataclass = (thing.__doc__ or "").startswith(f"{name}(")
                assert inspect.getdoc(thing), (
                    f"{module.__name__}.{name} has no docstring"
                )
                assert not made_by_dataclass, (
                    f"{module.__name__}.{name} has no docstring of its own"
                )


IMPORT = """
import sys, time
start = time.process_time()
import torch, numpy
middle, before = time.process_time(), set(sys.modules)
import temporal_jepa
temporal_jepa.TemporalJEPA
end = time.process_time()
new = {name.split(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
print((end - start) / (middle - start), *new)
"""
LIGHT = {
    "temporal_jepa",
    "torch",
    "_remote_module_non_scriptable",  # made by torch.distributed
    "lazy_loader",
}


def test_import_loads_torch_and_numpy_only_and_costs_little_more() -> None:
    ratios = []
    for _ in range(3):
        ratio, *loaded = run(sys.executable, "-c", IMPORT).split()
        assert set(loaded) <= LIGHT, (
            f"import temporal_jepa also loaded {set(loaded) - LIGHT}"
        )
        ratios.append(float(ratio))
    assert min(ratios) < 1.2, (
        f"import temporal_jepa takes {min(ratios):.2f} times as long as import torch"
    )


def test_help_does_not_load_torch() -> None:
    code = (
        "import sys; from temporal_jepa.cli import main as cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print('torch' in sys.modules)"
    )
    # `import temporal_jepa.cli.main` runs the package's __init__ too.
    assert run(sys.executable, "-c", code).splitlines()[-1] == "False", (
        "temporal-jepa --help imports torch"
    )


def fenced(text: str, *languages: str) -> list[str]:
    blocks = re.findall(r"^```(\w*)[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [body for language, body in blocks if language in languages]


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/index.md",
        "docs/python.md",
        "docs/objectives.md",
        "docs/coming_from.md",
        "docs/tutorials/for_data_scientists.md",
        "docs/tutorials/for_time_series.md",
        "docs/tutorials/for_researchers.md",
    ],
)
def test_python_blocks_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # Blocks of language `py` show other libraries, which are not installed.
    blocks = fenced((ROOT / page).read_text("utf-8"), "python")
    assert blocks, f"{page} shows no Python"
    if any("aeon" in block for block in blocks):
        pytest.importorskip("aeon")
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks:
        torch.set_num_threads(1)  # MiniRocket changes it
        exec(compile(block, page, "exec"), names)


def shell_lines() -> list[str]:
    lines = []
    for file in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "docs" / "tutorials").glob("*.md")),
    ]:
        for block in fenced(
            file.read_text("utf-8"), "", "sh", "bash", "shell", "console"
        ):
            lines += [
                line.strip().removeprefix("$ ")
                for line in block.replace("\\\n", " ").splitlines()
            ]
    return [re.sub(r"\s+#.*", "", line) for line in lines]


def test_shell_blocks_name_real_make_targets() -> None:
    targets = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    )
    asked = [
        word
        for line in shell_lines()
        if line.startswith("make ")
        for word in line.split()[1:]
    ]
    assert {"demo", "test"} <= set(asked), "README.md must show make demo and make test"
    assert {word for word in asked if re.fullmatch(r"[a-z][a-z-]*", word)} <= targets


def test_shell_blocks_use_real_verbs_and_flags(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    # What follows a pipe is another program; a misspelt verb shows its exit code.
    lines = [
        line.split(" | ")[0].split()
        for line in shell_lines()
        if line.startswith("temporal-jepa ") and " inspct " not in line
    ]
    assert lines, "README.md shows no temporal-jepa command"
    helps = {}
    for verb in {verb for _, verb, *_ in lines}:
        assert main([verb, "--help"]) == 0
        helps[verb] = capsys.readouterr().out
    for _, verb, *words in lines:
        for flag in [word.split("=")[0] for word in words if word.startswith("--")]:
            known = {flag, flag.replace("-", "_"), "--" + flag[2:].replace("_", "-")}
            assert any(
                re.search(rf"{re.escape(f)}(?![\w-])", helps[verb]) for f in known
            ), f"{verb} has no {flag}"


def test_named_versions_are_those_of_the_lock() -> None:
    lock = (ROOT / "constraints" / "lock.txt").read_text("utf-8")
    locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", lock, re.MULTILINE))
    named = {}
    for page in ["comparison.md", "coming_from.md"]:
        text = (ROOT / "docs" / page).read_text("utf-8")
        named.update(re.findall(r"\b([a-z][\w-]*) (\d+\.\d+\.\d+)\b", text))
    assert named["temporal-jepa"] == temporal_jepa.__version__
    assert "aeon" in named
    for package in named.keys() & locked.keys():
        assert named[package] == locked[package], f"the pages name an old {package}"


def test_every_make_target_explains_itself() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    for target in phony[1].split():
        assert re.search(rf"^{target}:.*## \w", makefile, re.MULTILINE), (
            f"make help does not explain {target}"
        )


def test_version_and_extras_agree() -> None:
    assert f"## {temporal_jepa.__version__}" in (ROOT / "CHANGELOG.md").read_text(
        "utf-8"
    )
    promised = {
        extra
        for file in [*FILES, ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
        for found in re.findall(r"temporal-jepa\[([\w,]+)\]", file.read_text("utf-8"))
        for extra in found.split(",")
    }
    assert promised <= set(PROJECT["optional-dependencies"]), (
        "an extra that pyproject.toml does not have"
    )


def committed() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    return [
        ROOT / name
        for name in run("git", "ls-files", "-z").split("\0")
        if name and (ROOT / name).is_file()
    ]


def test_no_path_of_a_machine_is_committed() -> None:
    places = [f"/{folder}/" for folder in ("work", "root", "Users")] + [str(ROOT)]
    pattern = re.compile(
        r"(?<![\w.)}\]:/-])("
        + "|".join(re.escape(place) for place in places)
        + r"|/home/\w+/)"
    )
    for file in committed():
        data = file.read_bytes()
        most = 8_000_000 if "pretrained" in file.parts else 1_000_000
        assert len(data) < most, (
            f"{file.relative_to(ROOT)} is too large for this repository"
        )
        found = pattern.search(data.decode("utf-8", errors="ignore"))
        assert not found, (
            f"{file.relative_to(ROOT)} names {found[0]!r}" if found else ""
        )


def test_links_between_documents_work() -> None:
    for file in [file for file in committed() if file.suffix == ".md"]:
        text = re.sub(
            r"^```.*?^```", "", file.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
        )
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            if not re.match(r"\w+:", target):
                assert (file.parent / target).exists(), (
                    f"{file.relative_to(ROOT)} links to {target}, which does not exist"
                )


@pytest.mark.slow
def test_sdist_and_wheel_install_and_run_outside_the_checkout(tmp_path: Path) -> None:
    # The wheel is built from the sdist.
    run(
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--outdir",
        tmp_path / "dist",
        ROOT,
    )
    (sdist,) = (tmp_path / "dist").glob("*.tar.gz")
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with tarfile.open(sdist) as tar:
        members = {name.partition("/")[2] for name in tar.getnames()}
    assert {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CITATION.cff",
        "conda/recipe.yaml",
        "constraints/floors.txt",
        "tests/test_repository.py",
    } <= members
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    ours = {
        str(p.relative_to(ROOT))
        for p in PACKAGE.rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }
    assert "temporal_jepa/py.typed" in ours
    assert {name for name in names if ".dist-info/" not in name} == ours

    venv = tmp_path / "a venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        wheel,
    )
    # The dependencies are those of the tests, without the editable install of this package.
    there = Path(
        run(
            python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"
        ).strip()
    )
    (there / "borrowed.pth").write_text(sysconfig.get_path("purelib"), "utf-8")
    where = run(
        python,
        "-c",
        "import temporal_jepa; print(temporal_jepa.__file__)",
        cwd=tmp_path,
    )
    assert Path(where.strip()).is_relative_to(venv)
    assert "pretrain" in run(python, "-m", "temporal_jepa", "--help", cwd=tmp_path)
    assert "pretrain" in run(python.parent / "temporal-jepa", "--help", cwd=tmp_path)
    (tmp_path / "data.csv").write_text(
        "\n".join(["a,b", *(f"{t % 7},{t % 5}" for t in range(64))]), "utf-8"
    )
    words = ("embed", "series-small", "data.csv", "--out", "e.npy")
    run(python, "-m", "temporal_jepa", *words, "--layout", "recording", cwd=tmp_path)
    assert (tmp_path / "e.npy").stat().st_size > 1000  # the bundled model is inside
