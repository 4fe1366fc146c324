"""Networks that give a process model its parameters, and files of trained models."""
