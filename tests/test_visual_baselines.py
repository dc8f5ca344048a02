"""Detectors that look at faces and hear nothing: numbers of their public code are met.

`tests/parity/README.md` says what each array is. `tests/test_baselines.py` holds names and shapes of their files, and
trains and scores with each.
"""
import numpy as np
import pytest
import torch
from test_baselines import pictures, published
from test_parity import PARITY, rule

from cmdfd_nb.media.aligned_faces import EIGHT, aligned_face, face_map, steady
from cmdfd_nb.models.detectors import configure, detector_class
from cmdfd_nb.models.foreign import fill_foreign, foreign_file


def seeded(name):
    "The detector of a published file, filled by the rule."
    file = foreign_file(name)
    detector = detector_class(file.kind)(configure(file.kind, file.preset)).eval()
    tensors = published(name)
    fill_foreign(detector, file, tensors[file.entry] if file.entry else tensors)
    return detector


# RealForensics

@pytest.fixture(scope='module')
def real_faces(): return dict(np.load(PARITY/'realforensics_seed0.npz'))


def test_realforensics_numbers(real_faces):
    detector = seeded('realforensics')
    found = []
    detector.backbone.register_forward_hook(lambda module, given, vectors: found.append(vectors))
    with torch.no_grad(): verdict = detector(dict(aligned_faces=torch.from_numpy(pictures(11, 50, 140, 3))[None]))
    vectors = found[0][0].T[[0, 12, 24], ::16]
    np.testing.assert_allclose(vectors, real_faces['vectors'], atol=1e-4 * np.abs(real_faces['vectors']).max())
    frames = verdict.score_of(verdict.frame_logits)[0]
    np.testing.assert_allclose(frames[[0, 49]], real_faces['logits'], atol=1e-4)
    np.testing.assert_allclose(verdict.score[0], real_faces['logits'].mean(), atol=1e-4)


def test_faces_are_aligned_as_published(real_faces):
    "The same landmarks give the same maps and the same pixels."
    points, frames = steady(real_faces['marks'].astype(float)), pictures(9, 20, 224, 3)
    np.testing.assert_allclose([face_map(one[EIGHT]) for one in points], real_faces['maps'], atol=1e-4)
    for theirs, k in zip(real_faces['crops'], (0, 7, 19)):
        off = aligned_face(frames[k], points[k])[::5, ::5].astype(int) - theirs
        assert abs(off).max() <= 1 and (off == 0).mean() > .99


# VQ-GAN

def test_vqgan_numbers():
    "The codes are the same, what comes back as well, and so is the term of the loss that binds vectors and words."
    theirs = np.load(PARITY/'vqgan_seed0.npz')
    detector = detector_class('vqgan')(configure('vqgan', width=32, codes=256, entries=64)).eval()
    detector.load_state_dict({k: torch.from_numpy(rule(k, v.shape)) for k, v in detector.state_dict().items()})
    faces = torch.from_numpy(pictures(13, 2, 64, 3))
    found, rebuild = [], detector.rebuild
    def kept(x):
        found.append(rebuild(x))
        return found[-1]
    detector.rebuild = kept
    with torch.no_grad(): error, apart = detector.errors(faces)
    (rebuilt, vectors, words, codes), = found
    np.testing.assert_allclose(vectors[:, ::4], theirs['before'], atol=1e-4)
    np.testing.assert_array_equal(codes.flatten(), theirs['codes'])
    np.testing.assert_allclose(rebuilt[:, :, ::4, ::4], theirs['rebuilt'], atol=1e-4)
    np.testing.assert_allclose(apart.mean(), theirs['loss'], rtol=1e-4)
    np.testing.assert_allclose(error, theirs['error'], atol=1e-4)
