"""A model whose weights are split over the processes of a run: FSDP2 of PyTorch.

Each process holds its part of every weight, gradient and optimizer moment. A block of a transformer
is put together when it is computed, and taken apart again.
"""

import torch
import torch.distributed as dist
from torch import Tensor

from ..model.jepa import TemporalJEPA, draw_model
from ..model.transformer import Block


def shard(model: TemporalJEPA, device: torch.device) -> None:
    """Split the weights of a model over all processes, in place.

    Args:
        model: the same architecture in every process. The first process has the weights; those of
            the others are replaced, and may be on the meta device.
        device: where each process computes.
    """
    from torch.distributed.checkpoint.state_dict import (
        StateDictOptions,
        set_model_state_dict,
    )
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    is_first = dist.get_rank() == 0
    weights = model.state_dict() if is_first else {}
    weights = {name: value.detach().clone() for name, value in weights.items()}
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    for module in model.modules():
        if isinstance(module, Block):
            fully_shard(module, mesh=mesh)
    fully_shard(model, mesh=mesh)
    register_fsdp_forward_method(model, "encode_context")
    if any(parameter.is_meta for parameter in model.parameters()):
        model.to_empty(device=device)
    else:
        model.to(device)
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    set_model_state_dict(model, weights, options=options)


def whole_model(model: TemporalJEPA) -> TemporalJEPA | None:
    """A sharded model put together on the CPU of the first process, None in the others.

    All processes call it.
    """
    from torch.distributed.checkpoint.state_dict import (
        StateDictOptions,
        get_model_state_dict,
    )

    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    weights = get_model_state_dict(model, options=options)
    if dist.get_rank() != 0:
        return None
    whole = draw_model(model.config, 0, model.objective, model.own_modules)
    whole.load_state_dict(weights)
    return whole.eval()


def whole(value: Tensor) -> Tensor:
    """A tensor that may be split over processes, put together; all processes call it."""
    full = getattr(value, "full_tensor", None)
    return value if full is None else full()
