"""A step function as a list of operations: found, differentiated, printed."""
