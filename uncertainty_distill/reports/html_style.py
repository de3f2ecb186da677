"""How a page looks: on a telephone, on a desk, in the dark and on paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --text: #1b2430; --soft: #566172; --line: #d8dee7; --back: #ffffff;
  --panel: #f4f6f9; --link: #00609a; --best: #dff2e9;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e5e9f0; --soft: #a3adbc; --line: #39424f; --back: #14181e;
    --panel: #1d232b; --link: #74bdf0; --best: #17493a;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--back); color: var(--text);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main { max-width: 76rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1, h2, h3, h4 { line-height: 1.25; overflow-wrap: anywhere; }
h1 { font-size: clamp(1.5rem, 5vw, 2.1rem); margin: 0 0 1rem; }
h2 {
  font-size: 1.35rem; margin: 2.75rem 0 0.75rem; padding-top: 0.75rem;
  border-top: 1px solid var(--line);
}
h3 { font-size: 1.1rem; margin: 2rem 0 0.5rem; }
h4 { font-size: 1rem; margin: 1.5rem 0 0.5rem; }
p, ul { max-width: 78ch; overflow-wrap: anywhere; }
ul { padding-left: 1.2rem; color: var(--soft); font-size: 0.9rem; }
ul strong { color: var(--text); }
a { color: var(--link); }
nav { padding: 0.75rem 1rem; background: var(--panel); border-radius: 0.5rem; }
nav ul {
  max-width: none; margin: 0; padding: 0; columns: 17rem; list-style: none;
}
nav li { padding: 0.2rem 0; break-inside: avoid; }
nav li.h3 { padding-left: 1rem; }
code { font: 0.87em/1.5 ui-monospace, "Cascadia Mono", Menlo, monospace; }
pre {
  padding: 0.75rem 1rem; background: var(--panel); border-radius: 0.5rem;
  white-space: pre-wrap; overflow-wrap: anywhere;
}
.table {
  margin: 1rem 0; overflow-x: auto; border: 1px solid var(--line);
  border-radius: 0.5rem;
}
table {
  width: 100%; border-collapse: separate; border-spacing: 0; font-size: 0.9rem;
  font-variant-numeric: tabular-nums;
}
th, td { padding: 0.4rem 0.6rem; text-align: left; white-space: nowrap; }
th { background: var(--panel); vertical-align: bottom; white-space: normal; }
tbody td { border-top: 1px solid var(--line); }
th:first-child, td:first-child {
  position: sticky; left: 0; background: var(--back);
}
th:first-child { background: var(--panel); }
td strong {
  margin: 0 -0.3rem; padding: 0.1rem 0.3rem; border-radius: 0.25rem;
  background: var(--best);
}
img {
  display: block; max-width: 100%; height: auto; background: #ffffff;
  border-radius: 0.25rem;
}
.picture, .pictures { max-width: none; }
.pictures {
  display: grid; gap: 0.75rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr));
}
.pictures img { width: 100%; border: 1px solid var(--line); }
@media (max-width: 40rem) {
  table { font-size: 0.82rem; }
  th, td { padding: 0.35rem 0.45rem; }
  th[style] { white-space: nowrap; }
  th:not([style]), td:not([style]) { min-width: 5.5rem; white-space: normal; }
  .picture { overflow-x: auto; }
  .picture img { max-width: 200vw; }
}
@media print {
  nav { display: none; }
  .table { overflow: visible; }
  img, tr { break-inside: avoid; }
  h2, h3, h4 { break-after: avoid; }
}
"""
