import shutil

import pytest
import torch
from factories import random_walks

from temporal_jepa import Sequences
from temporal_jepa.model.tokenizers import ConvTokenizer
from temporal_jepa.training.initial import initial_model


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch, of its own parts
@pytest.mark.skipif(
    shutil.which("g++") is None or " " in torch.__file__,
    reason="torch.compile needs g++, and a folder without a space",
)
def test_gradients_of_the_convolutions_are_the_same_compiled() -> None:
    X = random_walks(8, 2, 96)
    model = initial_model(Sequences.from_arrays(X), embed_dim=32, patch_len=4)
    tokenizer = model.context_encoder.tokenizer
    assert isinstance(tokenizer, ConvTokenizer)
    x = torch.from_numpy(X).mT.contiguous()
    x[0, 10:30] = 0
    observed = x != 0
    gradients = []
    for forward in (tokenizer, torch.compile(tokenizer)):
        tokenizer.zero_grad()
        forward(x, observed, torch.ones(2)).square().sum().backward()
        gradients.append({n: p.grad for n, p in tokenizer.named_parameters()})
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-2)
