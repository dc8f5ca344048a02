"Teachers: what CTC counts as right, what a beam finds, lessons that can be repeated, clips that teach nothing."
import itertools, json
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from test_batches import make_clip

from cmdfd_nb.data.batches import collate
from cmdfd_nb.data.clips import ClipTable
from cmdfd_nb.media.preprocess import load_clip, save_clip
from cmdfd_nb.core import BadArgument, BadManifest
from cmdfd_nb.learn.ctc import beam_search, collapse, ctc_loss, edits, error_rate, greedy, to_text
from cmdfd_nb.learn.sentences import Sounds, speakers, spelled
from cmdfd_nb.learn.teach import LessonConfig, Lips, follow, listening, teach_listener
from cmdfd_nb.learn.match import match_test, teach, teacher_pairs, transcribe
from cmdfd_nb.models.teachers import ASR, teacher_config, to_symbols
from cmdfd_nb.models.agreement import cont, cont_of
from cmdfd_nb.models.run import ask, batch_of, per_clip
from cmdfd_nb.models.weights import seeded_weights

SHORT = LessonConfig(listen=1, read=1, sentences=0, budget=80)


pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.fixture(scope='module')
def table(tmp_path_factory):
    "Clips of noise with words."
    folder, rows = tmp_path_factory.mktemp('clips'), []
    for i, (text, split) in enumerate(zip(('ONE', 'TWO', 'THREE', None), ('train', 'train', 'val', 'train'))):
        clip = make_clip(25 + i, i)
        save_clip(clip, folder/f'{i}.safetensors')
        rows.append(dict(clip=f'{i}.safetensors', frames=len(clip), label=0, identity=str(i), split=split, text=text))
    return ClipTable(pd.DataFrame(rows), folder, domain='synthetic')


def test_ctc_sums_over_all_paths_whatever_the_padding():
    torch.manual_seed(0)
    p, texts = torch.randn(2, 4, 40).softmax(-1), [[3, 3], [7]]
    lengths, used = (4, 3), (0, 3, 7)
    def likelihood(i):
        paths = [path for path in itertools.product(used, repeat=lengths[i]) if collapse(path) == texts[i]]
        return sum(p[i, range(lengths[i]), path].prod() for path in paths)
    by_hand = -sum(likelihood(i).log() for i in (0, 1)) / 3
    found = ctc_loss(p.log(), torch.tensor(lengths), torch.tensor([[3, 3], [7, 0]]), torch.tensor([2, 1]))
    torch.testing.assert_close(found, by_hand)


@pytest.mark.parametrize('seed', range(5))
def test_a_wide_beam_is_exact(seed):
    torch.manual_seed(seed)
    p, total = (torch.randn(6, 3) * 2).softmax(-1), defaultdict(float)
    for path in itertools.product(range(3), repeat=6): total[to_text(collapse(path))] += float(p[range(6), path].prod())
    assert beam_search(p, 200) == max(total, key=total.get)


def test_a_long_posterior_does_not_vanish():
    sure = torch.full((3000, 40), 1e-6)
    sure[range(3000), [9, 7] * 1500] = 1 - 39e-6
    assert beam_search(sure, 3) == greedy(sure) == to_text([9, 7] * 1500)


def test_error_rates():
    assert edits('', 'ABC') == edits('ABC', '') == 3 and edits('ABC', 'ABC') == 0
    assert error_rate(['A B', ''], ['A B', 'C'], 'words') == 1 / 3
    with pytest.raises(ValueError): error_rate(['A'], ['A', 'B'])


def test_following_ignores_padding():
    torch.manual_seed(0)
    log_p, heard = torch.randn(2, 6, 40).log_softmax(-1), torch.randn(2, 6, 40).softmax(-1)
    whole = follow(log_p, heard, [6, 2])
    log_p[1, 2:], heard[1, 2:] = torch.randn(4, 40), 0
    torch.testing.assert_close(follow(log_p, heard, [6, 2]), whole)


def test_a_batch_is_its_items():
    torch.manual_seed(0)
    asr = ASR(teacher_config('tiny')).eval()
    items = [dict(stft=torch.rand(4 * n, 321), frames=n, **spelled(text)) for n, text in ((20, 'YES'), (12, 'NO'))]
    together = listening(asr, collate(items))['total']
    alone = [listening(asr, collate([item]))['total'] * item['characters'] for item in items]
    torch.testing.assert_close(together, sum(alone) / 5, rtol=1e-4, atol=1e-4)


def tones(text, rng):
    "An item in which every character is a tone of two frames, and silence follows."
    rows = [np.eye(321)[8 * s] for s in to_symbols(text) for _ in range(8)] + [np.zeros(321)] * 8
    return dict(stft=torch.from_numpy(np.stack(rows) + .02 * rng.random((len(rows), 321))).half(),
                frames=len(rows) // 4, **spelled(text))


def test_a_listener_learns_to_spell_tones():
    rng = np.random.default_rng(0)
    words = [''.join(rng.choice(list('ABC'), 4)) for _ in range(40)]
    asr, history = teach_listener([tones(w, rng) for w in words], LessonConfig(listen=25, lr=4e-3, budget=60))
    assert history[-1]['total'] < history[0]['total'] / 4
    held = [tones(w, rng) for w in ('CABA', 'BBAC')]
    with torch.inference_mode(): found = [greedy(asr(item['stft'].float()[None])[0]) for item in held]
    assert error_rate(found, ['CABA', 'BBAC']) < .3, found


def test_a_reader_sees_each_clip_whole_and_cut_in_turn(table):
    clips = speakers(table, 'train')
    heard = [torch.arange(float(n))[:, None].repeat(1, 40) for n in clips.rows.frames]
    lips = Lips(clips, heard, 10, seed=3)
    cut, whole = lips[0, 0, 0], lips[0, 1, 0]
    assert (cut['frames'], cut['characters'], len(cut['symbols'])) == (10, 0, 0)
    assert (whole['frames'], whole['characters'], to_text(whole['symbols'].tolist())) == (25, 3, 'ONE')
    first = int(cut['heard'][0, 0])                     # what is heard is cut where the lips are
    assert (cut['lips'] == whole['lips'][first:first + 10]).all()
    batch = collate([cut, whole, lips[1, 0, 0]])
    assert batch['lips'].shape == (3, 26, 112, 112) and batch['characters'].tolist() == [0, 3, 3]


def test_frame_numbers_mean_nothing_to_a_tiny_teacher():
    torch.manual_seed(0)
    config, frame = teacher_config('tiny'), torch.rand(1, 4, 321)
    tiny, placed = ASR(config).eval(), ASR(replace(config, places=True)).eval()
    def middle(network): return network(frame.repeat(1, 60, 1))[0, 20:40]     # the same sound all along
    torch.testing.assert_close(middle(tiny), middle(tiny)[:1].expand(20, 40))
    assert (middle(placed) - middle(placed)[0]).abs().max() > 1e-3


def test_holes_depend_on_the_key_alone():
    items = [dict(stft=torch.rand(40, 321).half(), frames=10, **spelled('A'))]
    first, again, other = (Sounds(items, 3)[0, epoch, 0]['stft'] for epoch in (1, 1, 2))
    assert (first == again).all() and (first != other).any() and items[0]['stft'].dtype == torch.float16


def test_teaching_twice_gives_the_same_weights(table):
    (weights, record), (again, _) = teach(table, SHORT), teach(table, SHORT)
    for part, module in weights.modules().items():
        other = again.modules()[part].state_dict()
        assert all((v == other[k]).all() for k, v in module.state_dict().items()), part
    assert record['trained_on'] == 2 and record['val']['clips'] == 1 and weights.domain == 'synthetic'
    assert json.loads(json.dumps(record)) == record
    assert weights.preprocess == load_clip(f'{table.root}/0.safetensors').settings
    assert teach(table, replace(SHORT, seed=1))[1]['listener'] != record['listener']


def test_what_cannot_be_learned_from_is_refused(table):
    with pytest.raises(BadManifest, match='no column text'): teach(table.where(table.rows.drop(columns='text')), SHORT)
    with pytest.raises(BadManifest, match='no real clip with words is for train'): teach(table.of_split('val'), SHORT)
    assert len(speakers(table, 'train')) == 2          # the one without words is left out
    with pytest.raises(BadArgument, match='nothing would be learned'): LessonConfig(listen=0)
    with pytest.raises(BadArgument, match='no field heads'): LessonConfig.from_dict(dict(heads=3))


def test_cont_of_a_clip_with_the_blank_kept_or_dropped(table):
    weights = seeded_weights()
    path = table.paths()[0]
    for blank in ('keep', 'drop'):
        weights.detector.config = replace(weights.detector.config, blank=blank)
        found, = per_clip(ask(weights, batch_of([load_clip(path)], weights.views)), [25])
        due = cont(*(torch.from_numpy(found[k]) for k in ('heard', 'seen')), blank=blank)
        np.testing.assert_allclose(found['curves']['cont'], due, atol=1e-6)
        np.testing.assert_allclose(cont_of([path], weights, blank=blank)['0.safetensors'], due, atol=1e-6)


def test_transcripts_are_what_the_posteriors_say(table):
    weights, clip = seeded_weights(), load_clip(table.paths()[2])
    (heard, seen), = teacher_pairs(table.where(table.rows.iloc[2:3]), weights)
    assert transcribe(clip, weights, 1) == (greedy(heard), greedy(seen))
    assert transcribe(clip, weights) == (beam_search(heard), beam_search(seen))


def test_match_test_sees_whose_sound_it_is():
    torch.manual_seed(0)
    said = [(torch.randn(30 + i, 40) * 4).softmax(-1) for i in range(6)]
    blurred = [(p + torch.rand(len(p), 40) / 40) / 2 for p in said]
    for blank in ('keep', 'drop'):
        found = match_test([(p, q / q.sum(-1, keepdim=True)) for p, q in zip(said, blurred)], blank)
        assert found['auc'] == found['auc_late'] == 1 and found['auc_frames'] > .9 and found['own'] > found['other']
