"""A run: a model with its catchments, its weather, its clock and its results."""
