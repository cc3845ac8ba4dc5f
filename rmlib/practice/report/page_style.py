"""How the report looks: on a screen in light and dark, on a phone, on paper."""

PAGE_STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --raised: #f5f7f9; --line: #d5dbe1; --ink: #1b2126; --soft: #55606a; --accent: #00609a;
  --good: #00674b; --bad: #a84300;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181c; --raised: #1d2328; --line: #39424a; --ink: #e4e8eb; --soft: #a3adb6; --accent: #7cc0ee;
    --good: #62cfa9; --bad: #f2a06b;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body {
  margin: 0 auto; padding: 3rem 1.25rem 4rem; max-width: 48rem; background: var(--paper); color: var(--ink);
  font: 1.0625rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: break-word;
}
h1 { font-size: 2rem; line-height: 1.2; letter-spacing: -0.015em; margin: 0.25rem 0 0.75rem; text-wrap: balance; }
h2 { font-size: 1.375rem; line-height: 1.3; letter-spacing: -0.01em; margin: 0 0 0.75rem; text-wrap: balance; }
h3 { font-size: 1.0625rem; margin: 0 0 0.5rem; }
p, ul { margin: 0 0 1rem; }
ul { padding-left: 1.25rem; }
li { margin-bottom: 0.25rem; }
a { color: var(--accent); text-underline-offset: 0.15em; }
a:focus-visible, summary:focus-visible, .wide:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
code { font: 0.9em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
section { margin-top: 2.5rem; padding-top: 2rem; border-top: 1px solid var(--line); }
.kind { color: var(--soft); font-size: 0.8125rem; font-weight: 600; letter-spacing: 0.08em; margin: 0;
  text-transform: uppercase; }
.lead { font-size: 1.1875rem; line-height: 1.5; color: var(--soft); }

.answer { background: var(--raised); border-left: 4px solid var(--soft); border-radius: 0 0.5rem 0.5rem 0;
  padding: 0.875rem 1rem; font-size: 1.125rem; line-height: 1.5; margin-bottom: 0.75rem; }
.answer.good { border-color: var(--good); }
.answer.bad { border-color: var(--bad); }
.rule { color: var(--soft); font-size: 0.875rem; line-height: 1.5; }

.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); gap: 0.75rem; margin: 1.5rem 0; }
.tiles > div { background: var(--raised); border: 1px solid var(--line); border-radius: 0.5rem;
  padding: 0.875rem 1rem; }
.tiles dt { color: var(--soft); font-size: 0.875rem; line-height: 1.35; }
.tiles dd { margin: 0; }
.tiles dd:first-of-type { font-size: 1.875rem; font-weight: 650; line-height: 1.3; letter-spacing: -0.02em;
  font-variant-numeric: tabular-nums; }
.tiles dd:last-of-type { color: var(--soft); font-size: 0.875rem; line-height: 1.4; }

.verdict { list-style: none; padding: 0; margin: 1.25rem 0 0; }
.verdict li { padding-left: 1.75rem; position: relative; margin-bottom: 0.5rem; }
.verdict li::before { position: absolute; left: 0.125rem; font-weight: 700; color: var(--soft); content: "\\2022"; }
.verdict .good::before { content: "\\2713"; color: var(--good); }
.verdict .bad::before { content: "!"; left: 0.375rem; color: var(--bad); }

nav { font-size: 0.9375rem; margin-top: 1.5rem; }
nav ol { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; list-style: none; margin: 0; padding: 0; }

.wide { overflow-x: auto; margin: 1.25rem 0; }
table { border-collapse: collapse; width: 100%; font-size: 0.9375rem; line-height: 1.45;
  font-variant-numeric: tabular-nums; }
caption { caption-side: top; text-align: left; color: var(--soft); font-size: 0.875rem; padding-bottom: 0.5rem; }
th, td { padding: 0.4rem 0.75rem 0.4rem 0; text-align: right; vertical-align: baseline; }
th:last-child, td:last-child { padding-right: 0; }
th:first-child { text-align: left; }
thead th { color: var(--soft); font-size: 0.8125rem; font-weight: 600; vertical-align: bottom;
  border-bottom: 2px solid var(--line); }
tbody th { font-weight: 400; }
thead ~ tbody td, data { white-space: nowrap; }
thead ~ tbody th { min-width: 5rem; }
tbody tr { border-bottom: 1px solid var(--line); }
.group th { font-weight: 600; padding-top: 1rem; }

figure { margin: 1.5rem 0; }
figure .wide { background: #ffffff; border: 1px solid var(--line); border-radius: 0.5rem; margin: 0; padding: 0.75rem; }
img { display: block; width: 100%; min-width: 34rem; height: auto; }
figcaption { color: var(--soft); font-size: 0.875rem; line-height: 1.45; margin-top: 0.5rem; }

.note { background: var(--raised); border-left: 4px solid var(--bad); border-radius: 0 0.5rem 0.5rem 0;
  padding: 0.875rem 1rem; margin: 1.25rem 0; }
.note p:last-child { margin: 0; }
details { border: 1px solid var(--line); border-radius: 0.5rem; margin: 1rem 0; padding: 0 1rem; }
summary { cursor: pointer; font-weight: 600; margin: 0 -1rem; padding: 0.75rem 1rem; color: var(--accent); }
details[open] > summary { border-bottom: 1px solid var(--line); margin-bottom: 1rem; }
article { padding: 0.25rem 0 1.25rem; }
article + article { border-top: 1px solid var(--line); padding-top: 1.25rem; }
.texts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr)); gap: 0.75rem; }
.text { background: var(--raised); border: 1px solid var(--line); border-radius: 0.5rem; padding: 0.625rem 0.875rem;
  margin: 0 0 0.75rem; font-size: 0.9375rem; line-height: 1.5; white-space: pre-wrap; overflow-wrap: anywhere;
  overflow-x: auto; unicode-bidi: isolate; }
.label { color: var(--soft); font-size: 0.8125rem; font-weight: 600; margin: 0 0 0.25rem; }
footer code:last-of-type { white-space: nowrap; }
footer { margin-top: 3rem; padding-top: 1.25rem; border-top: 1px solid var(--line); color: var(--soft);
  font-size: 0.875rem; }

@media (max-width: 40rem) {
  body { padding: 1.75rem 1rem 3rem; font-size: 1rem; }
  h1 { font-size: 1.625rem; }
  .tiles { grid-template-columns: 1fr 1fr; }
  .tiles > div { padding: 0.75rem; }
  .tiles dd:first-of-type { font-size: 1.5rem; }
  thead ~ tbody td { white-space: normal; }
  #parts img { min-width: 0; }
}
@media print {
  :root { --paper: #ffffff; --raised: #ffffff; --line: #b9c0c7; --ink: #000000; --soft: #3d464e; --accent: #000000;
    --good: #000000; --bad: #000000; }
  html { font-size: 9.5pt; }
  body { max-width: none; padding: 0; }
  .tiles { grid-template-columns: repeat(4, 1fr); }
  nav { display: none; }
  h2, h3, caption, summary { break-after: avoid; }
  figure, tr, .tiles, .note, .answer { break-inside: avoid; }
  .wide { overflow: visible; }
  img { min-width: 0; max-width: 15cm; margin: auto; }
}
"""
