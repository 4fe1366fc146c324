"""Where generated kernels live, so that a second process finds them compiled."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

CACHE_VARIABLE = "BMI_DHYDRO_CACHE_DIR"

_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return the folder of compiled kernels: `$BMI_DHYDRO_CACHE_DIR` or the user's cache."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen)
    return user_cache_path("bmi_dhydro", appauthor=False)


def _implementation() -> bytes:
    """Return what compiled code depends on beside its own source."""
    import numba

    here = Path(__file__).parent / "cpu"
    used = (
        "addresses",
        "assembler",
        "elements",
        "expressions",
        "instructions",
        "products",
        "ring",
        "rows",
        "transfers",
        "vectors",
    )
    parts = [(here / f"{name}.py").read_bytes() for name in used]
    return b"".join(parts) + numba.__version__.encode()


def load(
    source: str, name: str, called: Mapping[str, Callable[..., Any]] | None = None
) -> dict[str, Any]:
    """Execute generated source as a module kept in the cache folder.

    Parameters
    ----------
    source : str
        Python source of a kernel, made by this package.
    name : str
        A readable part of the file's name.
    called : mapping of callable, optional
        Compiled functions of other modules that it calls, by name. The source must differ where
        they do.

    Returns
    -------
    dict
        The module's globals. Where the folder cannot be written the source is executed from
        memory and compiled anew in each process.
    """
    digest = hashlib.sha256(source.encode() + _implementation()).hexdigest()[:16]
    path = cache_folder() / f"{name}_{digest}.py"
    try:
        _write(path, "CACHE = True\n" + source)
        return _imported(path, called or {})
    except (OSError, RuntimeError) as error:  # Numba raises the latter where it cannot write
        _log.info("kernels are compiled anew in this process: %s", error)
    namespace: dict[str, Any] = {"CACHE": False, "__name__": f"bmi_dhydro_{name}", **(called or {})}
    exec(compile(source, f"<{name}>", "exec"), namespace)
    return namespace


def load_file(source: str, name: str) -> dict[str, Any]:
    """Execute generated source as a module in a file, which Triton reads again.

    Arguments and result as `load`; where the cache folder cannot be written the file is temporary.
    """
    digest = hashlib.sha256(source.encode()).hexdigest()[:16]
    path = cache_folder() / f"{name}_{digest}.py"
    try:
        _write(path, source)
    except OSError as error:
        _log.info("kernels are printed anew in this process: %s", error)
        path = Path(tempfile.mkdtemp(prefix="bmi_dhydro_")) / path.name
        _write(path, source)
    return _imported(path, {})


def _imported(path: Path, called: Mapping[str, Callable[..., Any]]) -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location(f"bmi_dhydro_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Numba finds the globals of code that it loads from its cache by the module's name.
    sys.modules[spec.name] = module
    vars(module).update(called)
    spec.loader.exec_module(module)
    return vars(module)


def _write(path: Path, text: str) -> None:
    """Write `path` whole or not at all, unless it holds `text` already."""
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    with os.fdopen(handle, "w") as file:
        file.write(text)
    os.replace(temporary, path)
