"""What several tests of this folder need."""

COLUMNS = {"id": ["07", "a"], "area": [10.0, 20.0], "latitude": [40.0, 41.0], "aridity": [1, 2]}
