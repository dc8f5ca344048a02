// One of the clips on show, and what is asked of a few of them.

import { bytes, digits, element } from './base.js';
import { Pictures, Sound } from './media.js';

/** One of the clips on show: its view, the chosen face, and the elements that show them. */
export class Clip {
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

/** The curves of all clips by name, each with its label, explanation, range, ink and dash. */
export function curvesOf(clips) { return Object.assign({}, ...clips.map(clip => clip.view.curves)); }

/** One clip whose sound was asked to fit: there are many curves, so they are drawn closer together. */
export function isFit(clips) { return clips.length === 1 && clips[0].view.tracks.some(track => track.phones); }
