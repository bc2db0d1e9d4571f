"""Words that a sketch leaves out, takes for facts or spells alike."""

from __future__ import annotations

# Regular expressions of names that a feed puts before or behind a headline.
SOURCES = (
    r"reuters", r"bloomberg(?: news)?", r"cnbc", r"dow jones(?: newswires)?", r"dj", r"wsj",
    r"the wall street journal", r"ft", r"financial times", r"ap", r"associated press", r"afp",
    r"marketwatch", r"barron'?s", r"benzinga", r"seeking alpha", r"the motley fool", r"zacks",
    r"yahoo(?: finance)?", r"business ?wire", r"pr ?newswire", r"globe ?newswire", r"nyt",
    r"street ?insider", r"the fly", r"the new york times", r"bbc", r"cnn", r"fox business",
    r"investing\.com", r"the ?street", r"market ?screener", r"forbes", r"fortune", r"axios",
)  # fmt: skip

WORDS_TO_LEAVE_OUT = """
a after amid an and are as at be been by for from has have he her his in inc into is it its
corp corporation company co ltd llc plc of on or our per cent percent pct says said she so that the
their them they this to was we were will with you your
"""

# Besides numbers: the same sentence with another one of these is another story.
FACT_WORDS = """
above accept accepts add adds approval approve approved approves ban bans bear bearish beat beats
below block blocked blocks bull bullish buy buys close closes cut cuts decline declines denies deny
down downgrade downgraded downgrades downgrading drop dropped drops end ends fail fails fall falling
falls fell fire fires gain gained gains halt halts high higher highs hike hikes hire hires hold
increase increased increases join joins jump jumps lose loses loss losses low lower lowered lowers
lows miss missed misses negative no not open opens outperform overweight plunge plunges positive
profit profits quit quits raise raised raises raising rallies rally recall reject rejected rejection
rejects resume resumes rise rises rising rose sell sells settle short slash slashes slide slides
slip slips slump slumps soar soars start starts stop stops strong sue sues surge surges tumble
tumbles top tops trail trails underperform underweight up upgrade upgraded upgrades upgrading weak
win wins won
first second third fourth monday tuesday wednesday thursday friday saturday sunday
january february march april may june july august september october november december
"""

SPELLED_NUMBERS_AND_MONTHS = """
one=1 two=2 three=3 four=4 five=5 six=6 seven=7 eight=8 nine=9 ten=10 eleven=11 twelve=12
jan=january feb=february mar=march apr=april jun=june jul=july aug=august sep=september
sept=september oct=october nov=november dec=december
"""
