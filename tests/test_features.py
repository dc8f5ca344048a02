"Features against the packages that define them, on real speech: python_speech_features (MFCC), scipy (STFT)."
import numpy as np
import python_speech_features
import pytest
import scipy.signal
import torch

from cmdfd_nb.core import SAMPLE_RATE, SAMPLES_PER_FRAME
from cmdfd_nb.media.features import mfcc, stft
from cmdfd_nb.media.sound import read_audio


def sounds(real_clips):
    "The sound of every clip that has one, cut to whole frames."
    for name, path in real_clips.items():
        if name.startswith('no_audio'): continue
        audio = read_audio(path)
        yield name, audio[:len(audio) // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME]


def reference(audio, window_s):
    return python_speech_features.mfcc(audio * 2.**15, SAMPLE_RATE, winlen=window_s, winstep=.010, numcep=13, nfft=640)


@pytest.mark.parametrize('window_s', [.040, .025])
def test_mfcc_is_python_speech_features(real_clips, window_s):
    for name, audio in sounds(real_clips):
        theirs, ours = reference(audio, window_s), mfcc(audio, window_s).numpy()
        assert ours.shape == (len(audio) // 160, 13)
        assert len(theirs) == len(ours) - (3 if window_s == .040 else 1)
        np.testing.assert_allclose(ours[:len(theirs)], theirs, rtol=1e-3, atol=1e-3, err_msg=name)


@pytest.mark.parametrize('window_s', [.040, .025])
def test_mfcc_of_16_bit_samples(real_clips, window_s):
    for name, audio in sounds(real_clips):
        samples = np.clip(np.round(audio * 2.**15), -2**15, 2**15 - 1).astype(np.int16)
        theirs = python_speech_features.mfcc(samples, SAMPLE_RATE, winlen=window_s, winstep=.010, numcep=13, nfft=640)
        ours = mfcc(samples / np.float32(2**15), window_s).numpy()
        np.testing.assert_allclose(ours[:len(theirs)], theirs, rtol=1e-3, atol=1e-3, err_msg=name)


def test_stft_is_scipy(real_clips):
    for name, audio in sounds(real_clips):
        x = audio.astype(np.float64)
        x = x / np.abs(x).max()
        x = x / np.sqrt(np.mean(x ** 2))
        _, _, spectra = scipy.signal.stft(x, window='hamming', nperseg=640, noverlap=480, boundary=None, padded=False)
        theirs, ours = np.abs(spectra).T, stft(audio).numpy()
        assert ours.shape == (len(audio) // 160, 321) and len(theirs) == len(ours) - 3
        np.testing.assert_allclose(ours[:len(theirs)], theirs, rtol=1e-3, atol=1e-6, err_msg=name)


def test_the_end_is_padded_with_silence(real_clips):
    "Past the end the last rows see silence, and no step down to it: the padding comes after the pre-emphasis."
    for name, audio in sounds(real_clips):
        emphasised = np.append(audio[0], audio[1:] - .97 * audio[:-1].astype(np.float64)) * 2.**15
        theirs = python_speech_features.mfcc(np.append(emphasised, np.zeros(480)), SAMPLE_RATE, winlen=.040, numcep=13,
                                             nfft=640, preemph=0)
        np.testing.assert_allclose(mfcc(audio).numpy(), theirs, rtol=1e-3, atol=1e-3, err_msg=name)


def test_batches_and_extremes():
    click = torch.zeros(6400)
    click[1234] = 1
    batch = torch.stack([torch.zeros(6400), click, .1 * torch.randn(6400, generator=torch.Generator().manual_seed(0))])
    for feature in (mfcc, stft):
        together = feature(batch)
        assert together.dtype == torch.float32 and together.isfinite().all()
        for rows, clip in zip(together, batch): torch.testing.assert_close(rows, feature(clip), rtol=1e-5, atol=1e-5)
    assert stft(batch)[0].count_nonzero() == 0
    theirs = python_speech_features.mfcc(np.zeros(6400), SAMPLE_RATE, winlen=.040, numcep=13, nfft=640)
    np.testing.assert_allclose(mfcc(batch[0]).numpy()[:len(theirs)], theirs, rtol=1e-3, atol=1e-3)
