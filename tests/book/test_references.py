"""文献の一覧が、本文と食い違わず、たどれる番号をもつ。"""

import re

import pytest

from vg.manuscript import DOCS, Manuscript

SOURCE = (DOCS / "references.bib").read_text(encoding="utf-8")
PAGES = Manuscript().pages.values()

FIELD = re.compile(r"^\s*(\w+)\s*=\s*\{(.*)\},$", re.M)
DOI = re.compile(r"10\.\d{4,9}/\S+")
ARXIV = re.compile(r"(0[7-9]|1[0-4])(\d{2})\.\d{4}|(1[5-9]|2\d)(\d{2})\.\d{5}")  # 2015 年から 5 桁
URL = re.compile(r"https://\S+")
PAGE_RANGE = re.compile(r"(\d+)--(\d+)")


def read(source: str) -> dict[str, dict[str, str]]:
    """鍵ごとの、欄の値。"""
    entries = re.split(r"^@\w+\{", source, flags=re.M)[1:]
    return {entry.split(",")[0]: dict(FIELD.findall(entry)) for entry in entries}


ENTRIES = read(SOURCE)


def cited(text: str) -> set[str]:
    found = re.findall(r"\{cite:[pt]\}`([^`]+)`", text)
    return {key.strip() for keys in found for key in keys.split(",")}


def isbn_is_valid(isbn: str) -> bool:
    digits = [int(c) for c in isbn if c.isdigit()]
    return len(digits) == 13 and sum(d * (1, 3)[i % 2] for i, d in enumerate(digits)) % 10 == 0


def faults(key: str, entry: dict[str, str]) -> list[str]:
    """書誌の 1 件の、形のおかしいところ。"""
    year = int(entry.get("year", 0))
    found = [] if 1940 <= year <= 2026 else [f"年 {year}"]
    if not re.fullmatch(r"[a-z]+\d{4}[a-z]*\d?", key) or str(year) not in key:
        found.append(f"鍵 {key}")
    if not {"doi", "eprint", "isbn", "url"} & set(entry):
        found.append("たどれる番号がない")
    if "doi" in entry and not DOI.fullmatch(entry["doi"]):
        found.append(f"DOI {entry['doi']}")
    if "url" in entry and not URL.fullmatch(entry["url"]):
        found.append(f"URL {entry['url']}")
    if "isbn" in entry and not isbn_is_valid(entry["isbn"]):
        found.append(f"ISBN {entry['isbn']}")
    if "pages" in entry:
        pages = PAGE_RANGE.fullmatch(entry["pages"])
        if not pages or int(pages[1]) >= int(pages[2]):
            found.append(f"ページ {entry['pages']}")
    if "eprint" in entry:
        number = ARXIV.fullmatch(entry["eprint"])
        yy, month = (int(part) for part in number.groups() if part) if number else (0, 0)
        if not 1 <= month <= 12 or abs(2000 + yy - year) > 1:
            found.append(f"arXiv {entry['eprint']} ({year} 年)")
        if entry.get("archiveprefix") != "arXiv":
            found.append("archiveprefix がない")
    return found


@pytest.mark.parametrize("key", ENTRIES)
def test_an_entry_is_well_formed(key: str):
    entry = ENTRIES[key]
    assert {"author", "title", "year"} <= set(entry)
    assert faults(key, entry) == []


def test_every_entry_is_cited_and_every_citation_has_an_entry():
    citations = set().union(*(cited(page.text) for page in PAGES))
    assert citations == set(ENTRIES)


def test_no_key_or_number_appears_twice():
    assert len(ENTRIES) == len(re.findall(r"^@\w+\{", SOURCE, re.M)) > 30
    numbers = [
        value
        for entry in ENTRIES.values()
        for name, value in entry.items()
        if name in {"doi", "eprint", "isbn", "url"}
    ]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize(
    "change",
    [
        {"year": "2020"},  # arXiv の番号とも鍵とも合わない
        {"eprint": "1801.3744"},
        {"eprint": "1813.03744"},
        {"doi": "doi.org/10.1/x"},
        {"pages": "582-591"},
        {"pages": "591--582"},
        {"isbn": "978-4-87311-758-5"},
        {"url": "www.example.com"},
    ],
)
def test_a_slip_in_an_entry_is_caught(change: dict[str, str]):
    assert faults("hanin2018", ENTRIES["hanin2018"]) == []
    assert faults("hanin2018", ENTRIES["hanin2018"] | change)
