"""What labelling gets from a trained model: which pictures it is unsure of."""
