"""Weather from files and hosts, and the forcing that a process model takes."""
