"""Questions to the same rows beside the direction: when to sell, and how far to trust a text."""
