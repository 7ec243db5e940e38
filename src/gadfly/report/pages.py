"""Turns what a report shows into pages: templates, with styles, scripts and the policy that lets them in."""

from __future__ import annotations

import base64
import functools
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gadfly.records import Verdict
from gadfly.report import wording
from gadfly.report.charts import sparkline
from gadfly.report.exports import failures
from gadfly.report.follow_views import SHARINGS
from gadfly.report.policy import json_block, policy
from gadfly.report.taxonomy_map import SHADES, style
from gadfly.report.views import LEADING, ModeView, Site, evidence_link

STYLES = ("tokens.css", "page.css", "parts.css")
SCRIPTS = ("theme.js", "tables.js")
_CHARTS = ("vendor/uplot.js", "assets/charts.js")


def index_page(site: Site) -> str:
    data = {chart.id: chart.data() for chart in _charts(site)}
    scripts = [*(_CHARTS if data else ()), "assets/tree.js"]
    return _render(
        "index.html",
        site,
        scripts,
        [style(site.tree)],
        data=data,
        leading=(site.reading or site.held)[:LEADING],
        n_failures=len(failures(site.material)),
    )


def mode_page(site: Site, view: ModeView) -> str:
    held = [one for one in site.modes if one.rank is not None or one is view]
    at = held.index(view)
    data = {"mode": _exported(view), "probes": [card.record for card in view.cards]}
    return _render(
        "mode.html",
        site,
        ["assets/gallery.js", "assets/zip.js", "assets/export.js"],
        (),
        data=data,
        view=view,
        before=held[at - 1] if at else None,
        after=held[at + 1] if at + 1 < len(held) else None,
        up="../",
    )


def evidence_page(site: Site) -> str:
    return _render("evidence.html", site, ["assets/gallery.js", "assets/evidence.js"], ())


def _exported(view: ModeView) -> dict[str, Any]:
    mode = view.mode
    return {
        "id": mode.id,
        "name": mode.name,
        "items": list(mode.items),
        "failure_rate": mode.failure.value,
        "low": mode.failure.low,
        "high": mode.failure.high,
        "n": mode.failure.n,
    }


def _charts(site: Site) -> list[Any]:
    return [*site.charts, *site.curriculum_charts, *([] if site.coverage_chart is None else [site.coverage_chart])]


def _render(
    template: str,
    site: Site,
    scripts: Iterable[str],
    styles: Iterable[str],
    *,
    up: str = "",
    data: Any = None,
    **more: Any,
) -> str:
    css = [_stylesheet(), *(one for one in styles if one)]
    js = [*(_asset(f"assets/{name}") for name in SCRIPTS), *(_asset(name) for name in scripts)]
    return (
        _environment()
        .get_template(template)
        .render(
            site=site,
            m=site.material,
            up=up,
            policy=policy(js, css),
            styles=[Markup(one) for one in css],
            scripts=[Markup(one) for one in js],
            data=data,
            **more,
        )
    )


@functools.cache
def _asset(path: str) -> str:
    text = (files("gadfly.report") / path).read_text("utf-8")
    assert "</script" not in text.lower() and "</style" not in text.lower(), f"{path} would end its own element"
    return text


@functools.cache
def _stylesheet() -> str:
    font = base64.b64encode((files("gadfly.report") / "vendor" / "inter.woff2").read_bytes()).decode("ascii")
    face = (
        '@font-face{font-family:"Inter Variable";font-weight:100 900;font-style:normal;font-display:swap;'
        f'src:url("data:font/woff2;base64,{font}") format("woff2")}}'
    )
    return "\n".join([face, _asset("vendor/uplot.css"), *(_asset(f"assets/{name}") for name in STYLES)])


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("gadfly.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in "chance percent percent_interval number interval count duration moment shown one_line".split():
        environment.filters[name] = getattr(wording, name)
    environment.filters["json_block"] = json_block
    environment.globals.update(
        Verdict=Verdict, evidence_link=evidence_link, SHADES=SHADES, SHARINGS=SHARINGS, sparkline=sparkline
    )
    return environment
