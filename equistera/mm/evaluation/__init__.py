"""What an evaluation computes while a run goes on: metrics, which weights are judged, what is drawn."""
