"""A detector of animals, trained like a pose model: its samples, its network, its metric."""
