"""No prediction at all: the control of every objective with a regularizer."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from torch import Tensor

from ...config import TemporalJEPAConfig
from ..encoder import ContextEncoder
from ..regularizers import Regularizer, VICReg, check_regularizer
from .objective import Drawn, Objective


class RegularizerOnly(Objective):
    """Spread the tokens over all directions, and predict nothing.

    Args:
        regularizer: such as `VICReg` or `SIGReg`; None: `VICReg(1, 0.04)`.
    """

    recipe: ClassVar[Mapping[str, Any]] = MappingProxyType({"tokenizer": "patch"})
    video_recipe: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"tokenizer": "tubelet"}
    )

    def __init__(self, regularizer: Regularizer | None = None):
        super().__init__()
        check_regularizer(regularizer)
        self.regularizer = regularizer

    def setup(self, config: TemporalJEPAConfig) -> None:
        """The regularizer."""
        self._default = VICReg(1.0, 0.04)
        if self.regularizer is not None:
            self.regularizer.setup(config)

    def forward(
        self, encoder: ContextEncoder, x: Tensor, observed: Tensor, drawn: Drawn
    ) -> dict[str, Tensor]:
        """The terms of the regularizer; arguments as `Objective.forward`."""
        terms = (self.regularizer or self._default)(encoder.encode(x, observed))
        return {"loss": terms.pop("regularizer"), **terms}
