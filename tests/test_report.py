"The report as somebody meets it who knows nothing of the kit: a file, a browser, no network."
import html, os, re, sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmdfd_nb.core import sample
from cmdfd_nb.media.write import write_video
from cmdfd_nb.cli import cmdfd_report
from cmdfd_nb.show.report import page, write_report
from forked import run_script
from screen import AT, Opened, barcode, film, made_up, number, position, settled, until

COMMAND = Path(sys.executable).with_name('cmdfd_report')


def report(*args, cwd=None): return run_script(COMMAND, *args, cwd=cwd)


@pytest.fixture(scope='module')
def numbered(tmp_path_factory):
    "A report of four seconds whose pictures say their number."
    folder = tmp_path_factory.mktemp('report')
    return write_report(folder/'numbered.html', made_up(film(folder/'numbered.mp4', 100), 100))


def test_command_writes_a_file_that_works_alone(browser, tmp_path):
    done = report(sample('speaker.mp4').resolve(), '-o', 'deep/speaker.html', '--weights', 'seeded', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [p.name for p in (tmp_path/'deep').iterdir()] == ['speaker.html']
    with Opened(browser, tmp_path/'deep'/'speaker.html') as page:
        assert page.locator('h1').inner_text() == 'speaker.mp4'
        assert page.locator('.verdict').inner_text() == 'No verdict: untrained weights'
        assert 'untrained' in page.locator('.warning').inner_text()
        page.keyboard.press('Tab'), page.keyboard.press('Tab')
        page.keyboard.press('End')
        assert position(page) == 116


def test_keys_move_the_frame_and_its_description(browser, numbered):
    with Opened(browser, numbered) as page:
        slider = page.get_by_role('slider', name='Frame')
        slider.focus()
        for key, frame in (('ArrowRight', 1), ('ArrowUp', 2), ('PageUp', 27), ('ArrowLeft', 26), ('ArrowDown', 25),
                           ('PageDown', 0), ('PageDown', 0), ('End', 99), ('ArrowRight', 99), ('Home', 0),
                           ('PageUp', 25)):
            page.keyboard.press(key)
            assert position(page) == frame
            settled(page, frame)
        text = slider.get_attribute('aria-valuetext')
        curves = ', '.join(rf'{re.escape(name)} 0\.\d\d' for name in ('Sync', 'Cont', 'p_fake', '|Sync − Cont|'))
        assert re.fullmatch(rf'frame 25 of 0 to 99, 1\.00 s, {curves}', text), text


@pytest.mark.parametrize('place', ['.curves', '.picture'])
def test_dragging_anywhere_moves_the_frame(browser, numbered, place):
    with Opened(browser, numbered) as page:
        box = page.locator(place).first.bounding_box()
        def at(part): return box['x'] + part * box['width'], box['y'] + box['height'] / 2
        seen = []
        page.mouse.move(*at(.3))
        page.mouse.down()
        for part in (.3, .5, .7, 1.5, .6):                       # the pointer may leave
            page.mouse.move(*at(part))
            seen.append(position(page))
            settled(page, seen[-1])
        page.mouse.up()
        page.mouse.move(*at(.1))
        assert seen[0] < seen[1] < seen[2] < seen[3] == 99 and position(page) == seen[-1]
        assert page.evaluate('document.activeElement.type') == 'range'   # the keys go on from here


def test_sound_is_the_clock(browser, numbered):
    "Frames advance with the audio clock, and stand still when it does."
    now = f'new Promise(done => setTimeout(() => done([sound.currentTime, {AT}]), 300))'
    with Opened(browser, numbered) as page:
        page.locator('input[type=range]').focus()
        page.keyboard.press('PageUp')
        page.keyboard.press(' ')
        until(page, f'{AT} > 30')
        page.evaluate('sound.suspend()')
        stopped = page.evaluate(now)
        assert page.evaluate(now) == stopped
        heard, frame = stopped
        assert 25 + 25 * heard - 8 < frame <= 25 + 25 * heard   # not before it is heard
        page.evaluate('sound.resume()')
        until(page, 'document.querySelector(".play").ariaLabel === "Play"')     # it ends by itself
        assert position(page) == 99
        settled(page, 99)
        page.keyboard.press(' ')                                 # and begins anew
        until(page, f'{AT} < 50')
        page.keyboard.press('ArrowRight')                        # a key takes over
        assert page.get_by_role('button', name='Play').count() == 1


def test_every_frame_shown_is_the_frame_scored(browser, numbered):
    with Opened(browser, numbered) as page:
        order = np.random.default_rng(0).permutation(100)
        for frame in order:
            page.evaluate("""v => { const range = document.querySelector('input[type=range]');
                             range.value = v; range.dispatchEvent(new Event('input')) }""", int(frame))
            settled(page, int(frame))
            assert position(page) == number(page) == frame


INJECT = """() => {
  const script = document.createElement('script');
  script.textContent = 'window.ran = true';
  document.body.append(script);
  return window.ran;
}"""


def test_strange_names_stay_names(browser, tmp_path):
    bad = '<img src=x onerror="document.title=1"></script><script>document.title=1</script>&amp;'
    path = film(tmp_path/(bad.replace('/', '\N{FRACTION SLASH}')[:60] + '.mp4'), 30)
    result = made_up(path, 30)
    nasty = replace(result, weights=result.weights | dict(name=bad, domain=bad, sha256=bad), warnings=[bad])
    opened = Opened(browser, write_report(tmp_path/'bad.html', nasty))
    with opened as shown:
        assert shown.locator('h1').inner_text() == path.name and shown.locator('.name').inner_text() == path.name
        assert shown.locator('.warning').inner_text() == bad and bad in shown.locator('main').inner_text()
        assert shown.title() == f'{path.name}: likely fake'
        assert not shown.evaluate(INJECT)                        # and whatever got in after all would not run
        assert 'Content Security Policy' in opened.complaints.pop()
    raw = os.fsdecode(b'caf\xe9.mp4')
    latin = tmp_path/raw
    path.rename(latin)
    assert r'caf\xe9.mp4' in page(replace(result, file=str(latin)))


def test_without_scripts_there_is_a_still(browser, numbered):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(numbered.as_uri())
    assert page.locator('noscript img').evaluate('i => i.naturalWidth') > 500
    context.close()


def test_ten_seconds_stay_under_three_megabytes(tmp_path):
    "Noise is the worst that can be shown; coded coarsely it has edges, too, and is quick to write."
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (360, 640, 3), dtype=np.uint8) for _ in range(3)]
    write_video(tmp_path/'noise.mp4', (noise[k % 3] for k in range(250)),
                rng.uniform(-1, 1, 160_000).astype(np.float32), crf=51)
    assert write_report(tmp_path/'noise.html', made_up(tmp_path/'noise.mp4', 250)).stat().st_size < 3e6


@pytest.fixture(scope='module')
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp('inputs')
    film(folder/'good.mp4', 30)
    write_video(folder/'mute.mp4', [barcode(0)] * 30)
    (folder/'file').touch()
    return folder


@pytest.mark.parametrize('video, options, code, phrase', [
    ('mute.mp4', {}, 1, 'mute.mp4: it has no audio stream'), ('absent.mp4', {}, 1, 'there is no such file'),
    ('good.mp4', dict(span=[3, 1]), 1, 'there is no frame between'),
    ('good.mp4', dict(out='file/r.html'), 2, 'nothing can be written there'),
    ('good.mp4', dict(out='.'), 2, 'this is a folder'), ('good.mp4', dict(device='abacus'), 2, 'cannot compute'),
    ('good.mp4', dict(weights='absent.safetensors'), 2, 'no such file')])
def test_bad_input_becomes_a_message(inputs, video, options, code, phrase, capsys, monkeypatch):
    monkeypatch.chdir(inputs)
    assert cmdfd_report(video, **dict(weights='seeded', faces='whole', workers=0) | options) == code
    assert phrase in capsys.readouterr().err
    assert sorted(p.name for p in inputs.iterdir()) == ['file', 'good.mp4', 'mute.mp4']


@pytest.mark.parametrize('args, phrase', [([], 'required'), (['x.mp4', '--to', 'x'], 'unrecognized')])
def test_bad_usage(args, phrase, tmp_path):
    done = report(*args, cwd=tmp_path)
    assert done.returncode == 2 and phrase in done.stderr and not done.stdout


def test_settings_versions_and_hashes_are_in_it(numbered):
    text = html.unescape(numbered.read_text())
    for phrase in ('SHA-256 of the video', 'The probability that the face from 0.00', 'scale, bias, threshold',
                   '0.7, -0.5, 0.5', 'likely fake from there on', 'domain: real', 'faces whole', 'mfcc_window_s 0.04',
                   'torch 2.'):
        assert phrase in text
