"""What several trainings ask of configs, data and models."""
