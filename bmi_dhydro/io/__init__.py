"""Files: tables of catchments, results, states, parameters."""
