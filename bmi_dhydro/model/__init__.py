"""The model in memory: parameters, state and clock, without files and hosts."""
