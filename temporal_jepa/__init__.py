"""Temporal JEPA: self-supervised embeddings of sequences by prediction in latent space.

The public names are listed in `__init__.pyi` and loaded at first use, so that the command line
starts without torch.
"""

from pathlib import Path

import lazy_loader

from .version import __version__ as __version__

__path__ = [
    *__path__,
    str(Path(__file__).with_name("deprecated")),
]  # module paths of version 0.1

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
