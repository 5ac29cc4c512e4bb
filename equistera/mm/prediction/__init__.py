"""What is done with trained models: predicting, drawing, testing."""
