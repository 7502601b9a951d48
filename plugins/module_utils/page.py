# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""One HTML page that needs nothing else: its own style, no script, no network, fit for a phone, a printer, and a dark room."""

from __future__ import annotations

from html import escape

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Content security policy (W3C, Content Security Policy Level 3): a page may use its own style and load nothing at all."""
STYLE = """
:root{color-scheme:light dark;--line:#8884;--bar:#3b82c4;--good:#1a7f37;--bad:#c5221f;--other:#9a6700}
@media(prefers-color-scheme:dark){:root{--bar:#5aa2e0;--good:#3fb950;--bad:#ff7b72;--other:#d29922}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem;overflow-wrap:anywhere}
h1{font-size:1.5rem;margin:.2em 0}h2{font-size:1.15rem;margin:1.6em 0 .4em}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem .35rem 0;border-bottom:1px solid var(--line)}
td.n{white-space:nowrap;font-variant-numeric:tabular-nums}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:.6rem 0}dt{opacity:.75}dd{margin:0}
.good{color:var(--good)}.bad{color:var(--bad)}.other{color:var(--other)}
.bar{display:block;height:.5rem;min-width:2px;background:var(--bar);border-radius:2px;margin-top:.3rem}
.error{border-left:.3rem solid var(--bad);padding:.2rem .8rem}.small{font-size:.9em;opacity:.85}
pre{white-space:pre-wrap;font-size:.85rem;border:1px solid var(--line);padding:.5rem;margin:.3rem 0}
"""


def head(title: str, style: str = "") -> str:
    """The page up to the begin of its body; `style` comes after the common one."""
    return "\n".join(
        (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head><body>",
        )
    )


FOOT = "</body></html>\n"
