// The viewer: pictures, curves and characters of one clip, or of two side by side.

import { ROOM, ZOOM, bytes, clamp, digits, element } from './base.js';
import { Stream } from './media.js';
import { Clip, curvesOf, isFit } from './clip.js';
import { Plot, Strip } from './plot.js';
import { Characters, Mouths, Witnesses } from './beside.js';

const SETTLED = 150;       // milliseconds without a move after which the kernel hears of the frame
const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -25, PageUp: 25, Home: -Infinity, End: Infinity };
const INKS = ['paper', 'ink', 'muted', 'line', 'sync', 'cont', 'gap', 'p_fake', 'c0', 'c1', 'c2', 'c3', 'a', 'b', 'lips', 'inside'];  // custom properties of viewer.css
const TALL = 560;                                  // pixels of the whole viewer: what a notebook's panel shows on a laptop

/** A short line, or for an area a bar, in the ink of a curve. */
function sample(ink, dashed, area) {
  const node = element('i', { className: 'sample' });
  node.style.borderTop = `${area ? 8 : 2.5}px ${dashed ? 'dashed' : 'solid'} var(--${ink})`;
  node.style.opacity = area ? .4 : 1;
  return node;
}

/** Everything together. The range input owns the position; all other ways to move go through `seek`. */
class Viewer {
  constructor(host, views, settled) {
    this.host = host;
    this.clips = views.map((view, k) => new Clip(view, views.length > 1 ? 'AB'[k] : ''));
    for (const { sound } of this.clips) if (!sound.stream.whole) sound.stream.until(sound.stream.data.length).then(() => this.redraw());
    Object.assign(this, { settled, leading: this.clips[0], plot: new Plot(this.clips), characters: new Characters(), witnesses: new Witnesses(), curves: curvesOf(this.clips),
      mouths: new Mouths(position => { this.pause(); this.seek(position); this.range.focus({ preventScroll: true }); }) });
    this.strip = new Strip(this.plot);
    this.build();
    host.append(this.root);
    this.watch();
    this.redraw();
    this.seek(0);
  }

  // building

  build() {
    const { first } = this.clips[0].view, names = this.clips.map(clip => clip.view.name).join(' and ');
    this.range = element('input', { type: 'range', min: first, max: first + this.plot.frames - 1, step: 1, value: first, ariaLabel: 'Frame' });
    this.button = element('button', { type: 'button', className: 'play', ariaLabel: 'Play' }, '▶');
    this.probe = element('i', { hidden: true });
    this.characters.node.hidden = !this.clips.some(clip => clip.track.heard);
    this.mouths.node.hidden = !this.clips.some(clip => clip.track.phones);
    this.witnesses.node.hidden = !this.clips.some(clip => clip.track.witnesses);
    const fit = isFit(this.clips), values = this.values();
    if (fit) this.mouths.node.append(values);              // there is room below the mouths
    this.above = element('div', { className: 'above' }, fit ? '' : values, this.tools());
    this.controls = element('div', { className: 'controls' }, this.button, this.range);
    this.below = element('div', { className: 'notes' }, ...this.notes().map(note => element('p', { className: 'note' }, note)));
    this.root = element('section', { className: `cmdfd${this.clips.length > 1 ? ' pair' : ''}${fit ? ' fit' : ''}`, role: 'group', ariaLabel: `Viewer of ${names}` },
      element('div', { className: 'stage' },
        element('div', { className: 'side' },
          element('div', { className: 'pictures' }, ...this.clips.map(clip => this.figure(clip))),
          element('div', { className: 'beside' }, this.characters.node, this.mouths.node, this.witnesses.node)),
        element('div', { className: 'main' }, this.above, this.plot.node, this.strip.node, this.controls)),
      this.below, this.probe);
  }

  /** Buttons for the window of the plot and of the viewer, each with its key. */
  tools() {
    const button = (text, says, key, onclick) => element('button', { type: 'button', title: `${says} (key ${key})`, ariaLabel: says, onclick }, text);
    return element('div', { className: 'tools' },
      button('−', 'Zoom out', '−', () => this.zoom(ZOOM)), button('+', 'Zoom in', '+', () => this.zoom(1 / ZOOM)),
      button('↔', 'Show the whole clip', '0', () => this.zoom(Infinity)), button(element('i', { className: 'screen' }), 'Full screen', 'F', () => this.fill()));
  }

  notes() { return [...new Set(this.clips.flatMap(clip => clip.view.notes))]; }

  /** A picture with its name, its verdict and, with several faces, a choice among them. */
  figure(clip) {
    const { view } = clip, caption = element('figcaption', {}, element('span', { className: 'name', title: view.name }, view.name), clip.score);
    if (clip.letter) caption.prepend(this.chooser(clip));
    if (view.tracks.length > 1) caption.append(this.faces(clip));
    const node = element('figure', { className: 'clip' }, caption, clip.canvas);
    node.style.setProperty('--aspect', view.width / view.height);
    return node;
  }

  /** Of two clips one is heard, and its characters are shown. */
  chooser(clip) {
    const button = element('button', { type: 'button', title: 'Listen to this one and show its characters' }, clip.letter);
    button.onclick = () => { this.pause(); this.leading = clip; this.redraw(); };
    clip.button = button;
    return button;
  }

  faces(clip) {
    const option = ({ face, start, boxes }, value) => {
      const [from, to] = [start, start + boxes.length].map(frame => digits(frame / clip.view.fps));
      return element('option', { value }, `face ${face}: ${from} to ${to} s`);
    };
    const select = element('select', { ariaLabel: clip.letter ? `Face in ${clip.letter}` : 'Face' }, ...clip.view.tracks.map(option));
    select.onchange = () => { clip.track = clip.view.tracks[select.value]; this.redraw(); };
    return select;
  }

  /** The values at the playhead; a short line before each name shows how it is drawn. */
  values() {
    this.place = element('strong');
    return element('div', { className: 'values' }, this.place, ...this.clips.map(clip => this.row(clip)));
  }

  row(clip) {
    const curves = Object.entries(this.curves), alone = this.clips.length === 1;
    const drawn = new Set(this.plot.bands.flatMap(band => band.curves.map(curve => curve.name)));   // others are numbers only
    clip.cells = curves.map(() => element('b'));
    const items = curves.map(([name, { label, says, ink, dash }], k) => element('span', { title: says },
      alone && drawn.has(name) ? sample(ink, dash.length, name === 'gap') : '', `${label} `, clip.cells[k]));
    const letter = alone ? '' : element('span', {}, sample(clip.letter.toLowerCase(), clip === this.clips[1]), clip.letter);
    const truth = clip.view.truth ? [element('span', { title: clip.view.known }, sample('ink', false, true), 'known to be forged')] : [];
    return element('div', { className: 'row' }, letter, ...items, ...truth);
  }

  // watching

  watch() {
    this.range.oninput = () => { this.pause(); this.seek(this.range.value - this.range.min); };
    this.button.onclick = () => this.toggle();
    this.root.addEventListener('keydown', event => this.key(event));
    this.draggable(this.plot.node, event => this.plot.position(event));
    for (const { canvas } of this.clips) this.draggable(canvas, event => this.across(canvas, event));
    this.zoomable(this.plot.node);
    this.strip.node.onpointerdown = event => { this.strip.node.setPointerCapture(event.pointerId); this.slide(event); };
    this.strip.node.onpointermove = event => { if (this.strip.node.hasPointerCapture(event.pointerId)) this.slide(event); };
    this.root.onfullscreenchange = () => this.redraw();
    this.elsewhere = event => { if (event.detail !== this) this.pause(); };
    window.addEventListener('cmdfd-play', this.elsewhere);   // one viewer is heard at a time
    this.paper = [() => this.print(true), () => this.print(false)];
    window.addEventListener('beforeprint', this.paper[0]);
    window.addEventListener('afterprint', this.paper[1]);
    this.observers = [new ResizeObserver(() => this.redraw()), new MutationObserver(() => this.redraw())];
    this.observers[0].observe(this.plot.node);
    for (const node of [document.documentElement, document.body]) this.observers[1].observe(node, { attributes: true });
    this.dark = matchMedia('(prefers-color-scheme: dark)');
    this.dark.onchange = () => this.redraw();
  }

  /** A notebook has keys of its own, such as D D, which deletes a cell. Those without a modifier stop here, known or not; all others are the notebook's. */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    event.stopPropagation();
    const space = event.key === ' ' && event.target.tagName !== 'BUTTON', act = this.keys()[event.key];
    if (event.target.tagName === 'SELECT' || !space && !act && !(event.key in STEPS)) return;
    event.preventDefault();
    if (act) return act();
    if (space) return this.toggle();
    this.pause();
    this.seek(this.position + STEPS[event.key]);
  }

  keys() {
    const [nearer, farther] = [() => this.zoom(1 / ZOOM), () => this.zoom(ZOOM)];
    return { '+': nearer, '=': nearer, '-': farther, 0: () => this.zoom(Infinity), f: () => this.fill() };
  }

  /** Show `times` as many frames around a place, by default around the playhead. */
  zoom(times, place = this.position) {
    this.plot.zoom(times, place);
    this.redrawCurves();
  }

  slide(event) {
    this.strip.drag(event);
    this.redrawCurves();
  }

  /** A wheel with Ctrl, which is what pinching a touchpad sends, zooms; one across pans; any other scrolls the page. Two fingers on a screen zoom. */
  zoomable(node) {
    node.addEventListener('wheel', event => {
      const { plot } = this, across = event.shiftKey ? event.deltaX || event.deltaY : event.deltaX;
      if (event.ctrlKey || document.fullscreenElement === this.root && !across) this.zoom(1.002 ** clamp(event.deltaY, -300, 300), plot.place(event.clientX));
      else if (plot.zoomed && across) { plot.moveTo(plot.from + across / plot.across * (plot.to - plot.from)); this.redrawCurves(); }
      else return;
      event.preventDefault();
    }, { passive: false });
    const fingers = new Map(), wide = () => { const [a, b] = fingers.values(); return Math.abs(a - b); };
    node.addEventListener('pointerdown', event => { if (event.pointerType === 'touch') fingers.set(event.pointerId, event.clientX); });
    node.addEventListener('pointermove', event => {
      if (!fingers.has(event.pointerId)) return;
      const before = fingers.size === 2 && wide();
      fingers.set(event.pointerId, event.clientX);
      if (before > 10 && wide() > 10) this.zoom(before / wide(), this.plot.place([...fingers.values()].reduce((a, b) => a + b) / 2));
    });
    for (const end of ['pointerup', 'pointercancel']) node.addEventListener(end, event => fingers.delete(event.pointerId));
  }

  fill() { document.fullscreenElement === this.root ? document.exitFullscreen() : this.root.requestFullscreen?.(); }

  /** On paper, light inks and a width that fits; the screen comes back afterwards. */
  print(begins) {
    this.root.classList.toggle('printing', begins);
    this.redraw();
  }

  /** Wherever one presses and draws the pointer along, frames follow it. */
  draggable(node, place) {
    node.onpointerdown = event => {
      if (event.button) return;
      event.preventDefault();
      node.setPointerCapture(event.pointerId);
      this.range.focus({ preventScroll: true });
      this.pause();
      this.seek(place(event));
    };
    node.onpointermove = event => { if (node.hasPointerCapture(event.pointerId)) this.seek(place(event)); };
  }

  /** A picture is a small time axis of its own: its left edge is the first frame, its right edge the last. */
  across(canvas, event) {
    const { left, width } = canvas.getBoundingClientRect();
    return Math.round(clamp((event.clientX - left) / width, 0, 1) * (this.plot.frames - 1));
  }

  // moving

  seek(wanted) {
    const position = clamp(Number(wanted), 0, this.plot.frames - 1);
    if (position === this.position) return;
    const step = position - this.position;
    this.position = position;
    for (const clip of this.clips) this.paint(clip, position, step);   // decoding goes on beside what follows
    this.show();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.settled(this.clips[0].view.first + position), SETTLED);
  }

  async paint(clip, position, step) {
    const held = clip.held(position), picture = await clip.pictures.at(held);
    if (position !== this.position) return;               // the pointer has moved on meanwhile
    clip.paint(picture, held);
    this.root.dispatchEvent(new CustomEvent('painted', { detail: { clip: clip.letter, position } }));
    clip.pictures.prefetch(held, step);
  }

  /** Everything but the pictures, at the current position. */
  show() {
    const { position, clips, plot, range } = this, { first, fps } = clips[0].view, frame = first + position;
    const values = clip => Object.keys(this.curves).map(name => clip.value(name, position));
    const spoken = clip => Object.values(this.curves).map(({ label }, k) => `, ${label} ${digits(values(clip)[k])}`).join('');
    range.value = frame;
    for (const clip of clips) clip.cells.forEach((cell, k) => { cell.textContent = digits(values(clip)[k]); });
    this.place.textContent = `${digits(frame / fps)} s, frame ${frame} (${first} to ${first + plot.frames - 1})`;
    const heard = clip => clip.phone(position) ? `, heard ${clip.phone(position)[0]}` : '';
    const shown = clips.map(clip => `${clip.letter && `; ${clip.letter}`}${spoken(clip)}${heard(clip)}`).join('');
    range.ariaValueText = `frame ${frame} of ${first} to ${first + plot.frames - 1}, ${digits(frame / fps)} s${shown}`;
    if (!this.ink) return;                                 // hidden so far: `redraw` draws when there is room
    if (plot.follow(position)) this.redrawCurves();
    else plot.drawHead(position);
    if (!this.characters.node.hidden) this.characters.draw(this.leading, position, this.ink);
    if (!this.mouths.node.hidden) this.mouths.draw(this.leading, position, this.ink);
  }

  /** After a change of size, theme, face or leading clip. */
  redraw() {
    if (!this.plot.node.clientWidth) return;               // not laid out yet, or hidden
    const colour = name => { this.probe.style.color = `var(--${name})`; return getComputedStyle(this.probe).color; };
    this.ink = Object.fromEntries(INKS.map(name => [name, colour(name)]));
    this.plot.fit(...this.room());
    this.plot.draw(this.ink);
    this.strip.draw(this.ink);
    if (!this.mouths.node.hidden) this.mouths.list(this.leading);
    if (!this.witnesses.node.hidden) this.witnesses.list(this.leading);
    for (const clip of this.clips) {
      clip.describe();
      if (clip.button) clip.button.ariaPressed = String(clip === this.leading);
    }
    if (this.position === undefined) return;
    this.show();
    for (const clip of this.clips) this.paint(clip, this.position, 0);
  }

  /** After a change of the window on time. */
  redrawCurves() {
    this.plot.draw(this.ink);
    this.strip.draw(this.ink);
    this.plot.drawHead(this.position);
  }

  /** Pixels for the curves, and how far bands may grow: what other things leave of the height of a laptop's notebook, or of the screen. */
  room() {
    const filled = document.fullscreenElement === this.root, beside = getComputedStyle(this.plot.node.parentNode.parentNode).display === 'grid';
    const rest = [this.above, this.strip.node, this.controls, this.below].reduce((sum, node) => sum + node.offsetHeight, 40);
    if (filled) return [window.innerHeight - rest, ROOM.most];
    return [beside ? TALL - rest : ROOM.narrow, 1];
  }

  /** What a viewer that is made anew goes on with: which clip leads, and the window on time. */
  kept() { return { leads: this.clips.indexOf(this.leading), from: this.plot.from, to: this.plot.to, zoomed: this.plot.zoomed }; }

  keep(last) {
    if (!last) return;
    this.leading = this.clips[last.leads] ?? this.leading;
    if (last.zoomed) this.plot.moveTo(last.from, Math.min(last.to - last.from, this.plot.frames - 1));
    this.redraw();
  }

  // playing

  toggle() { this.playing ? this.pause() : this.play(); }

  play() {
    if (!this.leading.sound.stream.whole) return;
    if (this.position >= this.leading.view.frames - 1) this.seek(0);
    window.dispatchEvent(new CustomEvent('cmdfd-play', { detail: this }));
    this.leading.sound.play(this.position / this.leading.view.fps);
    this.state(true);
    requestAnimationFrame(() => this.follow());
  }

  /** On each repaint, show the frame that belongs to what is being heard. */
  follow() {
    if (!this.playing) return;
    const { sound, view } = this.leading, position = Math.floor(sound.now() * view.fps + 1e-6);
    this.seek(Math.min(position, view.frames - 1));
    if (position >= view.frames) return this.pause();
    requestAnimationFrame(() => this.follow());
  }

  pause() {
    if (!this.playing) return;
    this.leading.sound.stop();
    this.state(false);
  }

  state(playing) {
    this.playing = playing;
    Object.assign(this.button, { textContent: playing ? '❚❚' : '▶', ariaLabel: playing ? 'Pause' : 'Play' });
  }

  close() {
    clearTimeout(this.timer);
    this.pause();
    this.dark.onchange = null;
    for (const observer of this.observers) observer.disconnect();
    window.removeEventListener('cmdfd-play', this.elsewhere);
    window.removeEventListener('beforeprint', this.paper[0]);
    window.removeEventListener('afterprint', this.paper[1]);
    for (const clip of this.clips) { clip.pictures.close(); clip.sound.close(); }
    this.root.remove();
  }
}

/** Show views in an element of a page. Their pictures and sound are bytes, or streams of them. */
export function mount(host, views, settled = () => {}) {
  const stream = (given, copy = false) => given instanceof Stream ? given : new Stream(copy ? bytes(given).slice() : bytes(given));
  const own = view => ({ ...view, jpegs: stream(view.jpegs), sound: stream(view.sound, true) });   // numbers of two bytes need an even place
  return new Viewer(host, views.map(own), settled);
}
