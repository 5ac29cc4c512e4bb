"""What a horse's tracks say of its gait: angles, strides, symmetry, each with how exactly it is known. NumPy only."""
