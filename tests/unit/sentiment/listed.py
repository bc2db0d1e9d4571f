"""The directory of tests: well-known companies, the noisy ones among them."""

from __future__ import annotations

from pathlib import Path

from stream.sentiment.directory import read_directory

HERE = Path(__file__).parent
DIRECTORY = read_directory(HERE / "symbols.csv")
