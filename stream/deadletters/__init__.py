"""Dead letters after they were written: finding them, sending them back, dropping them."""
