"""What a host reads and sets, wherever the model is."""
