"""Several trainings that belong together: started side by side or on a cluster, resumed, compared."""
