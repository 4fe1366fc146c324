"""Loops around the equations for GPUs, compiled by Triton."""
