"""The StockNet benchmark: does anything here tell tomorrow's winners from its losers?"""
