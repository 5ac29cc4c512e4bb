"""What a training run does and when: stages, phases, schedules. Pure functions; ``equistera.mm`` applies them."""
