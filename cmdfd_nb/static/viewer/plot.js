// Curves over time, and the strip of the whole clip below them.

import { CLOSEST, FONT, ROOM, clamp, digits, element, extremes, fresh, trace } from './base.js';
import { curvesOf, isFit } from './clip.js';

const LEFT = 92, RIGHT = 12, AXIS = 22, GAP = 18;  // pixels around and between the bands of the plot
const LANE = 11;                                   // of a row of true periods
const DENSE = { scale: .65, gap: 14 };             // where there are pairs of curves

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
export class Plot {
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
export class Strip {
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
