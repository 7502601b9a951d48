# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The page's style sheet, script and icon; whole files in memory, so that no path of the disk can be asked for."""

from __future__ import annotations

import hashlib
import typing as t

from .. import page
from ..report.style import CHARTS, PAGE
from .drawn import position_rules

_STYLE = """
body{max-width:72rem;padding:0 1rem 3rem}
header.mast{position:sticky;top:0;z-index:2;background:var(--paper);border-bottom:1px solid var(--line);margin:0 -1rem;padding:.5rem 1rem;
display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;align-items:baseline}
header.mast h1{font-size:1.15rem;margin:0}header.mast nav{display:flex;gap:1rem;margin-left:auto;font-size:.9rem;overflow-x:auto}
header.mast nav a{text-decoration:none;padding:.2rem 0}header.mast nav a:hover{text-decoration:underline}
section{scroll-margin-top:3.4rem}h2{scroll-margin-top:3.4rem}h3{font-size:1rem;margin:1.2rem 0 .3rem}
.top{display:grid;grid-template-columns:auto 1fr;gap:.2rem 1.6rem;align-items:center;padding:1rem 1.2rem}
.top .score{font-size:2.6rem;font-weight:700;line-height:1.1;font-variant-numeric:tabular-nums}
.top .score small{font-size:.8rem;font-weight:400;display:block;color:var(--quiet)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.6rem;margin:1rem 0}
.tile{background:var(--card);border-radius:.4rem;padding:.6rem .8rem}
.tile b{display:block;font-size:1.25rem;font-variant-numeric:tabular-nums}
.tile span{font-size:.8rem;color:var(--quiet)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:.6rem;margin:1rem 0;padding:0;list-style:none}
.cards li{display:flex}
.cards a{flex:1;display:block;background:var(--card);border-radius:.4rem;padding:.7rem .9rem;text-decoration:none;color:inherit;
border-left:.35rem solid var(--unknown)}
.cards a:hover{outline:2px solid var(--s0)}.cards a.good{border-color:var(--good)}.cards a.bad{border-color:var(--bad)}
.cards a.other{border-color:var(--other)}
.cards a.good,.cards a.bad,.cards a.other,.cards a.unknown{color:inherit}
.cards .head{display:flex;justify-content:space-between;gap:.6rem;align-items:baseline;font-weight:600}
.cards p{margin:.2rem 0 0;font-size:.85rem;color:var(--quiet)}
.age{color:var(--quiet);font-size:.85rem;white-space:nowrap}.age.old{color:var(--bad);font-weight:600}
.error{border-left:.45rem solid var(--bad);background:var(--card);border-radius:.4rem;padding:.7rem 1rem;margin:1rem 0}
#lost{display:none;position:sticky;top:2.6rem;z-index:1}.lost #lost{display:block}
.lost main>section:not(#logs){filter:grayscale(1);opacity:.6}
.windows{display:flex;flex-wrap:wrap;gap:.4rem;margin:.6rem 0;font-size:.9rem}
.windows a,.windows b,.tabs button{border:1px solid var(--line);border-radius:1rem;padding:.2rem .8rem;text-decoration:none;font:inherit;
font-size:.9rem;
background:none;color:inherit;min-height:2rem}
.windows b,.tabs button[aria-pressed=true]{background:var(--card);border-color:currentColor;font-weight:600}
.tabs{display:flex;flex-wrap:wrap;gap:.4rem;margin:.6rem 0;align-items:center}.tabs button{cursor:pointer}
#lines{background:var(--card);border-radius:.4rem;margin:.3rem 0;padding:.5rem .7rem;max-height:24rem;overflow-y:auto;list-style:none;
font:.8rem/1.5 ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;white-space:pre-wrap}
#lines li{border-bottom:1px solid var(--none);padding:.12rem 0;overflow-wrap:anywhere}
#lines .at{color:var(--quiet)}#lines .lv{font-weight:700}#lines li.ERROR .lv,#lines li.CRITICAL .lv{color:var(--bad)}
#lines li.WARNING .lv{color:var(--other)}
#lines li.skipped{color:var(--quiet);font-style:italic}
@media(min-width:36.1rem){#components table{table-layout:fixed}#components th:nth-child(1){width:27%}
#components th:nth-child(2){width:7.5rem}
#components th:nth-child(3){width:7rem}#components th:nth-child(4){padding-left:1.4rem}#components td:nth-child(4){padding-left:1.4rem}
#components th:nth-child(5){width:15rem}}
#components table+table{margin-top:1rem}
.columns{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,28rem),1fr));gap:0 2rem}
.columns figure{margin:.6rem 0;min-width:0}
.columns .plot{height:10rem}
@media(max-width:36rem){.top{grid-template-columns:1fr}header.mast nav{margin-left:0;width:100%}.cards{grid-template-columns:1fr}
.tiles{grid-template-columns:repeat(2,1fr)}#lines{font-size:.75rem;max-height:20rem;padding:.4rem .5rem}
h2 .pill{float:none;margin-right:.5rem}
h2{scroll-margin-top:5rem}section{scroll-margin-top:5rem}#lost{top:4rem}}
@media print{header.mast{position:static}#logs,.windows,header.mast nav{display:none}}
"""

_SCRIPT = r"""
"use strict";
(() => {
  const REFRESH_MS = 15000, RETRY_MS = 5000, MOST_LINES = 500;
  const one = (query, within = document) => within.querySelector(query);
  const all = (query, within = document) => within.querySelectorAll(query);
  let skew = 0, stream = null, source = "", last = 0, follow = true;

  const clock = () => { const main = one("main"); skew = Number(main.dataset.now) - Date.now() / 1000; };
  const words = (s) => s < 120 ? `${Math.round(s)} s` : s < 7200 ? `${Math.round(s / 60)} min`
    : s < 172800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} days`;
  const ages = () => {
    const now = Date.now() / 1000 + skew, limit = Number(one("main").dataset.stale);
    for (const mark of all("[data-at]")) {
      const age = Math.max(0, now - Number(mark.dataset.at));
      one("i", mark).textContent = `${words(age)} old`;
      mark.classList.toggle("old", age > limit && !mark.classList.contains("past"));
    }
  };

  const refresh = async () => {
    try {
      const answer = await fetch(location.pathname + location.search, {cache: "no-store", signal: AbortSignal.timeout(10000)});
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const open = new Set([...all("details[open]")].map((d) => d.id));
      for (const part of all("main > section")) {
        const other = fresh.getElementById(part.id);
        if (part.id !== "logs" && other && other.innerHTML !== part.innerHTML) part.replaceWith(document.importNode(other, true));
      }
      for (const details of all("details")) if (details.id && open.has(details.id)) details.open = true;
      one("main").dataset.now = one("main", fresh).dataset.now;
      document.title = fresh.title;
      clock();
      document.body.classList.remove("lost");
    } catch (error) {
      if (!document.body.classList.contains("lost")) {
        document.body.classList.add("lost");
        one("#lost time").textContent = new Date().toISOString().slice(11, 19) + " UTC";
      }
    }
    ages();
  };

  const add = (line, css = "") => {
    const list = one("#lines"), row = document.createElement("li");
    row.className = css || line.level || "";
    for (const [name, text] of [["at", line.at], ["lv", line.level], ["tx", line.text]]) {
      if (!text) continue;
      const part = document.createElement("span");
      part.className = name;
      part.textContent = text + " ";
      row.append(part);
    }
    list.append(row);
    while (list.childElementCount > MOST_LINES) list.firstElementChild.remove();
    if (follow) list.scrollTop = list.scrollHeight;
  };
  const say = (text) => { one("#stream").textContent = text; };
  const listen = (name) => {
    if (stream) stream.close();
    if (name !== source) { source = name; last = ""; one("#lines").replaceChildren(); }
    for (const tab of all(".tabs button")) tab.setAttribute("aria-pressed", String(tab.dataset.log === name));
    stream = new EventSource(`logs/stream?log=${encodeURIComponent(name)}&after=${encodeURIComponent(last)}`);
    stream.onopen = () => say("live");
    stream.addEventListener("line", (event) => {
      if (!last) one("#lines").replaceChildren();
      last = event.lastEventId;
      add(JSON.parse(event.data));
    });
    stream.addEventListener("skipped", (event) => add({text: `... ${Number(event.data)} lines were skipped ...`}, "skipped"));
    stream.addEventListener("problem", (event) => say(JSON.parse(event.data)));
    stream.addEventListener("again", () => say("live"));
    stream.onerror = () => {
      stream.close();
      say("not connected; trying again");
      setTimeout(() => { if (source === name) listen(name); }, RETRY_MS);
    };
  };

  clock();
  ages();
  setInterval(ages, 1000);
  setInterval(refresh, REFRESH_MS);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  const lines = one("#lines");
  if (lines) {
    lines.addEventListener("scroll", () => { follow = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 40; });
    for (const tab of all(".tabs button")) tab.addEventListener("click", () => listen(tab.dataset.log));
    const first = one(".tabs button");
    if (first) { one(".tabs").hidden = false; listen(first.dataset.log); }
  }
})();
"""

_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#2268b3"/>'
    '<path d="M4 17h6l3-8 5 14 3-6h7" fill="none" stroke="#fff" stroke-width="2.6" stroke-linecap="round" stroke-linejoin="round"/></svg>'
)


def assets() -> t.Dict[str, t.Tuple[str, bytes]]:
    """Name -> media type and content of every file that the page loads."""
    style = page.STYLE + PAGE + CHARTS + _STYLE + position_rules()
    return {
        "page.css": ("text/css; charset=utf-8", style.encode()),
        "page.js": ("text/javascript; charset=utf-8", _SCRIPT.lstrip().encode()),
        "icon.svg": ("image/svg+xml", _ICON.encode()),
    }


def version() -> str:
    """Changes whenever one of the files does, so that browsers may keep them."""
    return hashlib.sha256(b"".join(content for _kind, content in assets().values())).hexdigest()[:12]
