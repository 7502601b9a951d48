# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How reports look: on a screen, on a phone, in the dark, on paper."""

from __future__ import annotations

CHARTS = """
figure{margin:1rem 0 1.6rem}figcaption{font-weight:600;margin-bottom:.3rem}
.legend{display:flex;flex-wrap:wrap;gap:.1rem 1rem;font-size:.85rem;margin:.1rem 0 .5rem}
.legend span{display:inline-flex;align-items:center;gap:.4rem}.legend svg{width:1.8rem;height:.7rem;flex:none}
.plot{position:relative;height:13rem;margin:.6rem .6rem 1.8rem 4.4rem}
.plot>svg{width:100%;height:100%;display:block;overflow:visible}
.plot .y,.plot .x,.plot .l{position:absolute;font-size:.75rem;line-height:1;color:var(--quiet);white-space:nowrap}
.plot .y{right:100%;margin-right:.5rem;transform:translateY(50%)}
.plot .x{top:100%;margin-top:.45rem;transform:translateX(-50%)}
.plot .l{right:.2rem;margin-bottom:.2rem;background:var(--paper);padding:.05rem .2rem;border-radius:.2rem}
.plot .l.bad{color:var(--bad)}.plot .l.other{color:var(--other)}
path{vector-effect:non-scaling-stroke;fill:none;stroke-linecap:round;stroke-linejoin:round}
path.g{stroke:var(--line);stroke-width:1}path.s{stroke-width:1.75}
path.limit{stroke-width:1.5;stroke-dasharray:6 4}path.limit.bad{stroke:var(--bad)}path.limit.other{stroke:var(--other)}
.s0{stroke:var(--s0)}.s1{stroke:var(--s1);stroke-dasharray:7 4}.s2{stroke:var(--s2);stroke-dasharray:1 4}
.s3{stroke:var(--s3);stroke-dasharray:10 4 1 4}.s4{stroke:var(--s4);stroke-dasharray:4 4}.s5{stroke:var(--s5);stroke-dasharray:14 5}
path.band{fill:var(--s0);opacity:.18;stroke:none}path.ahead{stroke:var(--s0);stroke-width:2;stroke-dasharray:1 5}
.strip{display:grid;grid-template-columns:minmax(7rem,14rem) 1fr minmax(6rem,auto);gap:.3rem .8rem;align-items:center;font-size:.85rem}
.strip svg{width:100%;height:1.1rem;display:block;background:var(--none);border-radius:.2rem}
.strip .ends{grid-column:2;display:flex;justify-content:space-between;color:var(--quiet);font-size:.75rem}.strip b{font-weight:500}
.strip .said{color:var(--quiet)}
rect.pass{fill:var(--passbar)}rect.warn{fill:var(--warnbar)}rect.fail{fill:var(--failbar)}rect.unknown{fill:var(--unknownbar)}
.count svg{width:100%;height:.9rem;display:block}
table.numbers{font-size:.85rem}details{font-size:.85rem;margin-top:.3rem}summary{cursor:pointer;color:var(--quiet)}
@media(max-width:36rem){.plot{height:11rem;margin-left:3.9rem}
.strip{grid-template-columns:1fr auto;gap:.1rem .8rem}.strip svg,.strip .ends{grid-column:1/-1;order:0}.strip b{grid-column:1}
.strip .said{grid-column:2}}
"""

PAGE = """
:root{--paper:#fff;--card:#f6f8fa;--quiet:#57606a;--none:#8882;--unknown:#57606a;--s0:#2268b3;--s1:#b4540a;--s2:#7b3fa0;--s3:#0f7a6c;
--s4:#a3195b;--s5:#5c5c00;--passbar:#4aa564;--warnbar:#d99a1c;--failbar:#c5221f;--unknownbar:#8c959f}
@media(prefers-color-scheme:dark){:root{--paper:#0f1318;--card:#171d25;--quiet:#9aa5b1;--none:#8883;--unknown:#9aa5b1;--s0:#6cb0f5;
--s1:#f0a35e;--s2:#c99bec;--s3:#56cdb9;--s4:#f08ab8;--s5:#cfcf6a;--passbar:#3f9c58;--warnbar:#c98a1a;--failbar:#f06a63;--unknownbar:#6e7781}}
body{background:var(--paper);font-size:1rem;max-width:64rem;padding:1rem 1rem 3rem}
h1{font-size:1.6rem;line-height:1.25}h2{font-size:1.2rem;border-bottom:2px solid var(--line);padding-bottom:.2rem;margin-top:2.2rem}
h2 .pill{float:right}p{margin:.5rem 0}.unknown{color:var(--unknown)}.quiet{color:var(--quiet)}
.pill{display:inline-block;border-radius:1rem;padding:.05rem .7rem;font-size:.85rem;font-weight:600;border:1.5px solid currentColor;
white-space:nowrap}
.top{border-left:.45rem solid var(--unknown);background:var(--card);padding:.8rem 1rem;border-radius:.4rem;margin:1rem 0}
.top.good{border-color:var(--good)}.top.bad{border-color:var(--bad)}.top.other{border-color:var(--other)}
.top.good,.top.bad,.top.other,.top.unknown{color:inherit}.top .verdict{font-size:1.25rem;font-weight:700;margin:0}
.top ol{margin:.4rem 0;padding-left:1.4rem}.top li{margin:.25rem 0}
caption{text-align:left;font-weight:600;padding:.8rem 0 .2rem}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;padding-left:.4rem;padding-right:.9rem}
td.n:last-child,th.n:last-child{padding-right:0}td:first-child{min-width:8.5rem}tbody th{font-weight:500}
thead th{overflow-wrap:normal;font-size:.8rem;color:var(--quiet);font-weight:600;vertical-align:bottom}
.cap{font-weight:600;margin:.9rem 0 .2rem}pre{background:var(--card);border:0;border-radius:.4rem;padding:.6rem .8rem;line-height:1.45}
pre span{display:block;padding-left:1.2rem;text-indent:-1.2rem}
pre span+span{border-top:1px solid var(--line);margin-top:.25rem;padding-top:.25rem}
a{color:var(--s0)}
@media(max-width:36rem){dl{grid-template-columns:1fr;gap:0}dt{margin-top:.4rem;font-size:.85rem}
table.stack thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
table.stack tr{display:block;border-bottom:1px solid var(--line);padding:.45rem 0}
table.stack td,table.stack th{display:flex;justify-content:space-between;gap:1rem;border:0;padding:.08rem 0;text-align:right}
table.stack td:empty{display:none}table.stack td:first-child,table.stack th:first-child{display:block;text-align:left;font-weight:600}
table.stack td:not(:first-child){justify-content:flex-start;text-align:left;padding-left:0}
table.stack td:not(:first-child)::before{content:attr(data-label);color:var(--quiet);text-align:left;flex:none;width:6.5rem}
table.numbers tr{display:grid;grid-template-columns:repeat(5,1fr);border-bottom:1px solid var(--line)}
table.numbers td,table.numbers th{padding:.15rem 0;font-size:.75rem;border:0;text-align:left}table.numbers tbody th{grid-column:1/-1}
table.numbers thead th:first-child{display:none}
td.n{white-space:normal}
table.stack td.n,table.stack th.n{padding-right:0}td:first-child{min-width:0}}
@media print{:root{color-scheme:light;--paper:#fff;--card:#f6f8fa;--quiet:#444;--unknown:#444;--line:#8886;--good:#1a7f37;--bad:#c5221f;
--other:#8a5a00;--s0:#2268b3;--s1:#b4540a;--s2:#7b3fa0;--s3:#0f7a6c;--s4:#a3195b;--s5:#5c5c00;--passbar:#4aa564;--warnbar:#d99a1c;
--failbar:#c5221f;--unknownbar:#8c959f;--none:#8882}
body{color:#000;max-width:none;padding:0;font-size:10pt}figure,tr,.top,pre span{break-inside:avoid}h2,caption,.cap{break-after:avoid}
details{display:none}.plot{height:9rem}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
