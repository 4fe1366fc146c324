"""Trained models that come with the package, by the names that configurations give them."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parents[1] / "checkpoints"

SHIPPED = {
    "default": _FOLDER / "hbv_dynamic.safetensors",
    "fast": _FOLDER / "hbv.safetensors",
    "ensemble": _FOLDER / "hbv_ensemble.safetensors",
}

# What the default was called before it was the default: configurations may still say so.
_EARLIER = {"dynamic": "default"}


def shipped(name: object) -> Path | None:
    """Return the file of a model that comes with the package; None where there is none so called.

    Parameters
    ----------
    name : object
        What a configuration calls its trained model.
    """
    if not isinstance(name, str):
        return None
    return SHIPPED.get(_EARLIER.get(name, name))
