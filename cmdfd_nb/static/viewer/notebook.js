// The viewer in a notebook: what anywidget calls.

import { bytes } from './base.js';
import { Stream } from './media.js';
import { mount } from './viewer.js';

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
