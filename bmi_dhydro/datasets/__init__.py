"""Data sets of gauged catchments as they are distributed, brought to the files of this package."""
