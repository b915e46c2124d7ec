"""What a run leaves: the post as Markdown and as HTML, everything as JSON, a picture of the scores. Pure.

What models wrote is text and nothing else: no markup of HTML, no link and no picture of theirs lives in what is made
here. Sources alone are linked, from their footnotes.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import itertools
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import orjson
import yaml
from pydantic import TypeAdapter, ValidationError

from intermodel.core import Invalid, NotFound
from intermodel.writer.check import unverified
from intermodel.writer.language import code_of, name_of
from intermodel.writer.outcome import post_of
from intermodel.writer.plain import clean
from intermodel.writer.state import ARTICLE
from intermodel.writer.text import CITED, HEADING, cited, outside_code
from intermodel.writer.values import Article, Brief, Gap, Plan, Role, Round, Source, Spent

MARKDOWN, HTML, BUNDLE, SCORES = "article.md", "article.html", "article.bundle.json", "scores.svg"
"""The files of a run, beside `state.ARTICLE`."""
_WEB = re.compile(r"https?://[^\s<>\"`\\]{1,2000}", re.IGNORECASE)
_BARE = re.compile(r"\b(?:(https?|ftp)(?=://)|(www)(?=\.))", re.IGNORECASE)
"""The beginning of an address that many readers of Markdown make a link of by themselves (GFM, 6.9)."""
_TOKEN = re.compile(r"\s+|[^\s\w]|\w+")
_PIECE = re.compile(r"(?<=[.!?] )|(?<=\n)")
_STEPS = 400_000_000
"""How much comparing two drafts may cost; difflib takes up to n * m * min(n, m) steps for n and m things."""
_Article = TypeAdapter(Article)


@dataclass(frozen=True, slots=True)
class Account:
    """What is known of a run besides its article: when it began (RFC 3339), what it cost by role, its receipts, and the
    digest of each model's file where the node knows it."""

    date: str
    spent: Mapping[str, Spent]
    receipts: Sequence[str] = ()
    digests: Mapping[str, str] | None = None


# Everything, as JSON


def document(article: Article, account: Account, standing: Literal["waiting", "finished", "failed"]) -> dict[str, Any]:
    """Everything of a draft, as article.json has it; `article_of` reads it again."""
    models = {role.value: article.brief.model_of(role) for role in Role}
    return asdict(article) | {
        "plan": article.plan.model_dump(),
        "standing": standing,
        "date": account.date,
        "title": title_of(article.best.draft, article.plan),
        "models": {role: _model(model, account.digests or {}) for role, model in models.items()},
        "unverified": [asdict(gap) for gap in _unverified(article)],
        "post": post_of(article).document(),
        "also_read": [source.number for source in also_read(article)],
        **_bill(account),
    }


def found(brief: Brief, notes: Any, plan: Plan | None, why: str, account: Account) -> dict[str, Any]:
    """The same of a run that failed before it had a draft: what was found until then. `best` is null."""
    return {
        "brief": asdict(brief), "plan": plan.model_dump() if plan else None, "notes": asdict(notes), "rounds": [],
        "best": None, "ending": "failed", "remark": why, "edited": False, "standing": "failed", "date": account.date,
        **_bill(account),
    }  # fmt: skip


def _bill(account: Account) -> dict[str, Any]:
    known = [one.dollars for one in account.spent.values()]
    total = None if None in known else str(sum(one for one in known if one is not None))
    bill = {
        role: asdict(one) | {"dollars": None if one.dollars is None else str(one.dollars)}
        for role, one in account.spent.items()
    }
    return {"bill": bill, "dollars": total, "receipts": list(account.receipts)}


def _model(address: str, digests: Mapping[str, str]) -> dict[str, str]:
    return {"address": address} | ({"digest": digests[address]} if address in digests else {})


def article_of(told: bytes) -> Article | None:
    """An article from its JSON; None where the run had no draft. Raises `Invalid`."""
    try:
        data = orjson.loads(told)
        return None if data["best"] is None else _Article.validate_python(data)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValidationError) as error:
        raise Invalid(
            f"{ARTICLE} cannot be read: {str(error)[:300]}.", hint="Resume the run: it writes it anew."
        ) from None


def read(folder: Path) -> Article | None:
    """The article of a run's folder; None where there is none yet, or without a draft. Raises `Invalid`."""
    try:
        return article_of((folder / ARTICLE).read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotFound(f"{folder / ARTICLE} cannot be read: {error.strerror}.") from None


# What of it is told


def title_of(draft: str, plan: Plan) -> str:
    """The draft's own, else the plan's."""
    heading = HEADING.search(draft)
    return " ".join(clean(heading[1] if heading else plan.title).split()).strip("# ") or "Untitled"


def also_read(article: Article) -> list[Source]:
    """Sources that were read and are not cited."""
    numbers = cited(article.best.draft)
    return [source for source in article.notes.sources if source.number not in numbers]


def sources_of(article: Article) -> list[Source]:
    """The sources that are cited, in that order. Raises `Invalid` for a citation that leads nowhere."""
    numbers = cited(article.best.draft)
    missing = [number for number in numbers if article.notes.source(number) is None]
    if missing:
        told = ", ".join(f"[{number}]" for number in missing)
        raise Invalid(
            f"The post cites {told}, and of {len(article.notes.sources)} sources none has that number.",
            hint="Send it back with a note: cite only sources that are listed.",
            code="dangling_citation",
        )
    return [source for number in numbers if (source := article.notes.source(number))]


# Markdown


def markdown(article: Article, account: Account) -> str:
    """The post with front matter and footnotes. Raises `Invalid` for a citation that leads nowhere."""
    sources = sources_of(article)
    parts = [
        _front(article, account),
        _closed(_marked(inert(article.best.draft), [source.number for source in sources])),
        _section("Not verified", _unverified(article)),
        _section("What was not found", not_found(article)),
        _listed("Also read", [_told(source) for source in also_read(article)]),
        "\n".join(f"[^{source.number}]: {_told(source)}" for source in sources),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front(article: Article, account: Account) -> str:
    about = {
        "title": title_of(article.best.draft, article.plan),
        "date": account.date,
        "topic": article.brief.topic,
        "models": {role.value: article.brief.model_of(role) for role in Role},
        "score": article.best.verdict.score,
        "rounds": len(article.rounds),
        "ending": article.ending.value,
    }
    if article.brief.language:
        about["language"] = name_of(article.brief.language)
    if article.remark:
        about["remark"] = article.remark
    return f"---\n{yaml.safe_dump(about, sort_keys=False, allow_unicode=True, width=1000)}---"


def _unverified(article: Article) -> tuple[Gap, ...]:
    return unverified(article.best.draft, article.best.verdict.problems, article.brief.language)


def not_found(article: Article) -> list[Gap]:
    """What was looked for and not had, and what a reader would ask and nothing answers."""
    asked = [Gap(question, "No source answers it.") for question in article.plan.open_questions]
    return list(dict.fromkeys([*article.notes.gaps, *asked]))


def inert(text: str) -> str:
    """Markdown of a model without what could act where it is read: HTML, links and their definitions, pictures,
    footnotes of its own, addresses that a reader of Markdown would link by itself.

    A block of code stays as it was written, as nothing acts in one; but for blocks inside lists and quotations, whose
    end is told by their indentation, which not every reader takes for the same.
    """
    before = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    told = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", "\n".join(before))
    told = re.sub(r"(?<!\\)((?:\\\\)*)\[\^", r"\1\\[^", told)
    told = told.replace("](", "]\\(").replace("]:", "]\\:").replace("![", "!\\[")
    lines = _BARE.sub(lambda found: found[0] + "\\", told).split("\n")
    for block in _renderer().parse("\n".join(lines)):
        if block.type == "fence" and block.level == 0:
            first, end = block.map
            lines[first + 1 : end] = before[first + 1 : end]
    return "\n".join(lines)


def _marked(text: str, numbers: Collection[int]) -> str:
    """With citations as footnotes, where there is one."""

    def mark(piece: str) -> str:
        return CITED.sub(lambda found: f"[^{found[1]}]" if int(found[1]) in numbers else found[0], piece)

    return outside_code(text, mark)


def _closed(text: str) -> str:
    """With an end to a block of code that has none, so that what follows is not taken for a part of it."""
    text = text.rstrip()
    last = _renderer().parse(f"{text}\n\nend")[-1]
    return f"{text}\n{last.markup}" if last.type == "fence" and last.level == 0 else text


def _section(title: str, gaps: Sequence[Gap]) -> str:
    return _listed(title, [f"{_line(gap.what)}{_colon(gap.what)} {_line(gap.why)}" for gap in gaps])


def _colon(text: str) -> str:
    return "" if text.rstrip()[-1:] in ".?!" else ":"


def _listed(title: str, lines: Sequence[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines) if lines else ""


def _told(source: Source) -> str:
    published = f" Published {_line(source.published)}." if source.published else ""
    return f"{_line(source.title)}. {_address(source.url)}.{published} Retrieved {source.fetched}. `{source.digest}`"


def _line(text: str) -> str:
    """Text of others in one line, of which no character means anything in Markdown."""
    told = re.sub(r"([\\`*_\[\]<>#|~])", r"\\\1", " ".join(clean(text).split()))
    return _BARE.sub(lambda found: found[0] + "\\", told)


def _address(url: str) -> str:
    return f"<{url}>" if _WEB.fullmatch(url) else f"`{' '.join(url.replace('`', '').split())}`"


# HTML


def html(article: Article, account: Account) -> str:
    """The post as a page of its own, without scripts and without anything from outside. Raises as `markdown`."""
    sources = sources_of(article)
    page: str = _template().render(
        title=title_of(article.best.draft, article.plan),
        body=body(article.best.draft),
        has_title=bool(HEADING.search(article.best.draft)),
        article=article,
        account=account,
        language=code_of(article.brief.language),
        models={role.value: article.brief.model_of(role) for role in Role},
        sources=[(source, _web(source.url)) for source in sources],
        also=[(source, _web(source.url)) for source in also_read(article)],
        unverified=_unverified(article),
        post=post_of(article),
        not_found=not_found(article),
        colon=_colon,
        scores=scores(article.rounds, article.brief.accept, article.best.number),
    )
    return page


def body(draft: str) -> str:
    """A draft as HTML that is safe to show: what a model wrote is escaped, citations lead to `#source-N`, and nothing
    else is a link, as the rules that make one are off."""
    return str(_renderer().render(draft, {"cited": frozenset(cited(draft))}))


def _web(url: str) -> str:
    return url if _WEB.fullmatch(url) else ""


@functools.cache
def _renderer() -> Any:
    from markdown_it import MarkdownIt  # of the extra, and only here

    def text(_self: Any, tokens: Sequence[Any], index: int, _options: Any, env: Any) -> str:
        def link(found: re.Match[str]) -> str:
            number = int(found[1])
            if number not in env["cited"]:
                return found[0]
            return f'<sup class="cite"><a href="#source-{number}">[{number}]</a></sup>'

        return CITED.sub(link, escape(tokens[index].content, quote=True))

    made = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "link", "autolink", "reference"])
    made.add_render_rule("text", text)
    return made


@functools.cache
def _template() -> Any:
    from jinja2 import Environment

    source = (resources.files("intermodel.writer") / "article.html").read_text(encoding="utf-8")
    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(source)


# The picture, the difference, the statement


def scores(rounds: Sequence[Round], accept: float, best: int) -> str:
    """The score of each round as SVG, with the score that would have been accepted; "" where there was no round."""
    if not rounds:
        return ""
    step, base = 72, 150
    width = 60 + step * len(rounds)
    line = base - 12 * accept
    bars = []
    for place, one in enumerate(rounds):
        x, high, score = 48 + step * place, 12 * one.verdict.score, one.verdict.score
        kind = "best" if one.number == best else "bar"
        bars.append(
            f'<rect class="{kind}" x="{x}" y="{base - high:g}" width="40" height="{max(high, 1):g}" rx="3"/>'
            f'<text x="{x + 20}" y="{base - high - 6:g}">{score:g}</text>'
            f'<text x="{x + 20}" y="{base + 18}">round {one.number}</text>'
        )
    told = ", ".join(f"round {one.number}: {one.verdict.score:g}" for one in rounds)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 180" width="{width}" height="180" role="img">'
        f"<title>Score of each round, of 10</title><desc>{told}; {accept:g} would be accepted.</desc>"
        "<style>text{font:12px system-ui,sans-serif;text-anchor:middle;fill:#333}.bar{fill:#9db4d6}.best{fill:#2f6fd0}"
        ".line{stroke:#888;stroke-dasharray:4 4}@media(prefers-color-scheme:dark){text{fill:#ddd}.bar{fill:#50678a}}"
        f"</style>{''.join(bars)}"
        f'<line class="line" x1="34" x2="{width - 8}" y1="{line:g}" y2="{line:g}"/>'
        f'<text x="18" y="{line + 4:g}">{accept:g}</text></svg>\n'
    )


@dataclass(frozen=True, slots=True)
class Change:
    """A piece of text that two drafts share, or that only the first or the second has."""

    kind: Literal["same", "gone", "new"]
    text: str


def diff(before: str, after: str) -> list[Change]:
    """From one draft to the next: by sentences, and word by word in those that changed, as far as that is affordable.
    What has too many to be compared has changed as a whole."""
    spare = _STEPS
    changes: list[Change] = []
    for old, new in _compared(_PIECE.split(before), _PIECE.split(after)):
        pairs = [(old, new)]
        words, others = _TOKEN.findall(old), _TOKEN.findall(new)
        if old != new and (cost := _cost(words, others)) <= spare:
            spare -= cost
            pairs = _compared(words, others)
        for gone, made in pairs:
            if gone == made:
                changes.append(Change("same", gone))
            else:
                changes += [Change("gone", gone), Change("new", made)]
    runs = itertools.groupby((one for one in changes if one.text), lambda one: one.kind)
    return [Change(kind, "".join(one.text for one in every)) for kind, every in runs]


def _compared(old: Sequence[str], new: Sequence[str]) -> list[tuple[str, str]]:
    """What stands against each other, in order; all against all where finding that out would take too long."""
    if _cost(old, new) > _STEPS:
        return [("".join(old), "".join(new))]
    found = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return [("".join(old[a:b]), "".join(new[c:d])) for _, a, b, c, d in found]


def _cost(old: Sequence[str], new: Sequence[str]) -> int:
    return len(old) * len(new) * min(len(old), len(new))


def predicate(article: Article, account: Account) -> dict[str, Any]:
    """What is signed of a post: how it came to be. Nobody is named in it, and no text of the post or of a note."""
    digests = account.digests or {}
    return {
        "topic": article.brief.topic,
        "models": {role.value: _model(article.brief.model_of(role), digests) for role in Role},
        "sources": [
            {"number": one.number, "url": one.url[:2000], "digest": one.digest, "fetched": one.fetched}
            for one in article.notes.sources
        ],
        "rounds": [{"round": one.number, "score": one.verdict.score} for one in article.rounds],
        "best": article.best.number,
        "score": article.best.verdict.score,
        "edited": article.edited,
        "ending": article.ending.value,
        "counts": {
            "claims": len(article.notes.claims),
            "cited": len(cited(article.best.draft)),
            "unverified": len(_unverified(article)),
            "gaps": len(article.notes.gaps),
            "calls": sum(one.calls for one in account.spent.values()),
        },
    }


def digest_of(text: bytes) -> str:
    return "sha256:" + hashlib.sha256(text).hexdigest()
