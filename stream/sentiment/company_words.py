"""Words that are also companies and tickers, and words that say what kind of company follows."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LEGAL = _words(
    """
    inc incorporated corp corporation co company companies ltd limited plc llc lp nv sa ag se ab asa
    oyj spa kgaa gmbh bv holding holdings group reit sa/nv
    """
)
# Left out where one distinctive word remains: Cisco Systems is Cisco, United Technologies is whole.
DESCRIPTIVE = _words(
    """
    international industries technologies systems communications energy motor motors stores airlines
    pharmaceuticals semiconductor laboratories platforms brands
    """
)
# Everyday words and names of people: a company only with a capital, where capitals mean something.
COMMON = _words(
    """
    adobe alphabet amazon apple autodesk campbell caterpillar chewy chubb cooper deere delta ebay
    emerson ford hershey intel kraft lemonade monsanto nike oracle peloton philips prologis sage
    salesforce shell southwest starbucks tapestry tesla visa workday yahoo
    """
)
# The noisiest: these need a second sign too.
NOISY = _words(
    """
    align ally american analog applied ball beyond block box buckle cable carnival carrier charter
    chase clear coach compass core crown discover dish dollar dominion dover duke eaton express fair
    first five fox frontier gap general global guess key limited lowe match meta mosaic monster
    national news now open post pool progressive public quest realty regions republic root ross
    simon slack snap southern spirit sprint square standard state sunrise target total travelers
    twist union united unity vulcan waste western williams world zoom
    """
) | {"big lots", "dollar tree", "first solar", "five below", "take two"}
# Where these rate another company they are no subject.
BROKERS = frozenset(
    (
        "bank of america", "barclays", "bernstein", "bofa", "citi", "citigroup", "credit suisse",
        "deutsche bank", "evercore", "goldman", "goldman sachs", "hsbc", "j.p. morgan", "jefferies",
        "jpmorgan", "jpmorgan chase", "keycorp", "mizuho", "morgan stanley", "nomura",
        "oppenheimer", "piper sandler", "raymond james", "royal bank of canada", "stifel", "ubs",
        "wells fargo",
    )
)  # fmt: skip
# Tickers that stand in texts as words, in capitals: a ticker as written bare only where given,
TICKER_WORDS = _words(
    """
    AI AM AN AS AT BE BY DO EU GO HE IF IN IS IT MA ME MY NO OF ON OR PC PE PM QE SO TO TV UK UN
    UP US VC VP WE ACT AGO ALL AND ANY APP APT ARE ASK AWAY BABY BALL BEST BIG BILL BIT BOOM BOX
    BRO BUY CAN CAR CARE CARS CASH CAT CEO CFO COO COST CPI CTO CUT DAY DIY DOG DOW EAR EAT EDIT
    EPS ESG ETF EVER EYE FAST FBI FCC FDA FED FIVE FLOW FOR FOUR FREE FTC FUN FUND GAIN GAP GDP
    GET GOLD GOOD GROW HAS HEAR HER HIGH HOLD HOME HOPE HOUR HUGE ICE IMF IPO IRS ITS JOB JOBS
    KEY KIDS LAND LAW LIFE LINE LIVE LMT LOAN LONG LOVE LOW MAIN MAN MAR MARK MAX MAY MEN MET
    MIND MOD MOVE NET NEW NEWS NEXT NICE NOT NOW NYSE OIL OLD ONE OPEN OUT OWN PAY PEAK PLAN
    PLAY PLUS POST PUMP PUT RACE RARE REAL RIDE ROCK ROOT RUN SAFE SALE SAVE SAY SEC SEE SELL
    SHE SHIP SITE SIX SKY SNAP SON SPOT STAY STEP STOP SUN TALK TAP TEAM TECH TELL TEN THE TOP
    TRUE TURN TWO USA USD VERY VOTE WALL WANT WAR WASH WELL WHO WIN WING WOLF WOOD WORK WOW YEAR
    YELL YES YOU YOLO ZERO
    """
)
# and these not even then: texts write them in capitals whomever they are about.
ALWAYS_WORDS = _words(
    """
    AI AM AN AS AT BE BY DO EU GO HE IF IN IS IT ME MY NO OF ON OR PC PM SO TO TV UK UN UP US VP WE
    CEO CFO CPI CTO DOW EPS ESG ETF FBI FCC FDA FED FTC GDP IMF IPO IRS NYSE SEC USA USD
    """
)
