"""Loops around the equations for processors, compiled by Numba."""
