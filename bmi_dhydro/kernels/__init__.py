"""How equations are executed: by torch (`reference`), Numba (`cpu`) and Triton (`gpu`)."""
