// Small helpers that all parts of the viewer use.

export const FONT = '12px system-ui, sans-serif';
export const ROOM = { narrow: 250, least: 26, most: 2.5 };  // for the curves below the picture; of a band; times its own height, in full screen
export const ZOOM = 1.5, CLOSEST = 8;                     // one step; fewest frames across the plot

export const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
export const digits = (x, n = 2) => x == null ? '–' : x.toFixed(n);
export const bytes = data => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** An element with properties and children. Text goes in as text, never as HTML. */
export function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/** The context of a canvas made to fill its CSS box at the screen's resolution, emptied, in CSS pixels. */
export function fresh(canvas) {
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
export function extremes(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) { if (value < low) low = value; if (value > high) high = value; }
  return [low, high];
}

/** A line through (x, y) points; undefined points leave a hole. */
export function trace(pen, points) {
  let down = false;
  pen.beginPath();
  for (const point of points) {
    if (point) pen[down ? 'lineTo' : 'moveTo'](...point);
    down = Boolean(point);
  }
}
