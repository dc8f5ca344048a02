"The overview: what opens, sorts and colours, and what is seen when something fails."
import pytest

from cmdfd_nb.show import overview as overview_module
from cmdfd_nb.show.overview import OverviewPanel
from cmdfd_nb.show.survey import from_results
from screen import film, made_up


@pytest.fixture(scope='module')
def panel(tmp_path_factory):
    folder = tmp_path_factory.mktemp('overview')
    for kind in 'real', 'fake': (folder/kind).mkdir()
    results = [made_up(film(folder/kind/f'{k}.mp4', 30), 30, seed=k) for k, kind in enumerate(['real', 'fake', 'fake'])]
    return OverviewPanel(from_results(results, lambda path: (path.split('/')[-2], int('/fake/' in path))))


def test_whatever_is_chosen_is_done_and_said(panel):
    panel.clip.value = 1
    assert panel.status.value.endswith('1.mp4: done.</div>') and panel.row == 1
    assert panel.batch.value.count('aria-current=true') == 1
    panel.order.value = 'category'
    assert 'Sorting: done.' in panel.status.value
    assert panel.batch.value.index('1.mp4') < panel.batch.value.index('0.mp4')
    panel.by.value = 'label'
    assert 'Colouring: done.' in panel.status.value


@pytest.mark.parametrize('what, act', [
    ('batch_table', lambda panel: setattr(panel.order, 'value', 'path')),
    ('explore_embedding', lambda panel: setattr(panel.by, 'value', 'category')),
    ('view', lambda panel: setattr(panel.clip, 'value', 2))])
def test_no_callback_swallows_an_error(panel, monkeypatch, what, act):
    def fails(*args, **options): raise TypeError('made up to fail')
    monkeypatch.setattr(overview_module, what, fails)
    act(panel)
    assert 'made up to fail' in panel.status.value and 'role="alert"' in panel.status.value
    panel.tell('')
