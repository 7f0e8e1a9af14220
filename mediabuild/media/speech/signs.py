"""What written signs are read as in English: currencies, symbols, units, abbreviations.

`|` stands between two ways to read one, the likelier first.

Not here: how they are put together with numbers (`readings`).
"""

from __future__ import annotations

CURRENCIES = {  # one, several, a hundredth of one
    "$": ("dollar", "dollars", "cents"),
    "£": ("pound", "pounds", "pence"),
    "€": ("euro", "euros", "cents"),
    "¥": ("yen", "yen", "sen"),
    "₹": ("rupee", "rupees", "paise"),
}
SCALES = {"hundred", "thousand", "million", "billion", "trillion"}
SCALE_LETTERS = {"k": "thousand", "m": "million", "mn": "million", "b": "billion", "bn": "billion", "tn": "trillion"}
FRACTIONS = {"½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅛": (1, 8)}
SYMBOLS = {
    "&": "and", "+": "plus|and", "=": "equals|is", "@": "at", "%": "percent", "#": "number|hash", "°": "degrees",
    "×": "times|by", "÷": "divided by", "§": "section", "/": "slash|or", "±": "plus or minus",
}  # fmt: skip
PREFIXES = {
    "-": "minus|negative|", "−": "minus|negative|", "+": "plus|", "±": "plus or minus|",
    "~": "about|around|approximately|roughly|", "≈": "about|around|approximately|roughly|",
}  # fmt: skip
MONTHS = [
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
]  # fmt: skip
ABBREVIATIONS = {
    "mr": "mister", "mrs": "missus", "ms": "miz|miss", "dr": "doctor|drive", "prof": "professor", "st": "saint|street",
    "sr": "senior", "jr": "junior", "vs": "versus", "etc": "etcetera|et cetera", "e.g": "for example|e g",
    "i.e": "that is|i e", "no": "no|number", "nos": "numbers", "vol": "volume", "fig": "figure", "dept": "department",
    "approx": "approximately", "est": "established|est", "inc": "inc|incorporated", "ltd": "limited",
    "co": "co|company", "corp": "corporation|corp", "gov": "governor|gov", "gen": "general|gen", "col": "colonel",
    "sgt": "sergeant", "capt": "captain", "lt": "lieutenant", "cmdr": "commander", "rev": "reverend|rev",
    "hon": "honorable", "mt": "mount", "ft": "feet|foot|fort", "ave": "avenue", "blvd": "boulevard", "rd": "road",
    "sq": "square", "pp": "pages", "jan": "january|jan", "feb": "february", "apr": "april", "aug": "august",
    "sept": "september", "sep": "september", "oct": "october", "nov": "november", "dec": "december", "www": "w w w",
}  # fmt: skip
UNITS = {
    "km": "kilometers|kilometer|k", "m": "meters|meter|million", "cm": "centimeters|centimeter", "mm": "millimeters",
    "mi": "miles|mile", "ft": "feet|foot", "yd": "yards", "kg": "kilograms|kilogram|kilos", "g": "grams|gram",
    "mg": "milligrams|milligram", "lb": "pounds|pound", "lbs": "pounds", "oz": "ounces|ounce", "l": "liters|liter",
    "ml": "milliliters|milliliter", "s": "seconds|second", "ms": "milliseconds", "min": "minutes|minute",
    "h": "hours|hour", "hr": "hours|hour", "hrs": "hours", "km/h": "kilometers per hour|kilometers an hour",
    "mph": "miles per hour|miles an hour", "m/s": "meters per second", "hz": "hertz", "khz": "kilohertz",
    "mhz": "megahertz", "ghz": "gigahertz", "kb": "kilobytes", "mb": "megabytes|megabyte", "gb": "gigabytes|gigabyte",
    "tb": "terabytes|terabyte", "w": "watts|watt", "kw": "kilowatts|kilowatt", "kwh": "kilowatt hours",
    "v": "volts|volt", "px": "pixels", "x": "times|x", "am": "a m", "pm": "p m", "a.m": "a m", "p.m": "p m",
    "°c": "degrees celsius|degrees|degrees centigrade", "°f": "degrees fahrenheit|degrees", "°": "degrees|degree",
    "k": "k|thousand", "b": "billion|b", "bn": "billion",
}  # fmt: skip
NUMBERED = {"chapter", "part", "volume", "book", "act", "scene", "section", "phase", "type", "class", "war", "stage"}
