"For tests in a browser: films whose pictures say which they are, results without a network, pages that hold a viewer."
import re
from pathlib import Path

import numpy as np

from cmdfd_nb.media.clip import PreprocessConfig
from cmdfd_nb.store import sha256_of
from cmdfd_nb.media.write import write_video
from cmdfd_nb.show.report import escaped_json
from cmdfd_nb.judge.score import WORDS, Result, TrackScore
from cmdfd_nb.show.viewer import STATIC, viewer_script

BITS = 12


def barcode(i, size=(240, 160)):
    "A picture that says `i`, 0 to 4095: white stripes are ones."
    bits = i >> np.arange(size[0]) * BITS // size[0] & 1
    return np.ascontiguousarray(np.broadcast_to(bits[None, :, None] * 255, (size[1], size[0], 3)).astype(np.uint8))


def film(path, n, size=(240, 160), first=0):
    "A video of n numbered pictures with a tone that swells and falls."
    t = np.arange(n * 640) / 16_000
    write_video(path, (barcode(first + k, size) for k in range(n)),
                (.4 * np.sin(np.pi * t)**2 * np.sin(2760 * t)).astype(np.float32))
    return path


def made_up(path, n, faces=1, label=1, seed=0, divergence='js', teachers=True, start=0, threshold=.5):
    "A result of n frames per face for a film, its numbers drawn at random."
    rng, tracks = np.random.default_rng(seed), []
    for k in range(faces):
        curves = {name: np.convolve(rng.uniform(0, 1, n + 8), np.ones(9) / 9, 'valid')
                  for name in ('p_fake', 'sync', 'cont')}
        posteriors = [rng.dirichlet(np.full(40, .1), n).astype(np.float32) if teachers else None for _ in range(2)]
        begin = start + 10 * k
        boxes = np.tile(np.float32([10 + 100 * k, 20, 90 + 100 * k, 120]), (n - 10 * k, 1))
        shown = ('sync', 'cont', 'p_fake') if teachers else ('sync', 'p_fake')
        cut = {name: curves[name][:len(boxes)] for name in shown}
        heard, seen = (None if p is None else p[:len(boxes)] for p in posteriors)
        p_fake = float(cut['p_fake'].mean())
        due = label is not None
        verdict = dict(label=label, answer=WORDS[4 * label] if due else None, calibrated=due,
                       why_no_label=None if due else 'made up', threshold=threshold if due else None)
        tracks.append(TrackScore(k, begin / 25, (begin + len(boxes)) / 25, len(boxes), boxes, 'correlation', 0.,
                                 p_fake, **verdict, curves=cut, heard=heard, seen=seen))
    weights = dict(name='made up', domain='real', sha256='', scale=.7, bias=-.5, threshold=threshold,
                   bands=(.1, .3, .7, .9), calibrated=True, detector='correlation', divergence=divergence, blank='keep')
    return Result(str(path), sha256_of(path), PreprocessConfig(faces='whole').to_dict(), weights, tracks, [])


def bare(path, views, attributes=''):
    "A page with nothing but the viewer."
    def read(name): return (STATIC/name).read_text()
    path.write_text(f'<!DOCTYPE html><html {attributes}><meta charset="utf-8"><style>{read("viewer.css")}</style><body>'
                    f'<div id="viewer"></div><script type="application/json" id="views">{escaped_json(views)}</script>'
                    f'<script type="module">{viewer_script()}{read("report.js")}</script>')
    return path


AT = 'Number(document.querySelector("input[type=range]").value)'  # the frame, in JavaScript
READ = """([index, bits]) => {
  const canvas = document.querySelectorAll('.picture')[index], row = new OffscreenCanvas(canvas.width, 1);
  const pen = row.getContext('2d', { willReadFrequently: true });
  pen.drawImage(canvas, 0, -Math.round(canvas.height * .95));
  const white = k => pen.getImageData(Math.floor((k + .5) * canvas.width / bits), 0, 1, 1).data[1] > 128;
  return Array.from({ length: bits }, (_, k) => white(k) << k).reduce((a, b) => a + b);
}"""


def number(page, index=0):
    "The number that the picture on a canvas says."
    return page.evaluate(READ, [index, BITS])


def position(page): return int(page.locator('input[type=range]').input_value())


class Opened:
    "A page from disk, with everything that it asked for and complained about."
    def __init__(self, browser, path, visible=True, **options):
        self.context = browser.new_context(offline=True, **dict(viewport=dict(width=1000, height=1400)) | options)
        self.page, self.requests, self.complaints = self.context.new_page(), [], []
        self.page.on('request', lambda r: self.requests.append(r.url))
        self.page.on('console', lambda m: self.complaints.append(m.text))
        self.page.on('pageerror', lambda e: self.complaints.append(str(e)))
        self.page.add_init_script(WATCHED)
        self.page.goto(Path(path).as_uri())
        self.page.wait_for_selector('.cmdfd', state='visible' if visible else 'attached')

    def __enter__(self): return self.page

    def __exit__(self, kind, *_):
        self.context.close()
        if kind is None:
            assert [url for url in self.requests if not re.match('(file|blob|data):', url)] == []
            assert not self.complaints, self.complaints


WATCHED = """window.AudioContext = class extends AudioContext {
  constructor(...a) { super(...a); window.sound = this; } };
window.letters = new Set();
const font = Object.getOwnPropertyDescriptor(CanvasRenderingContext2D.prototype, 'font');
Object.defineProperty(CanvasRenderingContext2D.prototype, 'font', { get: font.get,
  set(value) { window.letters.add(parseFloat(value.match(/[0-9.]+px/)[0])); font.set.call(this, value); } });"""


def until(page, expression, arg=None):
    "Wait until something is so. Playwright's own way needs `eval`, which the report's policy forbids."
    for _ in range(1000):
        if page.evaluate(expression, arg): return
        page.wait_for_timeout(10)
    raise AssertionError(f'not so after ten seconds: {expression}')


def settled(page, wanted, index=0):
    "Wait until a canvas shows the picture of that number."
    until(page, f'([wanted, ...rest]) => ({READ})(rest) === wanted', [wanted, index, BITS])


def made_up_fit(path, n, answer='fits', lag_s=.08, why=None, start=0):
    "A result of n frames for a film whose sound was asked to fit a mouth; it fits badly from 2 to 3 s."
    rng, t = np.random.default_rng(0), np.arange(n) / 25
    def smooth(low, high): return np.convolve(rng.uniform(low, high, n + 8), np.ones(9) / 9, 'valid')
    curves = {f'{name}_{which}': smooth(0, 1) for name in ('opening', 'width', 'roundness')
              for which in ('expected', 'seen')}
    bad = (t >= 2) & (t < 3)
    curves |= dict(sync=np.where(bad, .3, smooth(.6, .9)), cont=np.where(bad, .4, smooth(.5, .8)),
                   loudness=smooth(0, 1), upper_face=smooth(0, 1))
    phones = [['SIL', start / 25, start / 25 + .2]]
    phones += [[symbol, start / 25 + .2 + .1 * k, start / 25 + .3 + .1 * k]
               for k, symbol in enumerate(['M', 'AA', 'P', 'IY'] * (n // 10))]
    boxes = np.tile(np.float32([10, 20, 90, 120]), (n, 1))
    track = TrackScore(0, start / 25, (start + n) / 25, n, boxes, 'articulation', .42, None, label=None, answer=answer,
                       why_no_label=None, threshold=None, calibrated=False, curves=curves, lag_s=lag_s, why=why,
                       phones=phones)
    weights = dict(name='articulation', domain='real', sha256='', scale=1., bias=0., threshold=.5, bands=(),
                   calibrated=False, detector='articulation', divergence='js', blank='keep')
    return Result(str(path), sha256_of(path), PreprocessConfig(faces='whole').to_dict(), weights, [track], [])
