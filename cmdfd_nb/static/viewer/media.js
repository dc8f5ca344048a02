// Pictures and sound: bytes that may still be on their way, decoded when they are asked for.

import { extremes } from './base.js';

const CACHE = 64;          // decoded pictures kept per clip, about 50 MB
const AHEAD = 8;           // pictures decoded in advance in the direction of travel

/** Bytes that may still be on their way: pieces are added at the end, and whoever needs more waits for it. */
export class Stream {
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
export class Pictures {
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
export class Sound {
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
