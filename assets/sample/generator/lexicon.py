"""The words of the fragment, by what they mean and what they govern. Many nouns are verbs too."""

from __future__ import annotations


def _words(text: str) -> list[str]:
    return text.split()


NOUNS: dict[str, list[str]] = {
    "person": _words("""engineer doctor farmer singer nurse pilot teacher judge student minister driver cook guard guide coach host
        lawyer painter sailor baker clerk writer officer neighbour scientist child woman man critic player witness partner
        manager tailor miner scout visitor editor mayor patient"""),
    "organisation": _words("company team committee council bank agency union club board crew press firm choir party staff"),
    "document": _words("""report letter book plan map record article contract note review list draft order claim offer story survey
        poem study answer message guide manual bill"""),
    "artefact": _words("""engine bridge boat drone machine camera watch clock pump house wall lamp tower wagon ship truck piano bell
        kite model tent oven train bicycle statue radio chair table design plant"""),
    "instrument": _words("hammer wrench drill brush knife rope ladder lens shovel crane needle torch chisel hook lever pencil"),
    "part": _words("valve handle roof wheel sensor window door label cover lock switch cable screen mark stripe crack"),
    "trait": _words("hat beard coat scarf smile bag limp dog cap uniform"),
    "place": _words("""harbour village market station garden office museum valley park camp field square forest library factory
        island hall school kitchen bridge"""),
    "event": _words("""meeting visit strike storm trial concert race march vote test search walk match dance flight party attack
        debate rescue harvest festival wedding launch"""),
    "topic": _words("safety trade music history water weather law health money steel energy language light sleep work love"),
}
UNCOUNTED = set(NOUNS["topic"]) | {"staff", "press"}
PLURALS = {"child": "children", "woman": "women", "man": "men", "knife": "knives"}

TRANSITIVE: dict[str, list[str]] = {
    "artefact": _words("""repair open carry build paint break inspect clean lift cover lock sell buy move damage design test watch
        load mark hook mend polish drop steal"""),
    "document": _words("read write review draft record publish sign note list print hide burn copy study translate answer"),
    "place": _words("visit leave search guard map cross enter reach film cover"),
    "person": _words("help meet thank coach judge guide praise blame call hire guard watch visit follow trust host nurse love"),
    "event": _words("plan attend delay watch join cancel miss host film remember record start"),
}
INTRANSITIVE = _words("arrive sleep laugh wait work fall vanish walk dance march rest sing cook smile shout return")
APPEARING = _words("arrive appear vanish surface come emerge")
MOTION: dict[str, list[str]] = {
    "to": _words("travel go walk march return fly move"),
    "in": _words("live work stay sleep"),
    "from": _words("come return flee"),
    "on": _words("rely comment"),
    "for": _words("wait search work vote"),
    "at": _words("look shout smile arrive"),
}
DITRANSITIVE = _words("give send offer show sell lend hand teach")
CLAUSAL = _words("say think claim know believe hope report doubt hear remember note")
WONDERING = _words("wonder ask know")
SUBJECT_CONTROL = _words("want try plan hope promise need decide offer refuse")
OBJECT_CONTROL = _words("ask order persuade help tell invite force teach")
RAISING = _words("seem appear tend happen")
PARTICLE: list[tuple[str, str]] = [
    ("pick", "up"),
    ("take", "down"),
    ("throw", "out"),
    ("hand", "over"),
    ("turn", "off"),
    ("put", "up"),
    ("set", "up"),
    ("bring", "in"),
]

IRREGULAR: dict[str, tuple[str, str]] = {
    "build": ("built", "built"),
    "break": ("broke", "broken"),
    "sell": ("sold", "sold"),
    "buy": ("bought", "bought"),
    "steal": ("stole", "stolen"),
    "read": ("read", "read"),
    "write": ("wrote", "written"),
    "hide": ("hid", "hidden"),
    "leave": ("left", "left"),
    "meet": ("met", "met"),
    "sleep": ("slept", "slept"),
    "fall": ("fell", "fallen"),
    "sing": ("sang", "sung"),
    "come": ("came", "come"),
    "go": ("went", "gone"),
    "fly": ("flew", "flown"),
    "flee": ("fled", "fled"),
    "give": ("gave", "given"),
    "send": ("sent", "sent"),
    "show": ("showed", "shown"),
    "lend": ("lent", "lent"),
    "teach": ("taught", "taught"),
    "say": ("said", "said"),
    "think": ("thought", "thought"),
    "know": ("knew", "known"),
    "hear": ("heard", "heard"),
    "tell": ("told", "told"),
    "take": ("took", "taken"),
    "throw": ("threw", "thrown"),
    "put": ("put", "put"),
    "set": ("set", "set"),
    "bring": ("brought", "brought"),
    "become": ("became", "become"),
}
DOUBLING = {"plan", "drop", "map"}

ADJECTIVES = _words("""old new red heavy small large strange quiet famous broken careful young local bright cheap empty proud late early
    open clean light public secret rare calm loud brave""")
MENTAL_ADJECTIVES = _words("happy ready eager afraid sad keen")
CLAUSE_ADJECTIVES = _words("clear likely strange certain odd possible")
COMPARATIVES = {
    "old": "older",
    "new": "newer",
    "heavy": "heavier",
    "small": "smaller",
    "large": "larger",
    "young": "younger",
    "bright": "brighter",
    "cheap": "cheaper",
    "quiet": "quieter",
    "light": "lighter",
    "loud": "louder",
    "calm": "calmer",
}
ADVERBS = _words("quickly slowly quietly badly well early late together alone carefully here there")
MIDDLE_ADVERBS = _words("often never always soon already still rarely also")
FRONT_ADVERBS = _words("however perhaps meanwhile yesterday today later sadly")
SUBORDINATORS = _words("because when although if while after before since")
NUMERALS = _words("two three four five six seven ten twelve twenty")
WEEKDAYS = _words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = _words("January February March April May June July August October November")

# Stems and endings that coin words no dictionary has; the ending tells the class, as it does in English.
STEMS = _words("""blen gram torv skel plim drac fenn glos harv jent kran lurm morp nald prax quen rost sarn trel vesk wamb yorl zind
    brill crust dalm elst flon grint holm ister""")
COINED: dict[str, list[str]] = {
    "person": ["er", "ist", "ian"],
    "artefact": ["et", "or", "ium", ""],
    "document": ["ogram", "ment", ""],
    "instrument": ["ometer", "el"],
    "event": ["ation", "ing", ""],
    "place": ["ery", "age"],
    "topic": ["ity", "ness", "ism"],
    "verb": ["ize", "ify", "ate", ""],
    "adjective": ["ous", "ic", "ish", "al"],
    "adverb": ["ously", "ishly", "ically"],
}

GIVEN_NAMES: dict[str, list[str]] = {
    "Fem": _words("Ada May June Grace Clara Hope Iris Nora Petra Vera April Joan Selma Faith Ruth Dawn"),
    "Masc": _words("Will Mark Bill Grant Hugo Otto Frank Jack Oscar Chase Amos Ivan Jordan Karl Miles Drew"),
}
NAME_STEMS = _words("""Har Kel Mar Bren Dov Fen Gal Hol Tam Wes Nor Quil Ros Sten Thar Ul Ver Wick Yar Zel Ash Cor Dun Ell Gren Has
    Il Lan Mil Pem Rud Sal Tor Wal Bel Cal""")
NAME_LINKS = ["", "", "", "a", "er", "en", "ing", "o"]
NAME_ENDINGS: dict[str, list[str]] = {
    "PERSON": ["son", "ley", "man", "sen", "kin"],
    "GPE": ["ton", "ville", "bury", "port", "stad"],
    "ORG": ["tech", "corp", "ex", "soft", "co"],
    "PRODUCT": ["pad", "star", "ix", "otron", "eo"],
}
SHARED_ENDINGS = ["low", "field", "more", "wick", "ford", "land", "by"]
ORGANISATION_ENDINGS = ["Labs", "Group", "University", "Motors", "United", "Press", "Guild", "Museum", "Council"]
PRODUCT_NOUNS = ["Falcon", "Orbit", "Pilot", "Watch", "Kestrel", "Note", "Record", "Comet"]
