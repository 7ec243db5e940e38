"""Texts that a model, or whoever named a file, might write to get the better of a page that shows them.

Each that could run sets `window.ran`. None is a secret: they are the usual ways in, one or two of each kind.
"""

from __future__ import annotations

from typing import Final

_RUN: Final = "window.ran=1"

_TAGS: Final = [
    f"<script>{_RUN}</script>",
    f"<SCRIPT>{_RUN}</SCRIPT>",
    f"<scr<script>ipt>{_RUN}</script>",
    f"<script >{_RUN}</script >",
    f"<script/x>{_RUN}</script>",
    f"</script><script>{_RUN}</script>",
    f"</title><script>{_RUN}</script>",
    f"</textarea><script>{_RUN}</script>",
    f"</style><script>{_RUN}</script>",
    f"--><script>{_RUN}</script>",
    f"]]><script>{_RUN}</script>",
    f"<![CDATA[<script>{_RUN}</script>]]>",
    "<script src=//example.org/x.js></script>",
    f"<script type=module>{_RUN}</script>",
    f"<noscript><p title='</noscript><img src=x onerror={_RUN}>'>",
    f"<template><script>{_RUN}</script></template>",
]
_HANDLERS: Final = [
    f"<img src=x onerror={_RUN}>",
    f"<img src=x onerror='{_RUN}'>",
    f'<img src="x" onerror="{_RUN}">',
    f"<img/src=x/onerror={_RUN}>",
    f"<IMG SRC=x OnErRoR={_RUN}>",
    f"<body onload={_RUN}>",
    f"<input autofocus onfocus={_RUN}>",
    f"<details open ontoggle={_RUN}>",
    f"<video><source onerror={_RUN}></video>",
    f"<audio src=x onerror={_RUN}>",
    f"<marquee onstart={_RUN}>",
    f"<div onmouseover={_RUN} style='position:fixed;inset:0'>over all</div>",
    f"<a href=# onclick={_RUN}>click</a>",
    f'" autofocus onfocus="{_RUN}',
    f"' autofocus onfocus='{_RUN}",
    f'" onload="{_RUN}" x="',
    f"x onerror={_RUN}",
    f"`onerror={_RUN}`",
    f'"><img src=x onerror={_RUN}>',
    f"'><img src=x onerror={_RUN}>",
    f"</bdi></a></td></tr></table><img src=x onerror={_RUN}>",
]
_SVG: Final = [
    f"<svg onload={_RUN}>",
    f"<svg/onload={_RUN}>",
    f"<svg><script>{_RUN}</script></svg>",
    f"<svg><script href='data:text/javascript,{_RUN}'/></svg>",
    f"<svg><animate onbegin={_RUN} attributeName=x dur=1s>",
    f"<svg><a xlink:href='javascript:{_RUN}'><text y=20>x</text></a></svg>",
    f"<svg><foreignObject><img src=x onerror={_RUN}></foreignObject></svg>",
    f"</svg><img src=x onerror={_RUN}>",
    f"<math><mi//xlink:href='data:x,<script>{_RUN}</script>'>",
    f"<math><mtext><table><mglyph><style><img src=x onerror={_RUN}>",
]
_ADDRESSES: Final = [
    f"javascript:{_RUN}",
    f"<a href='javascript:{_RUN}'>x</a>",
    f"<a href='java\tscript:{_RUN}'>x</a>",
    f"<iframe src='javascript:{_RUN}'></iframe>",
    f"<iframe srcdoc='<script>parent.{_RUN}</script>'></iframe>",
    f"<object data='data:text/html,<script>{_RUN}</script>'></object>",
    "<embed src=//example.org>",
    "<img src=//example.org/beacon.png>",
    "<link rel=stylesheet href=//example.org/x.css>",
    "<base href=//example.org/>",
    "<meta http-equiv=refresh content='0;url=//example.org'>",
    "<form action=//example.org><button>Label</button></form>",
    "<style>*{display:none}</style>",
    "<style>@import '//example.org/x.css'</style>",
    "../../../../etc/passwd",
    "..\\..\\windows\\system32",
    "file:///etc/passwd",
    "//example.org/%2e%2e",
]
_TEMPLATES: Final = [
    "{{ 7 * 7 }}",
    "{{ self.__init__.__globals__ }}",
    "{% for x in range(9) %}x{% endfor %}",
    "{# gone #}",
    "${7*7}",
    "#{7*7}",
    "<%= 7 * 7 %>",
    "%(name)s {0} {name} %s %n",
    "&lt;script&gt;window.ran=1&lt;/script&gt;",
    "&#60;script&#62;window.ran=1&#60;/script&#62;",
    "&amp;&nbsp;&#0;&#xD800;",
    "'; DROP TABLE probes; --",
    '" OR 1=1 --',
    "\\u003cscript\\u003ewindow.ran=1\\u003c/script\\u003e",
]
_CHARACTERS: Final = [
    "",
    " ",
    "\0",
    "nul\0in the middle",
    "\x00<script>window.ran=1</script>",
    "\x1b[31mred\x1b[0m\x07\x08\x7f",
    "half a pair \ud800 and \udfff",
    "\ufffe\uffff\ufdd0",
    "\u202egpj.exe\u202c",
    "\u2066\u2067\u2068\u2069\u200f\u061c",
    "مرحبا بالعالم",
    "שלום ‎(1)‎ עולם",
    "\u200b\u200d\ufeff\u2060\u00ad",
    "line\u2028separator\u2029s",
    "a\nb\r\nc\td\x0be\x0cf",
    "Z" + "\u0300\u0338\u0489" * 300,
    "👩‍👩‍👧‍👦🏳️‍🌈" * 40,
    "\U000e0041\U000e0042\U0001f3f4",
    "﷽" * 60,
    "W" * 5000,
    "word " * 4000,
    "\n" * 3000,
    "<" * 3000,
    "&" * 3000,
    "-1e999",
    "NaN",
    "None",
    "null",
]
_LONG: Final = ["A" * 1_000_000, ("<img src=x onerror=window.ran=1>" * 32_000)[:1_000_000]]

HOSTILE: Final = [*_TAGS, *_HANDLERS, *_SVG, *_ADDRESSES, *_TEMPLATES, *_CHARACTERS, *_LONG]
