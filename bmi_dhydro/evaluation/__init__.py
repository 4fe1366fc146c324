"""How good simulations are: scores, balances and pictures."""
