"""The mark of tests that write graphs."""

import pytest
import torch
from torch.torch_version import TorchVersion

from temporal_jepa.model.export import TESTED

writes_graphs = pytest.mark.skipif(
    TorchVersion(torch.__version__) < TESTED,
    reason=f"torch before {TESTED} refuses some graphs",
)
