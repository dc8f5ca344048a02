"""Explicit correlation learning for audio-visual deepfake detection.

    import cmdfd_nb as c
    result = c.score('video.mp4')   # an answer for each face, with its curves
    c.scrub(result)                 # drag through the video beside the curves
"""
__version__ = "0.1.0"
__all__ = ['score', 'scrub', 'bench', 'report', 'overview', 'detectors', 'sample']   # see `cmdfd_nb.front`


def __getattr__(name):
    "Look up a function of the front door when it is first named, since it imports PyTorch."
    if name not in __all__: raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from . import front
    return getattr(front, name)


def __dir__(): return sorted({*globals(), *__all__})
