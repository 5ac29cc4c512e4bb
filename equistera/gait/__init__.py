"""What a horse's tracks say of its gait: strides, angles, symmetry, each with how exactly it is known. NumPy, SciPy."""
