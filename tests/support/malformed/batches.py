"""``$batch`` bodies that break a rule of multipart, of HTTP or of change sets."""

from __future__ import annotations

import random
from dataclasses import replace

from support.batches import batch, change_set, operation, part
from support.malformed.request import ID, NOBODY, Mistake, Request, word

KIND = "multipart/mixed; boundary=batch_b"
HTTP = "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"


def _sent(why: str, text: str | bytes, kind: str = KIND, **headers: str) -> Request:
    body = text if isinstance(text, bytes) else text.encode()
    return Request(why, "POST", "$batch", "", body, {"content-type": kind, **headers})


def _reading(dice: random.Random) -> str:
    url = dice.choice(("accounts", f"accounts({ID})", "contacts?$top=1", "WhoAmI", "tasks"))
    joint = "&" if "?" in url else "?"
    return operation("GET", f"{url}{joint}tag={dice.randrange(10**6)}")


def _writing(dice: random.Random) -> str:
    values = {"name": f"N{dice.randrange(10**6)}"}
    if dice.random() < 0.5:
        return part("POST", "accounts", values)
    return part("PATCH", f"accounts({ID})", values)


def _set(dice: random.Random) -> str:
    return change_set(*(_writing(dice) for _ in range(dice.randint(1, 3))))


def _items(dice: random.Random) -> list[str]:
    return [dice.choice((_reading, _set))(dice) for _ in range(dice.randint(1, 4))]


def _with(dice: random.Random, wrong: str) -> str:
    """Return a batch in which everything is right but one item, after which nothing is written."""
    items = [_reading(dice) for _ in range(dice.randint(0, 3))]
    items.append(wrong)
    return batch(*items)


def _in_set(dice: random.Random, wrong: str) -> str:
    before = [_writing(dice) for _ in range(dice.randint(0, 3))]
    return _with(dice, change_set(*before, wrong))


def other_type(dice: random.Random) -> Request:
    kinds = ("application/json", "text/plain", "multipart/form-data; boundary=batch_b", "", "x")
    return _sent("no multipart/mixed", batch(*_items(dice)), dice.choice(kinds))


def no_boundary(dice: random.Random) -> Request:
    kinds: tuple[str, ...] = (
        "multipart/mixed",
        "multipart/mixed; boundary=",
        'multipart/mixed; boundary=""',
    )
    kinds += ("multipart/mixed; charset=utf-8", "multipart/mixed boundary")
    return _sent("no boundary", batch(*_items(dice)), dice.choice(kinds))


def wrong_boundary(dice: random.Random) -> Request:
    wrong = dice.choice(("batch_", "batch_bb", "BATCH_B", word(dice)))
    return _sent("another boundary", batch(*_items(dice)), f"multipart/mixed; boundary={wrong}")


def truncated(dice: random.Random) -> Request:
    text = batch(*_items(dice))
    return _sent("no closing delimiter", text[: dice.randrange(text.rindex("--") + 1)])


def truncated_set(dice: random.Random) -> Request:
    text = change_set(*(_writing(dice) for _ in range(dice.randint(1, 3))))
    least, most = text.index("--changeset_c"), text.rindex("--") + 1
    return _sent("a change set cut off", _with(dice, text[: dice.randrange(least, most)]))


def no_blank_line(dice: random.Random) -> Request:
    wrong = _reading(dice).replace("\r\n\r\n", "\r\n", 1)
    return _sent("no blank line before the request line", _with(dice, wrong))


def bad_request_line(dice: random.Random) -> Request:
    url = f"accounts?tag={dice.randrange(10**6)}"
    lines: tuple[str, ...] = (
        url,
        f"GET {url}",
        f"GET {url} HTTP/",
        f"GET {url} HTTPS/1.1",
        "GET HTTP/1.1",
    )
    lines += (f"GET {url} HTTP/one", f"GET{url}HTTP/1.1", f"GET {url} http/1.1", f"{url} GET")
    wrong = dice.choice(lines)
    return _sent("no request line", _with(dice, f"{HTTP}{wrong}\r\n\r\n"))


def bad_method(dice: random.Random) -> Request:
    method = dice.choice(("BREW", "get", "HEAD", "OPTIONS", "TRACE", "CONNECT", word(dice)))
    return _sent("an unknown method", _with(dice, operation(method, "accounts")))


def reading_in_set(dice: random.Random) -> Request:
    wrong = part("GET", f"accounts({ID})?tag={dice.randrange(10**6)}")
    return _sent("GET in a change set", _in_set(dice, wrong))


def same_content_id(dice: random.Random) -> Request:
    text = change_set(*(_writing(dice) for _ in range(dice.randint(2, 5))))
    wrong = text.replace("Content-ID: 2", "Content-ID: 1")
    return _sent("a Content-ID twice", _with(dice, wrong))


def no_content_id(dice: random.Random) -> Request:
    text = change_set(*(_writing(dice) for _ in range(dice.randint(1, 3))))
    wrong = dice.choice(("", "Content-ID:\r\n", "Content-IDs: 1\r\n"))
    return _sent("no Content-ID", _with(dice, text.replace("Content-ID: 1\r\n", wrong, 1)))


def nested_batch(dice: random.Random) -> Request:
    wrong = operation("POST", "$batch", {"tag": dice.randrange(10**6)})
    return _sent("a batch in a batch", _with(dice, wrong))


def nested_set(dice: random.Random) -> Request:
    inner = change_set(_writing(dice)).replace("changeset_c", "changeset_d")
    text = f'Content-Type: multipart/mixed; boundary="changeset_c"\r\n\r\n--changeset_c\r\n{inner}'
    return _sent("a change set in a change set", _with(dice, f"{text}\r\n--changeset_c--"))


def unknown_reference(dice: random.Random) -> Request:
    reference = f"${dice.randint(7, 10**6)}"
    wrong = dice.choice(
        (
            part("PATCH", reference, {"name": "x"}),
            part("DELETE", reference),
            part("POST", "accounts", {"name": "x", "primarycontactid@odata.bind": reference}),
            part("PUT", f"accounts({ID})/primarycontactid/$ref", {"@odata.id": reference}),
            part("POST", f"{reference}/Account_Tasks", {"subject": "x"}),
        )
    )
    return _sent("an unknown reference", _in_set(dice, wrong))


def reference_outside(dice: random.Random) -> Request:
    wrong = operation("PATCH", f"${dice.randint(1, 10**6)}", {"name": "x"})
    return _sent("a reference outside of a change set", _with(dice, wrong))


BAD_URLS = (
    *("accounts(", "accounts)", "accounts('x", "accounts(1)", "accounts(name=)", "zzaccounts"),
    *(f"accounts({ID})(", f"accounts({ID})/zznothing", f"accounts({NOBODY}", "accounts(name='x'"),
    *("accounts(zz='x')", "accounts(accountid=5)"),
)


def bad_inner_url(dice: random.Random) -> Request:
    url = f"{dice.choice(BAD_URLS)}?tag={dice.randrange(10**6)}"
    wrong = part(dice.choice(("PATCH", "PUT")), url, {"name": "x"})
    if dice.random() < 0.5:
        return _sent("a bad URL in a change set", _in_set(dice, wrong))
    return _sent("a bad URL in a part", _with(dice, HTTP + wrong))


def bad_inner_query(dice: random.Random) -> Request:
    options = ("$select=zz", "$filter=name eq", "$top=x", "$zz=1", "$orderby=zz", "$expand=zz")
    url = f"accounts?{dice.choice(options)}&tag={dice.randrange(10**6)}"
    return _sent("a bad query in a part", _with(dice, operation("GET", url)))


def bad_inner_body(dice: random.Random) -> Request:
    bodies = ("{", '{"name"}', "[]", '"x"', '{"name":"x",}', '{"zz":1}', '{"name":{}}', "\x01")
    head = dice.choice(("POST accounts", f"PATCH accounts({ID})"))
    content = "Content-Type: application/json\r\n\r\n" + dice.choice(bodies)
    wrong = f"{head}?tag={dice.randrange(10**6)} HTTP/1.1\r\n{content}"
    return _sent("a bad body in a change set", _in_set(dice, wrong))


def bad_header(dice: random.Random) -> Request:
    wrong = dice.choice(("no colon here", "a\x00b: c", "a: b\rc: d", "x" * 20_000 + ": y"))
    text = operation("GET", f"accounts?tag={dice.randrange(10**6)}")
    if dice.random() < 0.5:
        return _sent("a bad header of a part", _with(dice, f"{wrong}\r\n{text}"))
    return _sent(
        "a bad header of a request",
        _with(dice, text.replace(" HTTP/1.1\r\n", f" HTTP/1.1\r\n{wrong}\r\n")),
    )


def too_many_headers(dice: random.Random) -> Request:
    many = "".join(f"x-{number}: y\r\n" for number in range(dice.randint(101, 900)))
    return _sent("too many headers", _with(dice, many + _reading(dice)))


def no_utf8(dice: random.Random) -> Request:
    text = _with(dice, operation("GET", f"accounts?tag={dice.randrange(10**6)}&x=@@")).encode()
    bad = dice.choice((b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf5\x80\x80\x80"))
    return _sent("a request line that is no UTF-8", text.replace(b"@@", bad))


def no_utf8_in_body(dice: random.Random) -> Request:
    text = _in_set(dice, part("POST", "accounts", {"name": f"@@{dice.randrange(10**6)}"}))
    return _sent("a body that is no UTF-8", text.encode().replace(b"@@", b"\xff"))


def wrong_part_type(dice: random.Random) -> Request:
    kind = dice.choice(("application/json", "text/plain", "", f"application/{word(dice)}"))
    return _sent(
        "a part of another type", _with(dice, _reading(dice).replace("application/http", kind))
    )


def no_part_type(dice: random.Random) -> Request:
    wrong = _reading(dice).replace("Content-Type: application/http\r\n", "")
    return _sent("a part without a type", _with(dice, wrong))


def too_many(dice: random.Random) -> Request:
    if dice.random() < 0.9:  # a large body each: a few are enough
        return truncated(dice)
    one = operation("GET", "WhoAmI")
    return _sent("more than a thousand operations", batch(*[one] * dice.randint(1001, 1100)))


def nothing(dice: random.Random) -> Request:
    text = dice.choice(("", "\r\n", "--", "--batch_b", "batch_b--", word(dice), "\x00" * 9))
    return _sent("no batch", text + word(dice))


def below(dice: random.Random) -> Request:
    made = _sent("an option on $batch", batch(*_items(dice)))
    options = ("$filter=a", "$top=1", "$select=name", f"${word(dice)}=1")
    return replace(made, query=dice.choice(options))


MISTAKES: tuple[Mistake, ...] = (
    *(other_type, no_boundary, wrong_boundary, truncated, truncated_set, no_blank_line),
    *(bad_request_line, bad_method, reading_in_set, same_content_id, no_content_id),
    *(nested_batch, nested_set, unknown_reference, reference_outside, bad_inner_url),
    *(bad_inner_query, bad_inner_body, bad_header, too_many_headers, no_utf8, no_utf8_in_body),
    *(wrong_part_type, no_part_type, too_many, nothing, below),
)
