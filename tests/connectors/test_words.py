"""Header words and bytes in any charset, and in none (RFC 2047, 6532)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.words import decode_bytes, decode_words

WORDS = {
    "plain": ("Your offer", "Your offer"),
    "quoted-printable": ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
    "lower and upper": ("=?ISO-8859-1?Q?Gr=FC=DFe?=", "Grüße"),
    "base64": ("=?utf-8?B?5oql5Lu3?=", "报价"),
    "an underscore is a blank": ("=?utf-8?q?two_words?=", "two words"),
    "adjacent words join without a blank": ("=?utf-8?q?Gr=C3=BC?= =?utf-8?q?=C3=9Fe?=", "Grüße"),
    "folded between words": ("=?utf-8?q?Gr=C3=BC?=\r\n =?utf-8?q?=C3=9Fe?=", "Grüße"),
    "cut inside a character": ("=?utf-8?b?5oql5A==?= =?utf-8?b?u7c=?=", "报价"),
    "two charsets": ("=?utf-8?q?=C3=BC?= =?iso-8859-1?q?=DF?=", "üß"),
    "text around stays": ("Re: =?utf-8?q?=C3=BC?= and more", "Re: ü and more"),
    "a language tag": ("=?utf-8*de?q?=C3=BC?=", "ü"),
    "a mislabelled charset": ("=?us-ascii?q?=C3=BC?=", "ü"),
    "an unknown charset": ("=?klingon?q?caf=C3=A9?=", "café"),
    "a charset that is no text": ("=?base64?q?abc?=", "abc"),
    "GB2312 with characters beyond it": ("=?gb2312?b?6UY=?=", "镕"),
    "missing padding": ("=?utf-8?b?Z3I?=", "gr"),
    "broken base64": ("=?utf-8?b?!!!?=", ""),
    "blanks inside a word": ("=?utf-8?q?two words?=", "two words"),
    "no end": ("=?utf-8?q?abc", "=?utf-8?q?abc"),
    "raw UTF-8": ("Grüße", "Grüße"),
}

BYTES = {
    "as declared": ("Grüße".encode("latin-1"), "iso-8859-1", "Grüße"),
    "quotes of Windows in Latin-1": (b"\x93so\x94", "iso-8859-1", "\u201cso\u201d"),
    "UTF-8 without a word": ("Grüße".encode(), "", "Grüße"),
    "UTF-8 called ASCII": ("Grüße".encode(), "us-ascii", "Grüße"),
    "Windows without a word": (b"Gr\xfc\xdfe", "", "Grüße"),
    "Windows called UTF-8": (b"Gr\xfc\xdfe", "utf-8", "Grüße"),
    "UTF-8 cut in its last character": ("报价".encode()[:-1], "utf-8", "报"),
    "Windows that ends like UTF-8 begins": (b"caf\xe9", "", "café"),
    "one broken byte among many right ones": (
        "报价单".encode() + b"\xff" + "请看".encode(),
        "utf-8",
        "报价单\ufffd请看",
    ),
    "Japanese mail": ("見積".encode("iso-2022-jp"), "ISO-2022-JP", "見積"),
    "an unknown charset": (b"offer", "none-such", "offer"),
    "a quoted charset": ("ü".encode("cp1252"), '"windows-1252"', "ü"),
    "nothing": (b"", "utf-8", ""),
}


@pytest.mark.parametrize(("value", "expected"), WORDS.values(), ids=WORDS)
def test_header_words_are_decoded(value: str, expected: str) -> None:
    assert decode_words(value) == expected


@pytest.mark.parametrize(("raw", "charset", "expected"), BYTES.values(), ids=BYTES)
def test_bytes_become_text(raw: bytes, charset: str, expected: str) -> None:
    assert decode_bytes(raw, charset) == expected


@given(
    st.binary(max_size=400),
    st.sampled_from(["", "utf-8", "gb2312", "utf-7", "iso-2022-jp", "big5", "punycode", "idna"]),
)
@settings(max_examples=200, deadline=None)
def test_no_bytes_in_any_charset_raise(raw: bytes, charset: str) -> None:
    assert isinstance(decode_bytes(raw, charset), str)


@given(st.text(alphabet="=?utf-8QqBb_ \n\rAé", max_size=200))
@settings(max_examples=200, deadline=None)
def test_no_header_raises(value: str) -> None:
    assert isinstance(decode_words(value), str)
