"""From annotated photos to training batches."""
