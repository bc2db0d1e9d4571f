"""Datasets: the training table as Parquet files, with what it was made of and what is in it."""
