"""Models that others have trained and published, brought to files of this package."""
