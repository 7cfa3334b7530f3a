/* What a report does beside being read: tips, keys, sorting, finding, colours, pan and zoom. All it shows it
 * takes from the page itself, as text; it asks nobody for anything. */
(() => {
'use strict';
const $ = (s, r) => (r || document).querySelector(s);
const $$ = (s, r) => [...(r || document).querySelectorAll(s)];
const make = (name, props, ...children) => {
  const e = Object.assign(document.createElement(name), props);
  e.append(...children);
  return e;
};
document.documentElement.classList.add('js');
const block = $('#report-data');
const data = block ? JSON.parse(block.textContent) : {};

/* ---- tips: on hover and on focus alike ---- */
const tip = document.body.appendChild(make('div', {className: 'tip', hidden: true}));
tip.setAttribute('role', 'tooltip');
for (const t of $$('[data-cell] > title')) {
  t.parentNode.setAttribute('title', t.textContent);
  t.remove();
}
for (const e of $$('[data-cell][title]')) {
  e.dataset.tip = e.getAttribute('title');
  if (e.namespaceURI.endsWith('svg')) e.setAttribute('aria-label', e.dataset.tip);
  e.removeAttribute('title');
}
const showTip = e => {
  tip.textContent = e.dataset.tip;
  tip.hidden = false;
  const at = e.getBoundingClientRect(), w = tip.offsetWidth, h = tip.offsetHeight;
  const x = Math.min(Math.max(8, at.left + at.width / 2 - w / 2), innerWidth - w - 8);
  const below = at.bottom + 8 + h < innerHeight;
  tip.style.left = x + 'px';
  tip.style.top = (below ? at.bottom + 8 : Math.max(8, at.top - h - 8)) + 'px';
};
const hideTip = () => { tip.hidden = true; };
const tipOf = e => e.target instanceof Element && e.target.closest('[data-tip]');
for (const [on, off] of [['pointerover', 'pointerout'], ['focusin', 'focusout']]) {
  document.addEventListener(on, e => { const t = tipOf(e); if (t) showTip(t); });
  document.addEventListener(off, hideTip);
}
addEventListener('scroll', () => { /* arrow keys scroll to where they go */
  const e = document.activeElement;
  if (!tip.hidden && e && e.dataset.tip) showTip(e); else hideTip();
}, {passive: true});

/* ---- one selection, kept in the address ---- */
const detail = $('#detail');
const marked = key => key == null ? []
  : $$('[data-key],[data-also]').filter(e => e.dataset.key === key || e.dataset.also === key);
/* Of what was taken for what, only those examples. */
const some = $('#some');
const sift = key => {
  const examples = $$('.example'), taken = /^taken-/.test(key || '');
  const left = taken ? examples.filter(e => e.dataset.also === key) : examples;
  for (const e of examples) e.hidden = left.length > 0 && !left.includes(e);
  if (!some) return;
  some.hidden = !taken;
  some.textContent = left.length ? `${left.length} of ${examples.length} rows that are here; Esc shows all.`
    : 'None of the rows that are here; psctl report --rows chooses others.';
};
const select = (key, keep) => {
  for (const e of $$('.on')) e.classList.remove('on');
  const all = marked(key);
  for (const e of all) e.classList.add('on');
  const told = all.find(e => e.dataset.tip);
  if (detail) detail.textContent = told ? told.dataset.tip : '';
  sift(key);
  look(key);
  if (keep) history.replaceState(null, '', all.length ? '#select=' + encodeURIComponent(key) : ' ');
};
const follow = () => {
  const found = /^#select=(.*)/.exec(location.hash);
  if (!found) return;
  let key = null;
  try { key = decodeURIComponent(found[1]); } catch { return; }
  select(key, false);
  const first = marked(key)[0];
  if (first) { open(first); first.scrollIntoView({block: 'center'}); }
};
const open = e => {
  for (let d = e.closest('details'); d; d = d.parentElement.closest('details')) d.open = true;
};
document.addEventListener('click', e => {
  const chosen = e.target instanceof Element && e.target.closest('[data-key]');
  if (!chosen || e.target.closest('a,button,summary')) return;
  choose(chosen, chosen.classList.contains('on') ? null : chosen.dataset.key);
});
addEventListener('hashchange', follow);
/* Chosen elsewhere, an example comes into sight. */
const choose = (from, key) => {
  select(key, true);
  const example = key == null || from.closest('.example') ? null : marked(key).find(e => e.matches('.example'));
  if (example) { open(example); example.scrollIntoView({block: 'center'}); }
};

/* ---- a head of attention, larger: its picture, and what each token looks at ---- */
const look = key => {
  const place = $('#look'), cell = place && /^head-/.test(key || '') && marked(key).find(e => $('image', e));
  if (!place) return;
  place.replaceChildren();
  if (!cell) return;
  const source = new Image(), names = data.attention.tokens;
  source.onload = () => {
    const n = source.naturalWidth, canvas = make('canvas', {width: n, height: n}), pen = canvas.getContext('2d');
    pen.drawImage(source, 0, 0);
    const pixels = pen.getImageData(0, 0, n, n).data;
    /* its colours from little to much: red, green and blue together always grow */
    const sums = data.attention.palette.map(c => [1, 3, 5].reduce((v, k) => v + parseInt(c.slice(k, k + 2), 16), 0));
    const share = (i, j) => {
      const at = 4 * (i * n + j), sum = pixels[at] + pixels[at + 1] + pixels[at + 2];
      const k = Math.min(Math.max(sums.findIndex(s => s >= sum), 1), sums.length - 1);
      return Math.min(1, Math.max(0, (k - 1 + (sum - sums[k - 1]) / (sums[k] - sums[k - 1])) / (sums.length - 1)));
    };
    const words = [...Array(n).keys()].map(i => names[i] === undefined ? ` ${i}` : names[i]);
    const spans = words.map(w => make('span', {textContent: w.replace(/\n/g, '\u23ce') || '\u2205'}));
    const says = make('p', {className: 'note'}), text = make('p', {className: 'tokens'}, ...spans);
    const ask = i => {
      const shares = words.map((_, j) => share(i, j));
      const first = [...shares.keys()].sort((a, b) => shares[b] - shares[a]).slice(0, 5).filter(j => shares[j] >= 0.02);
      spans.forEach((s, j) => {
        s.classList.toggle('from', j === i);
        s.style.background = shares[j] < 0.01 ? '' : `rgba(230,159,0,${Math.max(0.12, shares[j]).toFixed(2)})`;
        s.setAttribute('tabindex', j === i ? '0' : '-1');
      });
      says.textContent = `Token ${i}, \u2018${words[i]}\u2019, looks at ` +
        (first.map(j => `${j} \u2018${words[j]}\u2019 ${Math.round(100 * shares[j])}\u202f%`).join(', ') || 'no token much') + '.';
    };
    spans.forEach((s, i) => {
      s.addEventListener('pointerenter', () => ask(i));
      s.addEventListener('focus', () => ask(i));
    });
    text.addEventListener('keydown', e => {
      const to = spans[spans.indexOf(e.target) + ({ArrowRight: 1, ArrowLeft: -1}[e.key] || 0)];
      if (to && to !== e.target) { to.focus(); e.preventDefault(); }
    });
    canvas.addEventListener('pointermove', e => ask(Math.min(n - 1, Math.max(0, Math.floor(n * e.offsetY / canvas.clientHeight)))));
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', cell.dataset.tip + ': a row a token, a column a token that it looks at');
    place.replaceChildren(canvas, make('div', {}, make('h3', {textContent: cell.dataset.tip}), text, says));
    ask(n - 1);
  };
  source.src = $('image', cell).getAttribute('href');
};

/* ---- arrow keys: one cell of each grid can be reached by Tab, the others from there ---- */
const place = e => e.dataset.cell.split(',').map(Number);
const grids = new Map();
for (const e of $$('[data-cell]')) {
  const grid = e.closest('[data-grid]') || e.closest('svg');
  if (!grids.has(grid)) grids.set(grid, []);
  grids.get(grid).push(e);
  e.setAttribute('tabindex', grids.get(grid).length === 1 ? '0' : '-1');
}
const step = (cells, from, dr, dc) => {
  const [r, c] = place(from);
  let best = null, least = Infinity;
  for (const e of cells) {
    const [er, ec] = place(e), ahead = dr ? (er - r) * dr : (ec - c) * dc;
    if (ahead <= 0 || (dc && er !== r)) continue;
    const far = ahead * 1000 + Math.abs(dr ? ec - c : er - r);
    if (far < least) { least = far; best = e; }
  }
  return best;
};
const arrows = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]};
document.addEventListener('keydown', e => {
  const cell = e.target instanceof Element && e.target.closest('[data-cell]');
  if (e.key === 'Escape') { hideTip(); select(null, true); clearFind(); return; }
  if (!cell || e.ctrlKey || e.metaKey || e.altKey) return;
  const cells = grids.get(cell.closest('[data-grid]') || cell.closest('svg'));
  const to = arrows[e.key] ? step(cells, cell, ...arrows[e.key])
    : e.key === 'Home' ? cells[0] : e.key === 'End' ? cells[cells.length - 1] : null;
  if (to) {
    cell.setAttribute('tabindex', '-1');
    to.setAttribute('tabindex', '0');
    to.focus();
    e.preventDefault();
  } else if ((e.key === 'Enter' || e.key === ' ') && cell.dataset.key) {
    choose(cell, cell.dataset.key);
    e.preventDefault();
  }
});

/* ---- tables sort ---- */
const valueOf = (row, i) => {
  const cell = row.cells[i], v = cell.dataset.v;
  return v === undefined ? cell.textContent : +v;
};
for (const table of $$('table.sort')) {
  const heads = $$('thead th', table);
  heads.forEach((th, i) => {
    const button = make('button', {type: 'button'}, ...th.childNodes);
    th.append(button);
    button.addEventListener('click', () => {
      const up = th.getAttribute('aria-sort') !== 'ascending';
      for (const other of heads) other.removeAttribute('aria-sort');
      th.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      const rows = $$('tbody tr', table), sign = up ? 1 : -1;
      rows.sort((a, b) => {
        const x = valueOf(a, i), y = valueOf(b, i);
        return sign * (typeof x === 'number' ? x - y : x.localeCompare(y, undefined, {numeric: true}));
      });
      table.tBodies[0].append(...rows);
    });
  });
}

/* ---- find: / goes there ---- */
const find = $('#find');
const input = make('input', {type: 'search', placeholder: 'Find  /'});
input.setAttribute('aria-label', 'Find in this report');
const list = make('ol', {});
const nameOf = e => (e.dataset.find || '').split('\n')[0];
const targets = $$('[data-find]');
const go = e => {
  open(e);
  e.scrollIntoView({block: 'center'});
  if (e.dataset.key) select(e.dataset.key, true);
  if (!e.hasAttribute('tabindex')) e.setAttribute('tabindex', '-1');
  e.focus({preventScroll: true});
};
const clearFind = () => { input.value = ''; list.replaceChildren(); };
const search = () => {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = words.length
    ? targets.filter(e => words.every(w => e.dataset.find.toLowerCase().includes(w))) : [];
  list.replaceChildren(...found.slice(0, 12).map(e => {
    const button = make('button', {type: 'button', textContent: nameOf(e)});
    button.addEventListener('click', () => go(e));
    return make('li', {}, button);
  }));
  if (words.length && !found.length) list.replaceChildren(make('li', {textContent: 'nothing has that'}));
  if (found.length > 12) list.append(make('li', {textContent: `and ${found.length - 12} more`}));
  return found;
};
if (find && targets.length) {
  find.append(input, list);
  input.addEventListener('input', search);
  input.addEventListener('keydown', e => {
    const found = e.key === 'Enter' ? search() : [];
    if (found.length) go(found[0]);
  });
  document.addEventListener('keydown', e => {
    if (e.key !== '/' || e.target.closest('input,select,textarea')) return;
    e.preventDefault();
    input.focus();
    input.select();
  });
}

/* ---- colours by another quantity ---- */
const mix = at => {
  const p = data.palette, x = at * (p.length - 1), i = Math.min(Math.floor(x), p.length - 2), f = x - i;
  const part = (s, k) => parseInt(s.slice(1 + 2 * k, 3 + 2 * k), 16);
  return 'rgb(' + [0, 1, 2].map(k => Math.round((1 - f) * part(p[i], k) + f * part(p[i + 1], k))).join(',') + ')';
};
const drawn = [...$$('#graph-figure .fill').map(e => [e, 'fill']), ...$$('#scale stop').map(e => [e, 'stop-color'])]
  .map(([e, name]) => [e, name, e.getAttribute(name)]);
const colour = q => {
  for (const [e, name, was] of q.drawn ? drawn : [])
    if (was) e.setAttribute(name, was);
    else e.removeAttribute(name);
  if (!q.drawn) $$('#scale stop').forEach((e, i, all) => e.setAttribute('stop-color', mix(i / (all.length - 1))));
  for (const [key, values] of q.drawn ? [] : Object.entries(data.values)) {
    const v = values[q.index];
    const at = v == null ? null : q.most <= q.least ? 0.5
      : q.log ? Math.log(v / q.least) / Math.log(q.most / q.least) : (v - q.least) / (q.most - q.least);
    for (const e of $$(`#${CSS.escape(key)} .fill`))
      if (at == null) e.removeAttribute('fill');
      else e.setAttribute('fill', mix(Math.min(1, Math.max(0, at))));
  }
  for (const [id, text] of [['name', q.title + (q.log ? ', by its logarithm' : '')], ['least', q.least_text], ['most', q.most_text]]) {
    const e = $('#legend-' + id);
    if (e) e.textContent = text;
  }
};
const chooser = $('#colour');
if (chooser && data.quantities)
  chooser.addEventListener('change', () => colour({...data.quantities[chooser.selectedIndex], index: chooser.selectedIndex}));

/* ---- pan and zoom, by the viewBox ---- */
for (const figure of $$('.zoom')) {
  const svg = $('svg', figure), whole = svg.viewBox.baseVal;
  const home = [whole.x, whole.y, whole.width, whole.height];
  let box = [...home], held = null;
  const apply = () => {
    svg.setAttribute('viewBox', box.map(v => v.toFixed(2)).join(' '));
    figure.classList.toggle('zoomed', box[2] < home[2] - 0.5);
    hideTip();
  };
  const zoom = (by, fx, fy) => {
    const w = Math.min(home[2], Math.max(home[2] / 12, box[2] * by)), s = w / box[2];
    box = [box[0] + fx * box[2] * (1 - s), box[1] + fy * box[3] * (1 - s), w, box[3] * s];
    if (w >= home[2]) box = [...home];
    apply();
  };
  const acts = {'+': () => zoom(0.8, 0.5, 0.5), '-': () => zoom(1.25, 0.5, 0.5), '0': () => { box = [...home]; apply(); }};
  acts['='] = acts['+'];
  const tools = figure.appendChild(make('div', {className: 'tools'}));
  for (const [key, sign, says] of [['+', '+', 'Zoom in'], ['-', '−', 'Zoom out'], ['0', '⤢', 'Show all']]) {
    const button = make('button', {type: 'button', textContent: sign, title: says});
    button.setAttribute('aria-label', says);
    button.addEventListener('click', acts[key]);
    tools.append(button);
  }
  figure.addEventListener('keydown', e => {
    if (acts[e.key] && !e.ctrlKey && !e.metaKey) { acts[e.key](); e.preventDefault(); }
  });
  svg.addEventListener('wheel', e => { /* plain wheels scroll the page */
    if (!e.ctrlKey && !e.metaKey && !figure.classList.contains('zoomed')) return;
    const at = svg.getBoundingClientRect();
    zoom(e.deltaY > 0 ? 1.12 : 0.89, (e.clientX - at.left) / at.width, (e.clientY - at.top) / at.height);
    e.preventDefault();
  }, {passive: false});
  svg.addEventListener('pointerdown', e => {
    if (figure.classList.contains('zoomed')) held = {x: e.clientX, y: e.clientY, box: [...box]};
  });
  addEventListener('pointermove', e => {
    if (!held) return;
    const s = held.box[2] / svg.getBoundingClientRect().width;
    box = [held.box[0] - (e.clientX - held.x) * s, held.box[1] - (e.clientY - held.y) * s, held.box[2], held.box[3]];
    apply();
  });
  addEventListener('pointerup', () => { held = null; });
}

/* ---- figures that can be seen by several ways of making them ---- */
for (const chooser of $$('[data-switch]')) {
  const pick = () => {
    for (const e of $$('[data-when]', chooser.closest('section'))) e.hidden = chooser.value !== '' && e.dataset.when !== chooser.value;
  };
  chooser.addEventListener('change', pick);
  pick();
}

/* ---- the page ---- */
const links = $$('nav a[href^="#"]');
const seen = new IntersectionObserver(entries => {
  for (const entry of entries)
    if (entry.isIntersecting)
      for (const a of links)
        if (a.hash === '#' + entry.target.id) a.setAttribute('aria-current', 'true');
        else a.removeAttribute('aria-current');
}, {rootMargin: '-10% 0px -75% 0px'});
for (const s of $$('main section')) seen.observe(s);
for (const a of links) a.addEventListener('click', () => { const d = $(a.hash + ' > details'); if (d) d.open = true; });
let closed = [];
addEventListener('beforeprint', () => { closed = $$('details:not([open])'); for (const d of closed) d.open = true; });
addEventListener('afterprint', () => { for (const d of closed) d.open = false; });
const save = $('#save');
if (save && block)
  save.addEventListener('click', () => {
    const a = make('a', {href: URL.createObjectURL(new Blob([block.textContent], {type: 'application/json'})), download: save.dataset.name});
    a.click();
    URL.revokeObjectURL(a.href);
  });
follow();
})();
