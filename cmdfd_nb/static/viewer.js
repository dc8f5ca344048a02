// The scrubbing viewer: pictures, curves and characters of one clip, or of two side by side.
//
// The same file serves JupyterLab, VS Code and Colab (anywidget calls `render`) and the self-contained report (which
// calls `mount`). It needs no library, no build step, no kernel and no network. What a view holds is described in the
// notebook nbs/show/839_views.ipynb: the curves and the bands they are drawn in come with it. A position is a frame counted from the first one shown; times are in seconds.

const CACHE = 64;          // decoded pictures kept per clip, about 50 MB
const AHEAD = 8;           // pictures decoded in advance in the direction of travel
const SETTLED = 150;       // milliseconds without a move after which the kernel hears of the frame
const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -25, PageUp: 25, Home: -Infinity, End: Infinity };
const INKS = ['paper', 'ink', 'muted', 'line', 'sync', 'cont', 'gap', 'p_fake', 'c0', 'c1', 'c2', 'c3', 'a', 'b', 'lips', 'inside'];  // custom properties of viewer.css
const LEFT = 92, RIGHT = 12, AXIS = 22, GAP = 18;  // pixels around and between the bands of the plot
const LANE = 11;                                   // of a row of true periods
const DENSE = { scale: .65, gap: 14 };             // where there are pairs of curves
const FONT = '12px system-ui, sans-serif';
const TALL = 560;                                  // pixels of the whole viewer: what a notebook's panel shows on a laptop
const ROOM = { narrow: 250, least: 26, most: 2.5 };  // for the curves below the picture; of a band; times its own height, in full screen
const ZOOM = 1.5, CLOSEST = 8;                     // one step; fewest frames across the plot

// ---------------------------------------------------------------------------------------------- small helpers

const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
const digits = (x, n = 2) => x == null ? '–' : x.toFixed(n);
const bytes = data => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** An element with properties and children. Text goes in as text, never as HTML. */
function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/** The context of a canvas made to fill its CSS box at the screen's resolution, emptied, in CSS pixels. */
function fresh(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas, scale = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const pen = canvas.getContext('2d');
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = FONT;
  return Object.assign(pen, { boxWidth: width, boxHeight: height });
}

/** The least and the greatest of some numbers. */
function extremes(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) { if (value < low) low = value; if (value > high) high = value; }
  return [low, high];
}

/** A line through (x, y) points; undefined points leave a hole. */
function trace(pen, points) {
  let down = false;
  pen.beginPath();
  for (const point of points) {
    if (point) pen[down ? 'lineTo' : 'moveTo'](...point);
    down = Boolean(point);
  }
}

// ---------------------------------------------------------------------------------------- pictures and sound

/** Bytes that may still be on their way: pieces are added at the end, and whoever needs more waits for it. */
class Stream {
  constructor(data, filled = data.length) { Object.assign(this, { data, filled, waiting: [] }); }

  get whole() { return this.filled === this.data.length; }

  /** Add a piece; one that came before, or comes too early, is left out. */
  add(begin, piece) {
    if (begin !== this.filled) return;
    this.data.set(piece, begin);
    this.filled += piece.length;
    this.waiting = this.waiting.filter(({ end, done }) => end > this.filled || done());
  }

  /** A promise of the bytes up to an end. */
  until(end) { return end <= this.filled ? Promise.resolve() : new Promise(done => this.waiting.push({ end, done })); }
}

/** The JPEGs of a clip, decoded when asked for; the last few stay decoded. */
class Pictures {
  constructor(view) {
    Object.assign(this, { stream: view.jpegs, ends: view.ends, decoded: new Map() });
  }

  /** The promise of a decoded picture. */
  at(position) {
    const begin = position ? this.ends[position - 1] : 0;
    const jpeg = () => new Blob([this.stream.data.subarray(begin, this.ends[position])], { type: 'image/jpeg' });
    const picture = this.decoded.get(position) ?? this.stream.until(this.ends[position]).then(() => createImageBitmap(jpeg()));
    this.decoded.delete(position);          // a Map remembers the order of entry: the last used goes to the end
    this.decoded.set(position, picture);
    if (this.decoded.size > CACHE) this.forget(this.decoded.keys().next().value);
    return picture;
  }

  /** Decode what will be asked for if the motion goes on. */
  prefetch(position, step) {
    if (!step || Math.abs(step) > AHEAD) return;
    for (let k = 1; k <= AHEAD; k++) {
      const next = position + k * Math.sign(step);
      if (next >= 0 && this.ends[next] <= this.stream.filled) this.at(next);
    }
  }

  forget(position) {
    this.decoded.get(position).then(picture => picture.close());
    this.decoded.delete(position);
  }

  close() { for (const position of [...this.decoded.keys()]) this.forget(position); }
}

/** The sound of a clip. While it plays, it is the clock that pictures follow. */
class Sound {
  constructor(view) {
    this.stream = view.sound;
    this.samples = new Int16Array(this.stream.data.buffer, 0, this.stream.data.length / 2);
    this.rate = view.rate;
  }

  /** The extremes of each hundredth of a second, and of all: a wave is redrawn at every change of size, from these. */
  get peaks() {
    const per = Math.round(this.rate / 100), blocks = Math.ceil(this.samples.length / per);
    const found = Array.from({ length: blocks }, (_, k) => extremes(this.samples.subarray(k * per, (k + 1) * per)));
    const most = found.reduce((most, [low, high]) => Math.max(most, -low, high), 1);
    Object.defineProperty(this, 'peaks', { value: { found, per, most } });
    return this.peaks;
  }

  /** The least and the greatest sample between two places. */
  between(from, to) {
    const { found, per } = this.peaks;
    if (to - from < 2 * per) return extremes([0, ...this.samples.subarray(from, Math.max(to, from + 1))]);
    const part = found.slice(Math.floor(from / per), Math.ceil(to / per));
    return [Math.min(0, ...part.map(([low]) => low)), Math.max(0, ...part.map(([, high]) => high))];
  }

  /** Samples cannot come out late, as they may from a codec with a delay: they are handed over as they were scored. */
  load() {
    this.context = new AudioContext();
    this.buffer = this.context.createBuffer(1, this.samples.length, this.rate);
    this.buffer.copyToChannel(Float32Array.from(this.samples, x => x / 32768), 0);
  }

  play(seconds) {
    if (!this.context) this.load();
    this.context.resume();
    this.source = this.context.createBufferSource();
    this.source.buffer = this.buffer;
    this.source.connect(this.context.destination);
    this.source.start(0, seconds);
    Object.assign(this, { from: seconds, started: this.context.currentTime });
  }

  /** The second that is being heard: what has left the loudspeaker, not what has been sent to it. */
  now() {
    const { currentTime, outputLatency = 0 } = this.context;
    return this.from + Math.max(0, currentTime - this.started - outputLatency);
  }

  stop() {
    this.source?.stop();
    this.source = null;
  }

  close() {
    this.stop();
    this.context?.close();
  }
}

// ------------------------------------------------------------------------------------------------------ clips

/** One of the clips on show: its view, the chosen face, and the elements that show them. */
class Clip {
  constructor(view, letter) {
    Object.assign(this, { view, letter, pictures: new Pictures(view), sound: new Sound(view), track: view.tracks[0] });
    this.canvas = element('canvas', { className: 'picture', width: view.width, height: view.height, role: 'img' });
    this.pen = this.canvas.getContext('2d');
    this.score = element('span', { className: 'score' });
  }

  /** The last picture stays when the other clip is longer. */
  held(position) { return Math.min(position, this.view.frames - 1); }

  /** A value of one of the chosen face's curves, undefined where it is not on screen. */
  value(name, position) {
    return this.track.curves[name]?.[this.view.first + position - this.track.start];
  }

  /** The 40 probabilities of a teacher, 'heard' or 'seen'. */
  probabilities(teacher, position) {
    const k = this.view.first + position - this.track.start, size = this.view.symbols.length;
    if (!this.track[teacher] || !(k in this.track.boxes)) return undefined;
    return Array.from(bytes(this.track[teacher]).subarray(k * size, (k + 1) * size), x => x / 255);
  }

  /** Draw a decoded picture and the boxes of the faces in it. */
  paint(picture, position) {
    const { pen, canvas } = this;
    pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
    for (const track of this.view.tracks) {
      const box = track.boxes[this.view.first + position - track.start];
      if (box) this.outline(box, track === this.track);
    }
  }

  /** White within black can be seen on any picture; faces that were not chosen are dashed. */
  outline([x0, y0, x1, y1], chosen) {
    const unit = this.canvas.height / 320;
    this.pen.setLineDash(chosen ? [] : [5 * unit, 5 * unit]);
    for (const [style, width] of [['#000a', 4], ['#fff', 1.8]]) {
      Object.assign(this.pen, { strokeStyle: style, lineWidth: width * unit });
      this.pen.strokeRect(x0, y0, x1 - x0, y1 - y0);
    }
  }

  /** Opening, width and roundness of a mouth, 'expected' from the sound or 'seen'; undefined where they are not known. */
  mouth(which, position) {
    const numbers = ['opening', 'width', 'roundness'].map(name => this.value(`${name}_${which}`, position));
    return numbers.includes(undefined) ? undefined : numbers;
  }

  /** The phone that is heard at a position, undefined in silence. */
  phone(position) {
    const { fps, first } = this.view, second = (first + position + .5) / fps;
    return this.track.phones?.find(([, from, to]) => from <= second && second < to);
  }

  describe() {
    const { track, view } = this;
    this.score.textContent = track.witnesses ? track.verdict : `${track.verdict}, ${track.number} ${digits(track.p_fake)}`;
    this.canvas.ariaLabel = `Picture of ${view.name} with the face that was scored`;
  }
}

// ----------------------------------------------------------------------------------------------------- curves

/** The curves of all clips by name, each with its label, explanation, range, ink and dash. */
function curvesOf(clips) { return Object.assign({}, ...clips.map(clip => clip.view.curves)); }

/** One clip whose sound was asked to fit: there are many curves, so they are drawn closer together. */
function isFit(clips) { return clips.length === 1 && clips[0].view.tracks.some(track => track.phones); }

/** What stands in the plot, from top to bottom: the bands of one clip, or a band for each curve of two clips. */
function bandsOf(clips) {
  const curves = curvesOf(clips), [clip] = clips;
  const line = (clip, name, ink = curves[name].ink, dash = curves[name].dash) => ({ clip, name, ink, dash });
  const waves = clips.flatMap(clip => [{ title: `sound ${clip.letter}`.trim(), height: 34, curves: [], wave: clip },
    ...clip.view.tracks.some(track => track.phones?.length) ? [{ title: `phones ${clip.letter}`.trim(), height: 26, curves: [], spoken: clip }] : []]);
  const lanes = clips.filter(({ view }) => view.truth).map(clip => ({ truth: clip, title: '', curves: [], height: LANE * clip.view.truth.length }));
  if (clips.length === 1) {
    const band = ({ names, height, ...look }) => ({ ...look, ...range(curves, names), curves: names.map(name => line(clip, name)),
      height: isFit(clips) ? Math.round(DENSE.scale * height) : height,
      flags: flagsOn(names) && clips, threshold: names.includes('p_fake') ? clip.view.threshold : undefined });
    return laned(clip.view.bands.map(band));
  }
  const band = name => ({ title: curves[name].label, height: 62, ...range(curves, [name]), flags: flagsOn([name]) && clips,
    threshold: name === 'p_fake' ? clip.view.threshold : undefined,
    curves: [line(clips[0], name, 'a', []), line(clips[1], name, 'b', [6, 4])] });
  const fit = clips.every(clip => clip.track.phones), shown = name => !fit || ['sync', 'cont', 'opening_seen', 'opening_expected'].includes(name);
  return laned(Object.keys(curves).filter(shown).map(band));

  /** True periods stand below the flagged stretches. The tallest band makes room for them, so that the plot keeps its height. */
  function laned(bands) {
    const under = bands.findLastIndex(band => band.flags) + 1 || bands.length, gap = isFit(clips) ? DENSE.gap : GAP;
    const tallest = bands.reduce((a, b) => b.height > a.height ? b : a);
    tallest.height = Math.max(30, tallest.height - lanes.reduce((sum, lane) => sum + lane.height + gap, 0));
    return [...bands.slice(0, under), ...lanes, ...bands.slice(under), ...waves];
  }

  /** Stretches are flagged by p_fake, or by Sync where a sound was asked to fit. */
  function flagsOn(names) { return names.includes(clip.track.phones ? 'sync' : 'p_fake'); }
}

/** The limits of an axis on which some curves are drawn together. */
function range(curves, names) {
  return { low: Math.min(...names.map(name => curves[name].low)), high: Math.max(...names.map(name => curves[name].high)) };
}

/** Curves over a common time axis. They are drawn once; only the playhead, on a canvas above them, moves. */
class Plot {
  constructor(clips) {
    Object.assign(this, { clips, bands: bandsOf(clips), frames: Math.max(...clips.map(clip => clip.view.frames)) });
    for (const band of this.bands) band.own = band.height;
    this.whole();
    this.drawn = element('canvas', { role: 'img', ariaLabel: 'Curves over time' });
    this.head = element('canvas', { ariaHidden: 'true' });
    this.node = element('div', { className: 'curves' }, this.drawn, this.head);
  }

  /** Make the bands as high as there is room; lanes of text keep their height, and no band gets lower than can be read. */
  fit(room, most) {
    const elastic = this.bands.filter(band => band.curves.length || band.wave), own = elastic.reduce((sum, band) => sum + band.own, 0);
    const natural = this.bands.length * (isFit(this.clips) ? DENSE.gap : GAP) + own;
    const rest = AXIS + this.bands.reduce((sum, band) => sum + band.own, 0) - own;
    this.gap = room - rest < natural ? 12 : isFit(this.clips) ? DENSE.gap : GAP;
    const scale = clamp((room - rest - this.bands.length * this.gap) / own, 0, most);
    for (const band of elastic) band.height = Math.max(ROOM.least, Math.round(band.own * scale));
    this.node.style.height = `${this.bands.reduce((sum, band) => sum + band.height + this.gap, AXIS)}px`;
  }

  // The plot shows the frames between `from` and `to`, which need not be whole numbers.

  get across() { return this.width - LEFT - RIGHT; }
  get zoomed() { return this.to - this.from < this.frames - 1; }

  x(position) { return LEFT + (position - this.from) / (this.to - this.from || 1) * this.across; }

  /** The place in time below a point of the page, a fraction. */
  place(clientX) {
    const at = (clientX - this.node.getBoundingClientRect().left - LEFT) / this.across;
    return this.from + clamp(at, 0, 1) * (this.to - this.from);
  }

  /** The frame below a pointer; never one beyond the edge, which would turn the page. */
  position(event) { return clamp(Math.round(this.place(event.clientX)), Math.ceil(this.from), Math.floor(this.to)); }

  whole() { Object.assign(this, { from: 0, to: this.frames - 1 }); }

  /** Show `times` as many frames; the one at `place` stays where it is. */
  zoom(times, place) {
    const all = this.frames - 1, wide = clamp((this.to - this.from) * times, Math.min(CLOSEST, all), all);
    const part = (place - this.from) / (this.to - this.from || 1);
    this.moveTo(place - part * wide, wide);
  }

  /** Begin at a place, as far as there are frames. */
  moveTo(from, wide = this.to - this.from) {
    this.from = clamp(from, 0, this.frames - 1 - wide);
    this.to = this.from + wide;
  }

  /** Turn the page if the playhead has left it; tell whether it had. */
  follow(position) {
    const wide = this.to - this.from;
    if (position >= this.from && position <= this.to) return false;
    this.moveTo(position > this.to ? position - .1 * wide : position - .9 * wide);
    return true;
  }

  draw(ink) {
    const pen = fresh(this.drawn);
    this.width = pen.boxWidth;
    this.ink = ink;
    let top = this.gap / 2;
    for (const band of this.bands) {
      Object.assign(band, { top, y: value => band.top + (band.high - value) / (band.high - band.low) * band.height });
      this.drawBand(pen, band);
      top += band.height + this.gap;
    }
    this.bottom = top - this.gap;
    this.drawAxis(pen);
    this.drawn.ariaLabel = ['Curves over time', ...this.flags(), ...this.truths()].join('; ');
  }

  /** True periods in words. */
  truths() {
    return this.clips.flatMap(({ letter, view }) => (view.truth ?? []).flatMap(({ stream, periods }) => periods.map(([from, to]) =>
      `${letter ? `${letter}: ` : ''}${stream || 'video'} known to be forged from ${digits(from / view.fps)} to ${digits(to / view.fps)} s`)));
  }

  /** Flagged stretches in words: who listens does not see the shading. */
  flags() {
    const says = track => track.phones ? 'sound and mouth fit worst' : `${track.number} stays above the threshold`;
    return this.clips.flatMap(({ letter, track, view }) => track.flagged.map(([from, to]) =>
      `${letter ? `${letter}: ` : ''}${says(track)} from ${digits(from / view.fps)} to ${digits(to / view.fps)} s`));
  }

  drawBand(pen, band) {
    const { ink } = this;
    this.frame(pen, band);
    pen.save();
    pen.beginPath();
    pen.rect(LEFT, band.top - 6, this.across + RIGHT, band.height + 8);
    pen.clip();                                            // frames beside the window, and values beyond the range of their axis, stay out
    if (band.wave) this.drawWave(pen, band);
    else if (band.spoken) this.drawPhones(pen, band);
    else if (band.truth) this.drawTruth(pen, band);
    else this.drawCurves(pen, band);
    pen.restore();
  }

  drawCurves(pen, band) {
    const { ink } = this;
    if (band.flags) band.flags.forEach((clip, row) => { this.drawFlags(pen, band, clip, row); });
    if (band.between) this.fill(pen, band, ...band.curves);
    if (band.area) this.fill(pen, band, band.curves[0]);
    if (band.threshold != null) this.rule(pen, band.y(band.threshold), ink.muted, [2, 3]);
    for (const { dash, ink: name, ...curve } of band.curves) {
      trace(pen, this.points(band, curve));
      Object.assign(pen, { strokeStyle: ink[name], lineWidth: 1.6, lineJoin: 'round' });
      pen.setLineDash(dash);
      pen.stroke();
    }
  }

  /** The name of a band, what its axis counts, and its limits. */
  frame(pen, { title, top, height, wave, spoken, truth, y, low, high }) {
    const { ink } = this;
    if (truth) return this.nameTruth(pen, truth, top);
    Object.assign(pen, { fillStyle: ink.ink, textBaseline: 'middle', textAlign: 'left' });
    const lines = title.split('\n');
    lines.forEach((line, k) => { pen.fillText(line, 0, top + height / 2 + 15 * (k - (lines.length - 1) / 2), LEFT - 4); });
    if (spoken) return;
    this.rule(pen, wave ? top + height / 2 : y(low), ink.line);
    if (wave) return;
    this.rule(pen, y(high), ink.line);
    Object.assign(pen, { fillStyle: ink.muted, textAlign: 'right' });
    for (const tick of [low, high]) pen.fillText(tick, LEFT - 8, y(tick));
  }

  rule(pen, y, style, dash = []) {
    Object.assign(pen, { strokeStyle: style, lineWidth: 1 });
    pen.setLineDash(dash);
    trace(pen, [[LEFT, Math.round(y) + .5], [this.width - RIGHT, Math.round(y) + .5]]);
    pen.stroke();
  }

  /** The frames in the window, with one on either side; of a long clip in groups that share a column of pixels. */
  columns(frames) {
    const per = Math.max(1, Math.ceil((this.to - this.from) / this.across)), first = Math.max(0, Math.floor(this.from / per) - 1) * per;
    const end = Math.min(frames, Math.ceil(this.to) + per + 1);
    return { per, starts: Array.from({ length: Math.max(0, Math.ceil((end - first) / per)) }, (_, k) => first + k * per) };
  }

  /** The points of a curve. Frames that share a column leave their least and their greatest value, so no peak is lost. */
  points(band, { clip, name }) {
    const { per, starts } = this.columns(clip.view.frames), point = (i, value) => [this.x(i), band.y(clamp(value, band.low, band.high))];
    return starts.flatMap(start => {
      const values = Array.from({ length: per }, (_, k) => clip.value(name, start + k)).filter(value => value != null);
      if (values.length < 2) return [values.length ? point(start, values[0]) : undefined];
      const [low, high] = extremes(values), rises = values.indexOf(low) < values.indexOf(high);
      return [point(start, rises ? low : high), point(start, rises ? high : low)];
    });
  }

  /** The surface between two curves, or under one. */
  fill(pen, band, upper, lower) {
    const above = this.points(band, upper).filter(Boolean);
    const below = lower ? this.points(band, lower).filter(Boolean) : above.map(([x]) => [x, band.y(band.low)]);
    if (!below.length) return;
    trace(pen, [...above, ...below.reverse()]);
    Object.assign(pen, { fillStyle: this.ink.gap, globalAlpha: .22 });
    pen.fill();
    pen.globalAlpha = 1;
  }

  /** Flagged segments: tinted, with a bar on top that a photocopy keeps. */
  drawFlags(pen, { top, height }, { view, track }, row) {
    for (const [from, to] of track.flagged) {
      const [x0, x1] = [from, to].map(frame => this.x(Math.min(frame - view.first, this.frames - 1)));
      if (x1 < LEFT || x0 > this.width) continue;
      const own = track.phones ? this.ink.muted : this.ink.p_fake;
      Object.assign(pen, { fillStyle: this.clips.length === 1 ? own : this.ink['ab'[row]], globalAlpha: track.phones ? .22 : .13 });
      pen.fillRect(x0, top, x1 - x0, height);
      pen.globalAlpha = 1;
      pen.fillRect(x0, top - 5 + 4 * row, x1 - x0, 3);
    }
  }

  /** True periods have a row for each stream, with its name. */
  nameTruth(pen, { view, letter }, top) {
    Object.assign(pen, { font: '11px system-ui, sans-serif', fillStyle: this.ink.ink, textAlign: 'left', textBaseline: 'middle' });
    view.truth.forEach(({ stream }, row) => { pen.fillText(['forged', stream, letter].filter(Boolean).join(' '), 0, top + (row + .5) * LANE, LEFT - 4); });
    pen.font = FONT;
  }

  /** True periods: a row of bars for each stream. */
  drawTruth(pen, { truth: { view }, top }) {
    view.truth.forEach(({ periods }, row) => {
      const y = top + row * LANE;
      this.rule(pen, y + LANE / 2, this.ink.line);
      pen.fillStyle = row ? this.ink.muted : this.ink.ink;
      for (const period of periods) {
        const [x0, x1] = period.map(frame => this.x(clamp(frame - view.first, 0, this.frames - 1)));
        if (x1 > x0) pen.fillRect(x0, y + 2, Math.max(x1 - x0, 2), LANE - 4);
      }
    });
  }

  /** The loudest samples of each column of pixels. */
  drawWave(pen, { wave: { sound, view }, top, height }) {
    const hop = view.rate / view.fps, per = hop * (this.to - this.from) / this.across, middle = top + height / 2;
    if (!sound.stream.whole) return;                       // it is drawn once it has come
    const half = height / 2 / sound.peaks.most;
    pen.fillStyle = this.ink.muted;
    for (let column = 0; column < this.across; column++) {
      const from = Math.floor(this.from * hop + column * per);
      if (from >= sound.samples.length) break;
      const [low, high] = sound.between(from, Math.floor(from + per));
      pen.fillRect(LEFT + column, middle - high * half, 1, Math.max(1, (high - low) * half));
    }
  }

  /** Phones at their times, in two rows so that neighbours have room; those that have none are strokes. */
  drawPhones(pen, { spoken, top, height }) {
    const { first, fps } = spoken.view, ends = [0, 0], row = height / 2;
    Object.assign(pen, { font: '10px system-ui, sans-serif', textAlign: 'left', textBaseline: 'middle' });
    spoken.track.phones?.forEach(([symbol, from, to], k) => {
      const [x0, x1] = [from, to].map(second => this.x(clamp(second * fps - first, 0, this.frames - 1)));
      const width = pen.measureText(symbol).width, x = (x0 + x1 - width) / 2, y = top + row * (k % 2);
      Object.assign(pen, { fillStyle: this.ink.line });
      pen.fillRect(x0, y, 1, row - 1);
      if (x < ends[k % 2] + 2 || x < LEFT || x > this.width) return;
      pen.fillStyle = this.ink.muted;
      pen.fillText(symbol, x, y + row / 2);
      ends[k % 2] = x + width;
    });
    pen.font = FONT;
  }

  /** The phone at the playhead is always written, whatever room there is. */
  drawPhone(pen, x, { spoken, top, height }, position) {
    const phone = spoken.phone(position);
    if (!phone) return;
    Object.assign(pen, { font: '600 12px system-ui, sans-serif', textBaseline: 'middle', textAlign: 'center' });
    const width = pen.measureText(phone[0]).width + 8, at = clamp(x, LEFT + width / 2, this.width - width / 2);
    pen.fillStyle = this.ink.ink;
    pen.fillRect(at - width / 2, top + height / 2 - 9, width, 18);
    pen.fillStyle = this.ink.paper;
    pen.fillText(phone[0], at, top + height / 2 + 1);
    pen.font = FONT;
  }

  drawAxis(pen) {
    const { fps, first } = this.clips[0].view, begin = (first + this.from) / fps, end = (first + this.to) / fps;
    const wanted = (end - begin) / ((this.width - LEFT) / 70), steps = [.02, .05, .1, .2, .5, 1, 2, 5, 10, 20, 30, 60, 120, 300];
    const step = steps.find(step => step >= wanted) ?? 600;
    Object.assign(pen, { fillStyle: this.ink.muted, textAlign: 'center' });
    for (let k = Math.ceil(begin / step); k * step <= end; k++) {
      pen.fillText(digits(k * step, step < .1 ? 2 : step < 1 ? 1 : 0), this.x(k * step * fps - first), this.bottom + 14);
    }
    pen.textAlign = 'left';
    pen.fillText('time (s)', 0, this.bottom + 14);
  }

  drawHead(position) {
    const pen = fresh(this.head), x = Math.round(this.x(position)) + .5;
    if (position < this.from || position > this.to) return;
    pen.setLineDash([]);
    Object.assign(pen, { strokeStyle: this.ink.ink, lineWidth: 1 });
    trace(pen, [[x, 0], [x, this.bottom]]);
    pen.stroke();
    for (const band of this.bands) if (band.spoken) this.drawPhone(pen, x, band, position);
    for (const band of this.bands) for (const { clip, name, ink } of band.curves) {
      const value = clip.value(name, position);
      if (value != null) this.dot(pen, x, band.y(clamp(value, band.low, band.high)), this.ink[ink]);
    }
  }

  dot(pen, x, y, style) {
    pen.beginPath();
    pen.arc(x, y, 3.5, 0, 2 * Math.PI);
    pen.fillStyle = style;
    pen.fill();
    pen.stroke();
  }
}

/** The whole clip in a strip above the slider: the flagged stretches, and the window that the plot shows. */
class Strip {
  constructor(plot) {
    this.plot = plot;
    this.canvas = element('canvas', { ariaHidden: 'true' });
    this.node = element('div', { className: 'strip', title: 'The whole clip: drag to move along it' }, this.canvas);
  }

  x(frame) { return LEFT + clamp(frame, 0, this.plot.frames - 1) / (this.plot.frames - 1) * this.plot.across; }

  draw(ink) {
    const pen = fresh(this.canvas), { plot } = this, tall = pen.boxHeight;
    pen.fillStyle = ink.line;
    pen.fillRect(LEFT, tall / 2 - 1, plot.across, 2);
    plot.clips.forEach(({ track, view }, row) => {
      pen.fillStyle = track.phones ? ink.muted : plot.clips.length > 1 ? ink['ab'[row]] : ink.p_fake;
      for (const [from, to] of track.flagged) pen.fillRect(this.x(from - view.first), tall / 2 - 3 + 3 * row, Math.max(2, this.x(to - view.first) - this.x(from - view.first)), 3);
    });
    Object.assign(pen, { strokeStyle: ink.ink, lineWidth: 1.5 });
    if (plot.zoomed) pen.strokeRect(this.x(plot.from), 1, Math.max(3, this.x(plot.to) - this.x(plot.from)), tall - 2);
  }

  /** The middle of the window goes below the pointer. */
  drag(event) {
    const { plot } = this, at = (event.clientX - this.node.getBoundingClientRect().left - LEFT) / plot.across;
    plot.moveTo(at * (plot.frames - 1) - (plot.to - plot.from) / 2);
  }
}

// ------------------------------------------------------------------------------------------------- characters

/** What the two teachers take the frame for: heard upwards, seen downwards, full where they agree. */
class Characters {
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
class Mouths {
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
class Witnesses {
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

// ----------------------------------------------------------------------------------------------------- viewer

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

// ----------------------------------------------------------------------------------------------------- notebook

// A notebook gives up on a widget whose data take longer than two seconds. So the model brings numbers and text only, and
// pictures and sound follow in pieces: for each clip a sound and JPEGs, known by a key that is that of their bytes.

const POSTS = new WeakMap();      // of each model
const STALLED = 700;              // milliseconds without a piece after which the kernel is asked for the rest

class Post {
  constructor(model) {
    Object.assign(this, { model, streams: new Map(), users: 0 });
    this.receive = ({ key, part, begin } = {}, buffers = []) => {
      if (buffers.length) this.streams.get(`${key} ${part}`)?.add(begin, bytes(buffers[0]));
      this.wait();
    };
    model.on('msg:custom', this.receive);
  }

  static of(model) {
    if (!POSTS.has(model)) POSTS.set(model, new Post(model));
    POSTS.get(model).users++;
    return POSTS.get(model);
  }

  /** The views of the model with streams for what comes in pieces. What came for an earlier view is used again. */
  views() {
    const before = this.streams, wanted = this.model.get('views');
    this.streams = new Map();
    const stream = (key, part, size) => {
      const name = `${key} ${part}`, one = before.get(name) ?? this.streams.get(name) ?? new Stream(new Uint8Array(size), 0);
      this.streams.set(name, one);
      return one;
    };
    const views = wanted.map(({ pieces, ...view }) => pieces
      ? { ...view, sound: stream(pieces.key, 'sound', pieces.sound), jpegs: stream(pieces.key, 'jpegs', pieces.jpegs) } : view);
    this.ask();
    return views;
  }

  /** Ask for what is missing, now and whenever nothing has come for a while, e.g. after a reload. */
  ask() {
    const missing = [...this.streams].filter(([, stream]) => !stream.whole).map(([name, { filled }]) => [...name.split(' '), filled]);
    if (missing.length) this.model.send({ missing });
    this.wait();
  }

  wait() {
    clearTimeout(this.timer);
    if ([...this.streams.values()].some(stream => !stream.whole)) this.timer = setTimeout(() => this.ask(), STALLED);
  }

  close() {
    if (--this.users) return;
    clearTimeout(this.timer);
    this.model.off('msg:custom', this.receive);
    POSTS.delete(this.model);
  }
}

/** Hide the still that stands in the output beside a live viewer: it is for readers of the saved notebook. Returns what shows it again. */
function veil(el) {
  const show = (node, shown) => { node.hidden = !shown; node.style.display = shown ? '' : 'none'; };   // JupyterLab's style outweighs `hidden`
  let still;
  const watch = new ResizeObserver(() => {                 // a notebook puts the element in its place after it was rendered
    const place = el.closest('.jp-OutputArea, .cell-output, .output, .cell_container');
    still ??= place?.querySelector('img.cmdfd-still:not([hidden])');
    if (still) show(still, false);
  });
  watch.observe(el);
  return () => { watch.disconnect(); if (still) show(still, true); };
}

/** What anywidget calls for each place where the widget is displayed. */
function render({ model, el }) {
  const tell = frame => { model.set('frame', frame); model.save_changes(); };
  const post = Post.of(model), unveil = veil(el);
  let viewer;
  const follow = () => viewer.seek(model.get('frame') - viewer.range.min);
  const renew = () => {
    const last = viewer?.kept();
    viewer?.close();
    viewer = mount(el, post.views(), tell);
    viewer.keep(last);
    follow();
  };
  renew();
  model.on('change:views', renew);
  model.on('change:frame', follow);
  return () => {
    model.off('change:frame', follow);
    model.off('change:views', renew);
    post.close();
    viewer.close();
    unveil();
  };
}

export default { render };
