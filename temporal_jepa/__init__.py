"""Temporal JEPA: self-supervised representations of sequences by predicting masked timesteps in latent space.

The public names stand in `__init__.pyi` and are loaded at first use, so that the command line starts without torch.
"""

import lazy_loader

from .version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
