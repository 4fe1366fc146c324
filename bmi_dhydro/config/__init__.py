"""Configurations as types; every error names the key, and what to write instead."""

from .run import (
    LARGEST_LOGARITHM,
    LARGEST_SPREAD,
    CatchmentsConfig,
    Config,
    EnsembleConfig,
    ForcingConfig,
    NetworkConfig,
    NoiseConfig,
    ObservedConfig,
    OutputConfig,
    SaveStateConfig,
    SpinUpConfig,
    TimeConfig,
    check_device,
    check_ensemble,
    read_config,
)

__all__ = [
    "LARGEST_LOGARITHM",
    "LARGEST_SPREAD",
    "CatchmentsConfig",
    "Config",
    "EnsembleConfig",
    "ForcingConfig",
    "NetworkConfig",
    "NoiseConfig",
    "ObservedConfig",
    "OutputConfig",
    "SaveStateConfig",
    "SpinUpConfig",
    "TimeConfig",
    "check_device",
    "check_ensemble",
    "read_config",
]
