// What stands beside the picture: characters, mouths, the answers of several detectors.

import { clamp, digits, element, fresh, trace } from './base.js';

/** What the two teachers take the frame for: heard upwards, seen downwards, full where they agree. */
export class Characters {
  constructor() {
    this.canvas = element('canvas', { role: 'img' });
    this.title = element('span');
    this.result = element('span', { className: 'score' });
    this.node = element('figure', { className: 'characters' },
      element('figcaption', {}, this.title, this.result),
      element('div', { className: 'bars' }, this.canvas),
      element('p', { className: 'key' }, 'Bars: probability (square-root scale); full: where both agree. ∅ no character, ␣ space, ⏎ end.'));
  }

  draw(clip, position, ink) {
    const heard = clip.probabilities('heard', position), seen = clip.probabilities('seen', position), { view } = clip;
    const pen = fresh(this.canvas), cont = clip.value('cont', position);
    this.title.textContent = `Characters heard and seen${clip.letter && ` in ${clip.letter}`}`;
    this.result.textContent = cont === undefined ? 'no face here' : `${view.divergence.replace('{}', digits(1 - cont))}, Cont ${digits(cont)}`;
    this.canvas.ariaLabel = heard ? `heard ${likeliest(heard, view)}; seen ${likeliest(seen, view)}` : 'no face here';
    const left = 40, middle = pen.boxHeight / 2, slot = (pen.boxWidth - left - 4) / view.symbols.length;
    const size = clamp(slot * 1.15, 10, 12), raised = slot < 9 ? size / 2 : 0, half = 8 + raised, reach = middle - half - 2;   // narrow slots: letters in two rows
    const bar = (k, p, way, alpha) => {
      const height = Math.sqrt(p) * reach, box = [left + k * slot + 1, way > 0 ? middle - half - height : middle + half, slot - 2, height];
      pen.globalAlpha = alpha;
      pen.fillRect(...box);
      pen.globalAlpha = 1;
      if (height > 2) pen.strokeRect(...box);              // pale bars would be hard to see without an edge
    };
    Object.assign(pen, { fillStyle: ink.muted, textBaseline: 'middle', textAlign: 'left' });
    pen.fillText('heard', 0, middle - reach / 2);
    pen.fillText('seen', 0, middle + reach / 2);
    Object.assign(pen, { textAlign: 'center', fillStyle: ink.ink, font: `${size}px system-ui, sans-serif` });
    view.symbols.forEach((symbol, k) => { pen.fillText(symbol, left + (k + .5) * slot, middle + (k % 2 ? raised : -raised)); });
    Object.assign(pen, { fillStyle: ink.cont, strokeStyle: ink.cont, lineWidth: 1 });
    if (heard) view.symbols.forEach((_, k) => {
      for (const [p, way] of [[heard[k], 1], [seen[k], -1]]) {
        bar(k, p, way, .35);
        bar(k, Math.min(heard[k], seen[k]), way, 1);
      }
    });
    pen.globalAlpha = 1;
  }
}

// ----------------------------------------------------------------------------------------------------- mouths

/** The closed lines of a mouth in a square from -1 to 1, y down. The notebook nbs/show/805_mouths.ipynb has the same function. */
function mouthShape(numbers, points = 41) {
  const [opening, width, roundness] = numbers.map(x => clamp(x, 0, 1)), steps = Array.from({ length: points }, (_, k) => k);
  const half = .6 + .3 * width - .28 * roundness;
  const at = k => {
    const t = -Math.cos(Math.PI * k / (points - 1)), arch = Math.max(0, 1 - t * t);
    const gap = (.03 + .75 * opening) * arch ** (.85 - .35 * roundness), bow = 1 - .3 * (1 - .6 * roundness) * Math.exp(-((t / .17) ** 2));
    return { t, inner: [-.3 * gap, .7 * gap],
      outer: [-.3 * gap - (.15 + .05 * roundness) * arch ** .7 * bow, .7 * gap + (.2 + .06 * roundness) * arch ** .6] };
  };
  const edge = steps.map(at), below = edge.slice(1, -1).reverse();
  const ring = (name, half) => [...edge.map(p => [half * p.t, p[name][0]]), ...below.map(p => [half * p.t, p[name][1]])];
  return { outer: ring('outer', half), inner: ring('inner', .88 * half) };
}

/** Two mouths beside the picture, what the sound asks for and what is seen, and the moments that fit worst. */
export class Mouths {
  constructor(jump) {
    this.jump = jump;
    this.canvas = element('canvas', { role: 'img' });
    this.title = element('span');
    this.result = element('span', { className: 'score' });
    this.moments = element('p', { className: 'moments' });
    this.node = element('figure', { className: 'mouths' },
      element('figcaption', {}, this.title, this.result),
      element('div', { className: 'bars' }, this.canvas), this.moments);
  }

  /** Buttons that lead to the moments of a clip, the worst first. */
  list(clip) {
    const { flagged } = clip.track, { fps, first } = clip.view;
    const button = ([from, to]) => element('button', { type: 'button', title: 'Go there', ariaLabel: `Go to ${digits(from / fps)} s, where sound and mouth fit badly`,
      onclick: () => this.jump(Math.floor((from + to) / 2) - first) }, `${digits(from / fps, 1)} to ${digits(to / fps, 1)} s`);
    this.moments.replaceChildren(...flagged.length ? ['Fits worst: ', ...flagged.map(button)] : []);
    this.moments.hidden = !flagged.length;
  }

  draw(clip, position, ink) {
    const pen = fresh(this.canvas), phone = clip.phone(position), middle = pen.boxWidth / 4;
    this.title.textContent = `Mouth expected and seen${clip.letter && ` in ${clip.letter}`}`;
    this.result.textContent = phone ? `heard ${phone[0]}` : 'silence';
    const said = ['expected', 'seen'].map((which, k) => {
      const numbers = clip.mouth(which, position);
      Object.assign(pen, { fillStyle: ink.muted, textAlign: 'center', textBaseline: 'bottom' });
      pen.fillText(numbers ? which : `${which}: not known`, middle * (1 + 2 * k), pen.boxHeight - 1);
      if (numbers) this.mouth(pen, mouthShape(numbers), middle * (1 + 2 * k), k ? [] : [5, 3], ink);
      return `${which} ${numbers ? `opening ${digits(numbers[0])}, width ${digits(numbers[1])}, roundness ${digits(numbers[2])}` : 'not known'}`;
    });
    this.canvas.ariaLabel = `Mouth ${said.join('; ')}; ${this.result.textContent}`;
  }

  mouth(pen, shape, x, dash, ink) {
    const size = Math.min(pen.boxWidth / 4 - 8, (pen.boxHeight - 22) / 1.3);   // 1.3: the widest opening
    const line = points => { trace(pen, points.map(([u, v]) => [x + u * size, 2 + (v + .45) * size])); pen.closePath(); };
    line(shape.outer);
    Object.assign(pen, { fillStyle: ink.lips, strokeStyle: ink.ink, lineWidth: 1.6 });
    pen.setLineDash(dash);
    pen.fill();
    pen.stroke();
    line(shape.inner);
    pen.fillStyle = ink.inside;
    pen.fill();
    pen.setLineDash([]);
  }
}

/** What several detectors answer about the chosen face, each with its number. */
export class Witnesses {
  constructor() {
    this.rows = element('tbody');
    const head = element('tr', {}, ...['detector', 'answer', 'number'].map(name => element('th', { scope: 'col' }, name)));
    this.node = element('figure', { className: 'witnesses' }, element('figcaption', {}, 'Each for itself: these numbers have no common scale'),
      element('table', {}, element('thead', {}, head), this.rows));
  }

  list({ track }) {
    const row = ({ detector, verdict, number, p_fake }) => element('tr', {}, element('th', { scope: 'row' }, detector),
      element('td', {}, verdict), element('td', {}, `${number} ${digits(p_fake)}`));
    this.rows.replaceChildren(...(track.witnesses ?? []).map(row));
  }
}

/** The three likeliest characters in words, for those who do not see the bars. */
function likeliest(p, { symbols }) {
  const order = p.map((_, k) => k).sort((a, b) => p[b] - p[a]).slice(0, 3);
  return order.map(k => `${symbols[k]} ${digits(p[k])}`).join(', ');
}
