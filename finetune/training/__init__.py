"""Fine-tuning, from a recipe to a saved model."""
