"""The recipes of docs/embed_at_scale.md, run on the real engines."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "embed_at_scale.md"
EXPECTED = """
X = X.reshape(40, 1, 64)
model = from_pretrained("series-small")
expected = embed_sequences(model, Sequences.from_arrays(X), dim=128)
np.testing.assert_array_equal(vectors, expected)
print("equal")
"""


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "package"), [("ray", "ray"), ("spark", "pyspark")])
def test_the_recipe_gives_the_same_embeddings(
    engine: str, package: str, tmp_path: Path
) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (recipe,) = (block for block in blocks if block.startswith(f"# {engine}\n"))
    script = tmp_path / "main.py"
    script.write_text(recipe + EXPECTED)
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "RAY_DEDUP_LOGS": "0",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "equal" in done.stdout
