"""Check that the examples of docs/data.md print what they show; --write brings them up to date.

python docs/inspect_examples.py [--write]

An example is a text block with the content of a file, and a console block that inspects it.
"""

import argparse
import contextlib
import io
import os
import re
import sys
import tempfile
from pathlib import Path

from temporal_jepa.cli.main import main as temporal_jepa

PAGE = Path(__file__).parent / "data.md"
EXAMPLE = re.compile(
    r"```text\n(?P<content>[^`]*)```\n\n"
    r"```console\n\$ temporal-jepa (?P<words>inspect (?P<file>\S+)[^\n]*)\n(?P<shown>[^`]*)```"
)


def inspected(content: str, file: str, words: str) -> str:
    """What the command prints, with errors, for a file of this content."""
    output = io.StringIO()
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / file).write_text(content, encoding="utf-8")
        os.chdir(folder)
        try:
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                temporal_jepa(words.split())
        finally:
            os.chdir(home)
    return output.getvalue()


def brought_up_to_date(page: str) -> str:
    """The page with the output of each example as it is now."""

    def example(match: re.Match[str]) -> str:
        now = inspected(match["content"], match["file"], match["words"])
        return match[0].removesuffix(match["shown"] + "```") + now + "```"

    return EXAMPLE.sub(example, page)


def main() -> int:
    """Exit code 1 when an example shows something else than what is printed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="rewrite the page")
    options = parser.parse_args()
    page = PAGE.read_text("utf-8")
    now = brought_up_to_date(page)
    if options.write:
        PAGE.write_text(now, encoding="utf-8")
    elif now != page:
        print(f"{PAGE.name} is not what is printed; run it with --write")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
