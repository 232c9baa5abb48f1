"""The files of a checkpoint: safetensors and JSON, written and read by PyTorch's DCP.

Each process writes one file with its parts of the tensors. `manifest.json`, written last, names the
files with their checksums and says where each part belongs; a folder without it is no checkpoint.
The format of DCP itself has a pickle, which can run code when it is read.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from operator import add
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import (
    LoadPlan,
    LoadPlanner,
    ReadItem,
    SavePlan,
    SavePlanner,
)
from torch.distributed.checkpoint.storage import (
    StorageReader,
    StorageWriter,
    WriteResult,
)
from torch.futures import Future

from ..config import shortened
from ..files import MANIFEST, read_json, write_atomically, write_json
from ..files.sealed import SHA256, checksum, seal

ORIGIN = "run"  # the entry of the manifest that says of which run it is
FILE = re.compile(r"\d{5}\.safetensors")
DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "int64": torch.int64,
}
DIMENSIONS = 8  # of a tensor, at most


class Writer(StorageWriter):
    """Writes the tensors of a state into a folder; `dcp.save` calls its methods in their order.

    Args:
        folder: of the checkpoint.
        origin: the run that it is of, in JSON; see `Checkpoints`.
    """

    def __init__(self, folder: Path, origin: Mapping[str, Any] | None = None):
        self.folder = folder
        self.origin = origin

    def reset(self, checkpoint_id: Any = None) -> None:
        """Nothing to do: a writer writes one checkpoint."""

    def set_up_storage_writer(self, is_coordinator: bool, **kwargs: Any) -> None:
        """Create the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        """The plan of a process, as it is."""
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """A file for each process."""
        return [
            replace(plan, storage_data=f"{number:05d}.safetensors")
            for number, plan in enumerate(plans)
        ]

    def write_data(
        self, plan: SavePlan, planner: SavePlanner
    ) -> "Future[list[WriteResult]]":
        """Write the parts of this process: they are in the file under their numbers."""
        parts: dict[str, Tensor] = {}
        for number, item in enumerate(plan.items):
            part = planner.resolve_data(item)
            if not isinstance(part, Tensor):
                raise TypeError(f"expected tensors in a state, got {item.index.fqn}")
            parts[str(number)] = part.detach().cpu().contiguous().clone()
        content = save(parts)
        write_atomically(self.folder / plan.storage_data, content)
        file = {
            "name": plan.storage_data,
            "size": len(content),
            "sha256": sha256(content).hexdigest(),
        }
        results = [
            WriteResult(item.index, parts[str(number)].nbytes, (file, number))
            for number, item in enumerate(plan.items)
        ]
        future: Future[list[WriteResult]] = Future()
        future.set_result(results)
        return future

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """Write the manifest, in the first process, once all files are written."""
        files: dict[str, Any] = {}
        tensors: dict[str, Any] = {}
        for name, found in metadata.state_dict_metadata.items():
            assert isinstance(found, TensorStorageMetadata)
            dtype = str(found.properties.dtype).removeprefix("torch.")
            tensors[name] = {"dtype": dtype, "shape": list(found.size), "parts": []}
        for result in (result for each in results for result in each):
            file, number = result.storage_data
            files[file["name"]] = {"size": file["size"], "sha256": file["sha256"]}
            tensor = tensors[result.index.fqn]
            offset = result.index.offset or [0] * len(tensor["shape"])
            where = {"offset": list(offset), "file": file["name"], "number": number}
            tensor["parts"].append(where)
        for name, found in metadata.state_dict_metadata.items():
            assert isinstance(found, TensorStorageMetadata)
            sizes = {tuple(chunk.offsets): list(chunk.sizes) for chunk in found.chunks}
            for part in tensors[name]["parts"]:
                part["size"] = sizes[tuple(part["offset"])]
        content = {"format": 1, "files": files, "tensors": tensors}
        if self.origin is not None:
            content[ORIGIN] = dict(self.origin)
        write_json(self.folder / MANIFEST, content)

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: Any) -> bool:
        """The folder is an argument of the constructor."""
        return True


class Reader(StorageReader):
    """Reads a checkpoint of `Writer`; `dcp.load` calls its methods in their order.

    Args:
        folder: of the checkpoint.

    Raises:
        ValueError: if the manifest was changed, or is not one of this version.
        OSError: if it cannot be read.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.manifest = read_json(folder / MANIFEST)
        if not _is_manifest(self.manifest):
            raise ValueError(f"{MANIFEST} is not one of this version")

    def reset(self, checkpoint_id: Any = None) -> None:
        """Nothing to do: a reader reads one checkpoint."""

    def damage(self, share: slice) -> str:
        """How files differ from what was written, "" if they do not.

        Args:
            share: the files to read, of all in order.
        """
        files = sorted(self.manifest["files"].items())
        for name, expected in files[share]:
            path = self.folder / name
            if path.is_symlink() or not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != expected["size"]:
                size = path.stat().st_size
                return f"{name} has {size} bytes instead of {expected['size']}"
            if checksum(path) != expected["sha256"]:
                return f"{name} was changed after it was written"
        return ""

    def other_origin(self, origin: Mapping[str, Any]) -> str:
        """How the checkpoint is of another run than `origin`, "" if nothing says so."""
        found: Any = self.manifest.get(ORIGIN)
        if not isinstance(found, dict) or not isinstance(found.get("settings"), dict):
            return ""  # of an earlier version
        settings = found["settings"]
        expected = seal(origin["settings"])
        for name in sorted(settings.keys() & expected.keys() - {SHA256}):
            if settings[name] != expected[name]:
                here = shortened(expected[name])
                there = shortened(settings[name])
                return (
                    f"is of another run ({shortened(found.get('folder'))}): its {name} is {there}, "
                    f"that of this run is {here}"
                )
        return ""

    def shapes(self) -> dict[str, tuple[list[int], torch.dtype]]:
        """Shape and type of each tensor."""
        return {
            name: (entry["shape"], DTYPES[entry["dtype"]])
            for name, entry in self.manifest["tensors"].items()
        }

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """What the manifest says, in the terms of DCP."""
        tensors: dict[str, Any] = {}
        places: dict[MetadataIndex, tuple[str, int]] = {}
        for name, (shape, dtype) in self.shapes().items():
            parts = self.manifest["tensors"][name]["parts"]
            chunks = [
                ChunkStorageMetadata(
                    torch.Size(part["offset"]), torch.Size(part["size"])
                )
                for part in parts
            ]
            properties = TensorProperties(dtype=dtype)
            tensors[name] = TensorStorageMetadata(properties, torch.Size(shape), chunks)
            for part in parts:
                index = MetadataIndex(name, part["offset"])
                places[index] = part["file"], part["number"]
        return Metadata(state_dict_metadata=tensors, storage_data=places)

    def set_up_storage_reader(
        self, metadata: Metadata, is_coordinator: bool, **kwargs: Any
    ) -> None:
        """Remember where the parts are."""
        self.places = metadata.storage_data

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        """The plan of a process, as it is."""
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        """The plans of all processes, as they are."""
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> "Future[None]":
        """Copy the parts that this process needs into its tensors."""
        requests: dict[str, list[tuple[int, ReadItem]]] = {}
        for item in plan.items:
            file, number = self.places[item.storage_index]
            requests.setdefault(file, []).append((number, item))
        for file, items in requests.items():
            with safe_open(self.folder / file, framework="pt") as parts:
                for number, item in items:
                    part = parts.get_tensor(str(number))
                    for axis, start in enumerate(item.storage_offsets):
                        part = part.narrow(axis, start, item.lengths[axis])
                    target = planner.resolve_tensor(item).detach()
                    target.copy_(part)
                    planner.commit_tensor(item, target)
        future: Future[None] = Future()
        future.set_result(None)
        return future

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: Any) -> bool:
        """The folder is an argument of the constructor."""
        return True


def _is_manifest(manifest: dict[str, Any]) -> bool:
    """Whether a manifest has a checksum, and says of every value in which file it is."""
    if SHA256 not in manifest or manifest.get("format") != 1:
        return False
    try:
        files = manifest["files"]
        tensors = manifest["tensors"].values()
        bytes_stored = sum(_size_of(name, file) for name, file in files.items())
        bytes_needed = sum(_bytes_of(tensor, files) for tensor in tensors)
    except (LookupError, TypeError, ValueError, AttributeError):
        return False
    return bytes_needed <= bytes_stored


def _size_of(name: str, file: dict[str, Any]) -> int:
    """The size of a file. ValueError if it is none of ours."""
    if not FILE.fullmatch(name) or not isinstance(file["sha256"], str):
        raise ValueError(name)
    return _counts([file["size"]])[0]


def _bytes_of(tensor: dict[str, Any], files: dict[str, Any]) -> int:
    """The bytes of a tensor. ValueError unless its parts are in files and fill it."""
    shape = _counts(tensor["shape"])
    values = 0
    for part in tensor["parts"]:
        sizes = _counts(part["size"])
        ends = map(add, _counts(part["offset"]), sizes)
        is_inside = all(a <= b for a, b in zip(ends, shape, strict=True))
        if not is_inside or part["file"] not in files:
            raise ValueError(part["file"])
        _counts([part["number"]])
        values += math.prod(sizes)
    if values != math.prod(shape):
        raise ValueError("incomplete")
    return values * DTYPES[tensor["dtype"]].itemsize


def _counts(found: list[Any]) -> list[int]:
    """Whole numbers from 0. ValueError if they are not."""
    if not isinstance(found, list) or len(found) > DIMENSIONS:
        raise ValueError("expected numbers")
    if not all(type(count) is int and 0 <= count < 2**48 for count in found):
        raise ValueError("expected whole numbers")
    return found
