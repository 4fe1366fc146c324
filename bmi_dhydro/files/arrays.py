"""Arrays and what describes them as one `.safetensors` file, with a digest of the whole content.

Trained models, parameter files, the progress of training and the states that hosts keep are written
and read here. A file whose content is not what was written is an error: one flipped bit would give
another flow, and show in no other way. Nothing in a file is executed.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DhydroError
from .whole import replaced

_log = logging.getLogger(__name__)

_FORMAT, _VERSION, _DIGEST = "format", "format_version", "digest"


@dataclass(frozen=True)
class ArrayFormat:
    """A kind of file.

    Attributes
    ----------
    name : str
        What `format` says in a file of this kind.
    title : str
        What people call such a file, with its article.
    version : int
        That is written; older ones are read too.
    digest_since : int
        The first version whose files have a digest.
    error, damaged : type
        Raised for a file of another kind or version, and for one that is not whole.
    """

    name: str
    title: str
    version: int
    digest_since: int
    error: type[DhydroError]
    damaged: type[DhydroError]

    def pack(self, arrays: Mapping[str, NDArray], metadata: Mapping[str, str]) -> bytes:
        """Return arrays and metadata as the content of a file, its digest among the metadata."""
        from safetensors.numpy import save

        contiguous = {name: np.asarray(values, order="C") for name, values in arrays.items()}
        described = {**metadata, _FORMAT: self.name, _VERSION: str(self.version)}
        described[_DIGEST] = digest(contiguous, described)
        return save(contiguous, described)

    def save(self, path: Path, arrays: Mapping[str, NDArray], metadata: Mapping[str, str]) -> None:
        """Write a file, whole or not at all; arguments as `pack`."""
        content = self.pack(arrays, metadata)
        with replaced(path) as temporary:
            temporary.write_bytes(content)
            temporary.chmod(0o644)

    def read(self, path: Path) -> tuple[dict[str, NDArray], dict[str, str]]:
        """Read a file; result and errors as `unpack`."""
        try:
            content = path.read_bytes()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise self.error(f"{path}: {self.title} cannot be read ({reason})") from None
        return self.unpack(content, str(path))

    def unpack(self, content: bytes, source: str) -> tuple[dict[str, NDArray], dict[str, str]]:
        """Return arrays and metadata of the content of a file.

        Parameters
        ----------
        content : bytes
        source : str
            What to call it in errors.

        Returns
        -------
        arrays : dict of array
        metadata : dict of str

        Raises
        ------
        DhydroError
            `damaged`, if it is not whole or not what was written; `error`, if it is of another
            kind, or of a version that this one does not know.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            size = int.from_bytes(content[:8], "little")
            metadata = json.loads(content[8 : 8 + size]).get("__metadata__", {})
            arrays = dict(sorted(load(content).items()))
        except (
            SafetensorError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            OverflowError,
            MemoryError,
            RecursionError,
        ) as error:
            raise self.damaged(
                f"{source}: not a whole {self.title.split(' ', 1)[1]} ({error}); copy or make it "
                "again"
            ) from None
        if metadata.get(_FORMAT) != self.name:
            raise self.error(
                f"{source}: is not {self.title} (its metadata lack format = {self.name!r})"
            )
        version = metadata.get(_VERSION, "")
        if version not in map(str, range(1, self.version + 1)):
            raise self.error(
                f"{source}: is of format version {version}, but this version of bmi_dhydro reads "
                f"up to {self.version}; install the version that wrote it"
            )
        if int(version) < self.digest_since:
            if _DIGEST not in metadata:
                _log.warning(
                    "%s: is of an older version, without a digest: damage would not be noticed",
                    source,
                )
        elif metadata.get(_DIGEST) != digest(arrays, metadata):
            raise self.damaged(
                f"{source}: is damaged, its content is not what was written; copy or make it again"
            )
        return arrays, metadata

    def check_finite(
        self, arrays: Mapping[str, NDArray], source: str, but: Collection[str] = ()
    ) -> None:
        """Refuse numbers that are not finite; `but` names arrays that may have them.

        Raises
        ------
        DhydroError
            `damaged`, naming the array.
        """
        for name, values in arrays.items():
            if name not in but and values.dtype.kind == "f" and not np.isfinite(values).all():
                raise self.damaged(f"{source}: {name} has values that are not finite")


def digest(arrays: Mapping[str, NDArray], metadata: Mapping[str, str]) -> str:
    """Return the SHA-256 digest of arrays with their names, types and shapes, and of metadata."""
    described = {key: value for key, value in metadata.items() if key != _DIGEST}
    result = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for name in sorted(arrays):
        values = np.asarray(arrays[name])
        result.update(json.dumps([name, values.dtype.str, values.shape]).encode())
        result.update(values.tobytes())
    return result.hexdigest()
