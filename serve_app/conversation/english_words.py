"""Owns the words that English has for abbreviations, units, currencies and symbols: tables only."""

from __future__ import annotations

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip

ABBREVIATIONS = {
    "dr": "Doctor", "mr": "Mister", "mrs": "Missus", "ms": "Miz", "prof": "Professor",
    "st": "Saint", "jr": "Junior", "sr": "Senior", "e.g": "for example", "i.e": "that is",
    "etc": "et cetera", "vs": "versus", "approx": "approximately", "a.m": "A M", "p.m": "P M",
    "u.s": "U S", "u.k": "U K", "inc": "Incorporated", "ltd": "Limited",
    "jan": "January", "feb": "February", "aug": "August", "sept": "September", "oct": "October",
    "nov": "November", "dec": "December",
}  # fmt: skip
"""What takes a dot without ending a sentence, by its letters without the last dot."""

SENTENCE_ENDERS = frozenset(("etc", "a.m", "p.m", "inc", "ltd", "jr", "sr"))
"""Those after which a capital letter begins a sentence."""

UNITS = {
    "km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "mi": "mile",
    "kg": "kilogram", "g": "gram", "mg": "milligram", "lb": "pound", "lbs": "pound",
    "oz": "ounce", "l": "liter", "L": "liter", "ml": "milliliter", "mL": "milliliter",
    "ms": "millisecond", "s": "second", "sec": "second", "min": "minute", "h": "hour",
    "hr": "hour", "hrs": "hour", "kB": "kilobyte", "KB": "kilobyte", "MB": "megabyte",
    "GB": "gigabyte", "TB": "terabyte", "Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz",
    "GHz": "gigahertz", "W": "watt", "kW": "kilowatt", "kWh": "kilowatt hour", "V": "volt",
    "°": "degree", "°C": "degree Celsius", "°F": "degree Fahrenheit", "%": "percent",
    "km/h": "kilometer per hour", "m/s": "meter per second", "mph": "mile per hour",
    "Mbps": "megabit per second", "ft": "foot", "m²": "square meter", "km²": "square kilometer",
}  # fmt: skip
IRREGULAR_PLURALS = {
    "foot": "feet", "hertz": "hertz", "kilohertz": "kilohertz", "megahertz": "megahertz",
    "gigahertz": "gigahertz", "percent": "percent", "yen": "yen",
}  # fmt: skip
CURRENCIES = {"$": ("dollar", "cent"), "€": ("euro", "cent"), "£": ("pound", "penny"),
               "¥": ("yen", ""), "₹": ("rupee", "paisa")}  # fmt: skip
MAGNITUDES = {"k": "thousand", "K": "thousand", "M": "million", "m": "million", "B": "billion",
               "bn": "billion", "T": "trillion"}  # fmt: skip
SYMBOLS = {
    "&": "and", "@": "at", "+": "plus", "=": "equals", "×": "times", "÷": "divided by",
    "<": "less than", ">": "greater than", "≤": "at most", "≥": "at least", "≈": "about",
    "~": "about", "±": "plus or minus", "≠": "does not equal", "→": "to", "%": "percent",
    "°": "degrees", "#": "number", "²": "squared", "³": "cubed", "−": "minus", "$": "dollars",
    "€": "euros", "£": "pounds", "¥": "yen", "√": "square root of", "π": "pi", "∞": "infinity",
}  # fmt: skip
