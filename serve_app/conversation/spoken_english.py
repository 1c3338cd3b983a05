"""Owns how English says what is not a plain word: dates, times, money, units, addresses, symbols.

Pure functions from one token, or a run of numbers, to words. Nothing here knows of streams.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from serve_app.conversation.english_words import (
    CURRENCIES,
    IRREGULAR_PLURALS,
    MAGNITUDES,
    MONTHS,
    SYMBOLS,
    UNITS,
)
from serve_app.conversation.spoken_numbers import (
    cardinal,
    decimal,
    digit_by_digit,
    ordinal,
    year,
)

_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
_SIGNED = re.compile(rf"([-−+]?)({_NUMBER})")
_MONEY = re.compile(rf"([-−]?)([$€£¥₹])({_NUMBER})(k|K|M|m|B|bn|T)?|([-−]?)({_NUMBER})([$€£¥₹])")
_MEASURED = re.compile(rf"([-−+~<>≤≥≈±#]*)({_NUMBER})([^\d\s.,]*\+?)")
_ISO_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_SLASH_DATE = re.compile(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})")
_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_RANGE = re.compile(rf"([$€£¥₹]?)({_NUMBER})[-–]([$€£¥₹]?)({_NUMBER})([^\d\s.,]*)")
_RATIO = re.compile(r"(\d{1,4})(:|/)(\d{1,4})")
_VERSION = re.compile(r"\d+(?:\.\d+){2,}")
_PHONE = re.compile(
    r"(?:\+?\d{1,3}[ .-])?\(?\d{3}\)?[ .-]?\d{3}[.-]\d{4}"
    r"|(?:\+?\d{1,3} )?\(?\d{3}\)? \d{3} \d{4}|\d{3}-\d{4}|\+\d[\d ()-]{6,}"
    r"|0\d{2,4}[ -]\d{3,}(?:[ -]\d{2,})*"
)
_LINK = re.compile(r"(?:https?://)?(?:www\.)?([\w.-]+)(?::\d+)?([/?#].*)?", re.IGNORECASE)
_EMAIL = re.compile(r"(?:mailto:)?([\w.+-]+)@([\w-]+(?:\.[\w-]+)+)")
_SAID_PATH = re.compile(r"(?:/[a-zA-Z]{1,20}){1,2}/?")
_PIECE = re.compile(rf"\d+(?:\.\d+){{2,}}|{_NUMBER}|[^\W\d_²³]+(?:['-][^\W\d_²³]+)*|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SpokenNumbers:
    """Words for a run of numbers; `took_next`: the word after the run is already among them."""

    words: str
    took_next: bool = False


def speak_numbers(run: list[str], before: str, after: str) -> SpokenNumbers:
    """Say consecutive numeric tokens, between the words `before` and `after` (either may be "")."""
    joined = " ".join(run)
    if _PHONE.fullmatch(joined):
        return SpokenNumbers(_by_groups(joined))
    said = [_speak_number(token, before if at == 0 else "") for at, token in enumerate(run)]
    last = run[-1]
    head = said[:-1]
    if after in UNITS and _SIGNED.fullmatch(last):
        return SpokenNumbers(" ".join([*head, _measure(last, UNITS[after])]), True)
    if after in UNITS and (both := _RANGE.fullmatch(last)) and not both[1]:
        return SpokenNumbers(" ".join([*head, said[-1], _plural(UNITS[after])]), True)
    if after in ("million", "billion", "trillion", "thousand") and (
        money := _MONEY.fullmatch(last)
    ):
        return SpokenNumbers(" ".join([*head, _money(money, after)]), True)
    if after in MONTHS and last.isdecimal() and 1 <= int(last) <= 31:
        article = "" if before.lower() == "the" else "the "
        return SpokenNumbers(" ".join([*head, f"{article}{ordinal(last)} of {after}"]), True)
    if after.lower() in ("am", "pm", "a.m", "p.m") and last.endswith(":00"):
        return SpokenNumbers(" ".join([*head, cardinal(last[:-3].lstrip("0") or "0")]))
    return SpokenNumbers(" ".join(said))


def speak_token(token: str) -> str:
    """Say a token that is not a plain word; "" if there is nothing to say in it."""
    lower = token.lower()
    if lower.startswith(("http://", "https://", "www.")):
        return _speak_link(token)
    if email := _EMAIL.fullmatch(token):
        return f"{_dotted(email[1])} at {_dotted(email[2])}"
    if money := _MONEY.fullmatch(token):
        return _money(money, "")
    if token in UNITS and token != "°":
        return _plural(UNITS[token])
    if (both := _RANGE.fullmatch(token)) and (not both[5] or both[5] in UNITS):
        return _speak_range(both)
    if (measured := _MEASURED.fullmatch(token)) and (said := _speak_measured(measured)):
        return said
    if lower.startswith("mailto:"):
        token = token[7:]
    if token.startswith(".") and token[1:].isalpha():
        return f"dot {token[1:]}"
    if token.endswith("(s)"):
        token = token[:-3] + "s"
    return _pieces(token)


def _pieces(token: str) -> str:
    """Say letters, numbers and symbols of a mixed token one by one."""
    words: list[str] = []
    found: list[str] = _PIECE.findall(token)
    for at, piece in enumerate(found):
        if piece[0].isdecimal() or (piece[0] == "." and len(piece) > 1):
            words.append(_amount(piece))
        elif piece in "²³":
            words.append(SYMBOLS[piece])
        elif piece[0].isalnum() or (not piece[0].isascii() and piece[0] not in SYMBOLS):
            words.append(piece)
        elif piece == "#":
            words.append("sharp" if at and found[at - 1].isalpha() else "")
        elif piece == "@" and at == 0 and len(found) > 1:  # a name, not the word
            continue
        elif piece == "." and 0 < at < len(found) - 1:
            words.append("dot")
        elif piece == "^":
            words.append("to the power of")
        elif piece in SYMBOLS:
            words.append(SYMBOLS[piece])
    return " ".join(word for word in words if word)


def _speak_number(token: str, before: str) -> str:
    """One numeric token: a date, a time, money, a range, a year, an amount."""
    token = token.strip("()")
    if token in SYMBOLS:
        return SYMBOLS[token]
    if token == "-":
        return "minus"
    if token == "/":
        return "divided by"
    if _PHONE.fullmatch(token):
        return _by_groups(token)
    if date := _ISO_DATE.fullmatch(token):
        return _date(date[1], int(date[2]), int(date[3])) or _by_groups(token)
    if date := _SLASH_DATE.fullmatch(token):
        first, second = int(date[1]), int(date[2])
        month, day = (second, first) if first > 12 or "." in token else (first, second)
        return _date(date[3], month, day) or _by_groups(token)
    if (time := _TIME.fullmatch(token)) and int(time[1]) < 25 and int(time[2]) < 60:
        return _time(time[1], time[2], time[3] or "")
    if both := _RANGE.fullmatch(token):
        return _speak_range(both)
    if money := _MONEY.fullmatch(token):
        return _money(money, "")
    if ratio := _RATIO.fullmatch(token):
        return _ratio(ratio[1], ratio[2], ratio[3])
    if _VERSION.fullmatch(token):
        return _amount(token)
    if before in MONTHS and token.isdecimal() and 1 <= int(token) <= 31:
        return ordinal(token)
    if _is_year(token):
        return year(token)
    if number := _SIGNED.fullmatch(token):
        sign = {"-": "minus ", "−": "minus ", "+": "plus "}.get(number[1], "")
        return sign + _amount(number[2])
    return _pieces(token)


def _amount(number: str) -> str:
    if _VERSION.fullmatch(number):
        return " point ".join(cardinal(part) for part in number.split("."))
    whole, _, fraction = number.replace(",", "").partition(".")
    return decimal(whole, fraction)


def _by_groups(text: str) -> str:
    """Digit by digit, with a pause between the groups that were written."""
    plus = "plus " if text.startswith("+") else ""
    return plus + ", ".join(digit_by_digit(group) for group in re.findall(r"\d+", text))


def _is_year(token: str) -> bool:
    return len(token) == 4 and token.isdecimal() and 1100 <= int(token) <= 2099


def _date(year_digits: str, month: int, day: int) -> str:
    """Month first, as in the United States; "" if there is no such day."""
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return ""
    said = year(year_digits) if _is_year(year_digits) else cardinal(year_digits)
    return f"{MONTHS[month - 1]} {ordinal(str(day))}, {said}"


def _time(hour: str, minute: str, second: str) -> str:
    hours = cardinal(str(int(hour)))
    if minute == "00" and not second:
        return f"{hours} o'clock" if 1 <= int(hour) <= 12 else f"{hours} hundred"
    said = [hours]
    for part in (minute, second):
        if part:
            said.append(f"oh {cardinal(part[1])}" if part[0] == "0" else cardinal(part))
    return " ".join(said)


def _ratio(left: str, sign: str, right: str) -> str:
    if sign == ":" or (left, right) == ("24", "7"):
        return f"{cardinal(left)} {'to ' if sign == ':' else ''}{cardinal(right)}"
    over = {"2": "half", "4": "quarter"}.get(right) or ordinal(right)
    if not 2 <= int(right) <= 20 or not int(left):
        return f"{cardinal(left)} over {cardinal(right)}"
    many = {"half": "halves"}.get(over, over + "s")
    return f"{cardinal(left)} {over if left == '1' else many}"


def _speak_range(both: re.Match[str]) -> str:
    low, high = both[2], both[4]
    if both[1] or both[3]:
        names = CURRENCIES[both[1] or both[3]]
        return f"{_amount(low)} to {_amount(high)} {_plural(names[0])}"
    said = " to ".join(
        year(n) if _is_year(n) and _is_year(high) else _amount(n) for n in (low, high)
    )
    return f"{said} {_plural(UNITS[both[5]])}" if both[5] in UNITS else said


def _money(money: re.Match[str], magnitude: str) -> str:
    sign, symbol = money[1] or money[5] or "", money[2] or money[7]
    whole, _, fraction = (money[3] or money[6]).replace(",", "").partition(".")
    magnitude = magnitude or MAGNITUDES.get(money[4] or "", "")
    name, small = CURRENCIES[symbol]
    minus = "minus " if sign else ""
    if magnitude or not small or (fraction and len(fraction) != 2):
        return f"{minus}{decimal(whole, fraction)} {magnitude} {_plural(name)}".replace("  ", " ")
    said = f"{cardinal(whole or '0')} {name if whole == '1' else _plural(name)} and "
    if not fraction.strip("0"):
        return minus + said.removesuffix(" and ")
    if not whole.strip("0"):
        said = ""
    cents = str(int(fraction))
    coins = small if cents == "1" else {"penny": "pence", "paisa": "paise"}.get(small, small + "s")
    return f"{minus}{said}{cardinal(cents)} {coins}"


def _speak_measured(measured: re.Match[str]) -> str:
    """A number with marks before or letters after it: 5km, 1st, 90s, ~3, 10am; "" if unknown."""
    marks, number, suffix = measured[1], measured[2], measured[3]
    ahead = " ".join("minus" if mark == "-" else SYMBOLS[mark] for mark in marks)
    if suffix in ("st", "nd", "rd", "th") and number.isdecimal():
        said = ordinal(number)
    elif suffix == "s" and number.isdecimal() and number.endswith("0"):
        spelled = year(number) if _is_year(number) else cardinal(number)
        said = spelled[:-1] + "ies" if spelled.endswith("y") else spelled + "s"
    elif suffix in UNITS:
        said = _measure(number, UNITS[suffix])
    elif suffix.lower() in ("am", "pm"):
        said = f"{_amount(number)} {suffix[0].upper()} M"
    elif suffix in MAGNITUDES:
        said = f"{_amount(number)} {MAGNITUDES[suffix]}"
    elif suffix in ("x", "+", ""):
        said = f"{_amount(number)} {({'x': 'times', '+': 'plus', '': ''})[suffix]}".strip()
    else:
        return ""
    return f"{ahead} {said}".strip()


def _measure(number: str, unit: str) -> str:
    said = _amount(number.lstrip("-−+"))
    sign = "minus " if number[0] in "-−" else "plus " if number[0] == "+" else ""
    return f"{sign}{said} {unit if number.lstrip('-−+') == '1' else _plural(unit)}"


def _plural(unit: str) -> str:
    """Of the unit's first word, or its second where that is the noun: square meters."""
    first, _, rest = unit.partition(" ")
    if first in ("square", "kilowatt") and rest:
        return f"{first} {_plural(rest)}"
    return f"{IRREGULAR_PLURALS.get(first, first + 's')} {rest}".strip()


def _speak_link(token: str) -> str:
    """The host, and the path where it is a word or two; the rest is noise to a listener."""
    link = _LINK.match(token)
    if not link:
        return ""
    host = _dotted(link[1].strip(".-"))
    path = link[2] or ""
    if _SAID_PATH.fullmatch(path):
        return host + "".join(f" slash {part}" for part in path.strip("/").split("/"))
    return host


def _dotted(address: str) -> str:
    spaced = re.sub(r"[_-]+", lambda mark: " dash " if "-" in mark[0] else " ", address)
    parts = (_pieces(part.strip()) for part in re.sub(r"\+", " plus ", spaced).split("."))
    return " dot ".join(part for part in parts if part)
