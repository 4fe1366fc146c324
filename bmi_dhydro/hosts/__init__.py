"""What hosts other than plain Python ask for; run packages of NextGen."""
