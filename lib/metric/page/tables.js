// SPDX-License-Identifier: Apache-2.0
// Tables that sort by a click, Enter or Space on a heading, and lists of items that can be searched.
(() => {
'use strict';
// Numbers by their value, those that are missing always last; everything else as text.
function compare(a, b, way) {
  const x = a.dataset.v, y = b.dataset.v;
  if (x === undefined) return way * a.textContent.localeCompare(b.textContent, undefined, {numeric: true});
  if (x === '' || y === '') return (x === '') - (y === '');
  return way * (x - y);
}

function sort(head, table) {
  const way = head.getAttribute('aria-sort') === 'ascending' ? -1 : 1, column = head.cellIndex;
  const body = table.tBodies[0], rows = [...body.rows];
  for (const h of head.parentNode.cells) h.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', way > 0 ? 'ascending' : 'descending');
  rows.sort((a, b) => compare(a.cells[column], b.cells[column], way));
  body.append(...rows);
}

document.querySelectorAll('table.sorts').forEach(table => {
  table.querySelectorAll('thead th').forEach(head => {
    const b = document.createElement('button');
    b.type = 'button';
    b.append(...head.childNodes);
    b.addEventListener('click', () => sort(head, table));
    head.append(b);
  });
});

document.querySelectorAll('input[data-filter]').forEach(input => {
  const rows = [...document.getElementById(input.dataset.filter).tBodies[0].rows];
  input.hidden = false;
  input.addEventListener('input', () => {
    const words = input.value.toLowerCase().split(/\s+/);
    for (const r of rows) r.hidden = !words.every(w => r.textContent.toLowerCase().includes(w));
  });
});
})();
