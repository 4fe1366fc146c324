"""What frameworks find by entry points of the installed package: a folder or file for each."""
