"""Sentiment models: labelled texts, fine-tuning, export and what a model is good at."""
