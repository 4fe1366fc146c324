"""How a run is driven: by a host that sets the weather, or ahead, by weather from a file."""
