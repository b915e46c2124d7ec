"""The closed word lists that every part of the corpus draws from."""

from __future__ import annotations


def split(text: str, separator: str = " ") -> list[str]:
    """The words of a list that is written as one text."""
    return text.split(separator)


NAMES = split(
    "Anna Ben Clara David Emma Felix Grace Hugo Iris Jack Kate Leo Maria Noah Olga Paul Rosa Sam Tina "
    "Victor Wendy Amir Bella Carlos Dina Elena Farid Gina Hana Ivan Julia Kofi Lena Max Nina Omar "
    "Petra Ravi Sara Tom Uma Vera Yuki Zoe Alma Boris Chen Diego Aisha Mei"
)

COUNTRIES: dict[str, tuple[str, str, str]] = {
    # country: capital, continent, language
    "France": ("Paris", "Europe", "French"),
    "Germany": ("Berlin", "Europe", "German"),
    "Italy": ("Rome", "Europe", "Italian"),
    "Spain": ("Madrid", "Europe", "Spanish"),
    "Portugal": ("Lisbon", "Europe", "Portuguese"),
    "Austria": ("Vienna", "Europe", "German"),
    "Greece": ("Athens", "Europe", "Greek"),
    "Norway": ("Oslo", "Europe", "Norwegian"),
    "Sweden": ("Stockholm", "Europe", "Swedish"),
    "Finland": ("Helsinki", "Europe", "Finnish"),
    "Denmark": ("Copenhagen", "Europe", "Danish"),
    "Poland": ("Warsaw", "Europe", "Polish"),
    "Hungary": ("Budapest", "Europe", "Hungarian"),
    "Ireland": ("Dublin", "Europe", "English"),
    "Iceland": ("Reykjavik", "Europe", "Icelandic"),
    "Romania": ("Bucharest", "Europe", "Romanian"),
    "Bulgaria": ("Sofia", "Europe", "Bulgarian"),
    "Croatia": ("Zagreb", "Europe", "Croatian"),
    "Japan": ("Tokyo", "Asia", "Japanese"),
    "China": ("Beijing", "Asia", "Chinese"),
    "India": ("New Delhi", "Asia", "Hindi"),
    "Thailand": ("Bangkok", "Asia", "Thai"),
    "Vietnam": ("Hanoi", "Asia", "Vietnamese"),
    "Nepal": ("Kathmandu", "Asia", "Nepali"),
    "Mongolia": ("Ulaanbaatar", "Asia", "Mongolian"),
    "South Korea": ("Seoul", "Asia", "Korean"),
    "Egypt": ("Cairo", "Africa", "Arabic"),
    "Kenya": ("Nairobi", "Africa", "Swahili"),
    "Ghana": ("Accra", "Africa", "English"),
    "Morocco": ("Rabat", "Africa", "Arabic"),
    "Senegal": ("Dakar", "Africa", "French"),
    "Tunisia": ("Tunis", "Africa", "Arabic"),
    "Canada": ("Ottawa", "North America", "English"),
    "Mexico": ("Mexico City", "North America", "Spanish"),
    "Cuba": ("Havana", "North America", "Spanish"),
    "Jamaica": ("Kingston", "North America", "English"),
    "Brazil": ("Brasilia", "South America", "Portuguese"),
    "Argentina": ("Buenos Aires", "South America", "Spanish"),
    "Chile": ("Santiago", "South America", "Spanish"),
    "Peru": ("Lima", "South America", "Spanish"),
    "Colombia": ("Bogota", "South America", "Spanish"),
    "Uruguay": ("Montevideo", "South America", "Spanish"),
    "Australia": ("Canberra", "Oceania", "English"),
    "New Zealand": ("Wellington", "Oceania", "English"),
}

CITIES = [
    "Paris", "Berlin", "Rome", "Madrid", "Lisbon", "Vienna", "Athens", "Oslo", "Stockholm", "Helsinki",
    "Warsaw", "Dublin", "Prague", "Tokyo", "Beijing", "Bangkok", "Hanoi", "Seoul", "Cairo", "Nairobi",
    "Accra", "Rabat", "Dakar", "Ottawa", "Havana", "Lima", "Santiago", "London", "Boston", "Chicago",
    "Toronto", "Sydney", "Munich", "Milan", "Porto", "Geneva", "Lyon", "Mumbai", "Osaka", "Lagos",
]  # fmt: skip

OPPOSITES = [
    tuple(pair.split("/"))
    for pair in split(
        "hot/cold big/small tall/short fast/slow old/young early/late light/dark happy/sad open/closed "
        "full/empty hard/soft wet/dry clean/dirty rich/poor strong/weak loud/quiet near/far high/low "
        "good/bad true/false first/last left/right up/down inside/outside above/below day/night "
        "start/end win/lose buy/sell push/pull give/take always/never easy/difficult cheap/expensive "
        "thick/thin wide/narrow deep/shallow sweet/bitter smooth/rough sharp/blunt brave/afraid "
        "safe/dangerous north/south east/west summer/winter friend/enemy question/answer "
        "love/hate arrive/leave remember/forget more/less many/few before/after"
    )
]

KINDS: dict[str, list[str]] = {
    "animal": split("dog cat horse cow sheep goat pig lion tiger bear wolf fox rabbit mouse elephant"),
    "bird": split("owl eagle duck swan robin parrot penguin hen"),
    "fish": split("salmon trout shark tuna carp cod"),
    "insect": split("bee ant wasp beetle moth fly"),
    "fruit": split("apple pear plum banana cherry grape lemon melon"),
    "vegetable": split("carrot potato onion cabbage pea bean turnip leek"),
    "flower": split("rose tulip lily daisy violet sunflower"),
    "tree": split("oak pine birch maple willow elm"),
    "tool": split("hammer saw drill spade wrench axe"),
    "vehicle": split("car bus train bicycle boat truck plane tram"),
    "instrument": split("piano violin guitar flute drum trumpet"),
    "colour": split("red blue green yellow black white brown purple"),
    "metal": split("iron gold silver copper tin zinc"),
    "piece of furniture": split("table chair bed sofa desk shelf"),
    "piece of clothing": split("shirt coat hat sock scarf glove"),
}

SIZES = split("flea ant bee mouse rat rabbit fox goat pig cow hippo elephant whale")

DAYS = split("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = split("January February March April May June July August September October November December")

SOUNDS = {
    "dog": "barks", "cat": "meows", "cow": "moos", "duck": "quacks", "sheep": "bleats", "horse": "neighs",
    "pig": "oinks", "lion": "roars", "owl": "hoots", "frog": "croaks", "bee": "buzzes", "snake": "hisses",
    "wolf": "howls", "hen": "clucks", "mouse": "squeaks",
}  # fmt: skip
YOUNG = {
    "dog": "puppy", "cat": "kitten", "cow": "calf", "sheep": "lamb", "horse": "foal", "pig": "piglet",
    "lion": "cub", "duck": "duckling", "goat": "kid", "hen": "chick", "frog": "tadpole", "swan": "cygnet",
}  # fmt: skip
LOOKS = {
    "grass": "green", "snow": "white", "the sky": "blue", "a banana": "yellow", "coal": "black",
    "a carrot": "orange", "chocolate": "brown", "a lemon": "yellow", "blood": "red", "milk": "white",
    "a ripe tomato": "red", "an elephant": "grey", "a flamingo": "pink", "a pea": "green", "a raven": "black",
}  # fmt: skip
LEGS = {
    "dog": "four", "spider": "eight", "bird": "two", "ant": "six", "cat": "four", "horse": "four",
    "bee": "six", "snake": "no", "octopus": "no", "human": "two", "table": "four", "fish": "no",
}  # fmt: skip
PLURALS = {
    "child": "children", "man": "men", "woman": "women", "foot": "feet", "tooth": "teeth", "mouse": "mice",
    "goose": "geese", "leaf": "leaves", "knife": "knives", "city": "cities", "box": "boxes", "dog": "dogs",
    "house": "houses", "wolf": "wolves", "sheep": "sheep", "baby": "babies", "bus": "buses", "tree": "trees",
    "potato": "potatoes", "person": "people",
}  # fmt: skip
PASTS = {
    "go": "went", "see": "saw", "eat": "ate", "run": "ran", "take": "took", "give": "gave", "come": "came",
    "write": "wrote", "sing": "sang", "swim": "swam", "buy": "bought", "think": "thought", "make": "made",
    "find": "found", "speak": "spoke", "drive": "drove", "walk": "walked", "play": "played", "help": "helped",
    "sleep": "slept",
}  # fmt: skip

ITEMS = split(
    "apple book lamp chair cup pen bag shirt hat ball clock key table plant coat mug plate candle "
    "basket bottle phone blanket pillow spoon mirror vase kite drum"
)
COLOURS = split("red blue green yellow black white brown purple orange pink grey")
ROOMS = split("kitchen garden bedroom office garage hall attic cellar bathroom library")
JOBS = split(
    "teacher nurse baker pilot farmer doctor painter driver cook lawyer singer gardener carpenter plumber "
    "writer dentist waiter builder tailor"
)
EVENTS = split("meeting party concert dinner lunch workshop lesson picnic wedding lecture match training breakfast")
PLACES = split(
    "park school market museum station beach theatre harbour church castle forest square airport hotel bakery"
)

SYLLABLES = split(
    "ba be bo da de do fi ga go ka ki ko la le li ma mi mo na ne no pa po ra re ri ro sa se so ta te "
    "to va ve vi vo za zo lan mar ten ros bel dor fin gor hal kan lim nor pol ras sol ver win zel"
)


def article(noun: str) -> str:
    """The noun with "a" or "an" before it."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def listed(items: list[str], last: str = "and") -> str:
    """The items as an English list: "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"
