"""Write files whole or not at all, and know whether one is still what was written."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

# Numbers temporary files, of which several may be for one path.
_number = itertools.count()


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, moved over it when the block ends well.

    Parameters
    ----------
    path : Path
        Its folder must exist.

    Yields
    ------
    Path
        Write here. Removed where the block raises, so that `path` stays as it was.
    """
    temporary = beside(path)
    try:
        yield temporary
        put_in_place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def beside(path: Path) -> Path:
    """Return a path beside another, for a file that is to take its place; of this process alone."""
    return path.with_name(f".{path.name}.{os.getpid()}.{next(_number)}.part")


def put_in_place(temporary: Path, path: Path) -> None:
    """Give a file that is whole its name.

    Parameters
    ----------
    temporary : Path
        As `beside` returns it; closed.
    path : Path
        Replaced.
    """
    # On the disk before it has its name: a power cut leaves the old file or the new one.
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)


def link_or_copy(source: Path, target: Path) -> None:
    """Put a file elsewhere: as a hard link where possible, else as a copy.

    Parameters
    ----------
    source : Path
    target : Path
        Replaced; its folder must exist.
    """
    if target.exists() and target.samefile(source):
        return
    with replaced(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


# Ends a file that has a digest: the digest of all before this line. HDF5 says where it ends, and in
# a table it is a comment, so that other programs read such files too.
_MARK = b"\n# sha256 of all before this: "
_TRAILER = len(_MARK) + 64

# Bytes that are read at a time.
_PIECE = 2**20


def append_digest(path: Path) -> None:
    """Add a digest of a file's content to its end."""
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        digest = _digest(file, size)
        file.seek(size)
        file.write(_MARK + digest)


def digest_holds(path: Path) -> bool | None:
    """Return whether a file is what it was when its digest was added; None where it has none."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size < _TRAILER:
            return None
        file.seek(size - _TRAILER)
        trailer = file.read()
        if not trailer.startswith(_MARK):
            return None
        return trailer[len(_MARK) :] == _digest(file, size - _TRAILER)


def _digest(file: BinaryIO, size: int) -> bytes:
    """Return the SHA-256 digest of the first `size` bytes of a file, in hexadecimal digits."""
    file.seek(0)
    result = hashlib.sha256()
    while size > 0:
        piece = file.read(min(size, _PIECE))
        if not piece:
            break
        result.update(piece)
        size -= len(piece)
    return result.hexdigest().encode()
