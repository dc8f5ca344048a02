"""Trees of empty files with the names of FakeAVCeleb 1.2 and CMDFD.

By rule: as many files of each kind as there are, named as they are (500 people of ten groups, who lend to their own
group), the people invented. As published: the names themselves, from lists that are not ours to pass on.
"""
import csv
from pathlib import Path

from cmdfd_nb.data.layouts.authors import V2
from cmdfd_nb.data.layouts.fakeavceleb import META, ids_in, method_by_name

RACES = 'African', 'Asian (East)', 'Asian (South)', 'Caucasian (American)', 'Caucasian (European)'
KINDS = {category: name for name, category in V2.items()}
VIDEOS = {('A', 'real'): 500, ('B', 'rtvc'): 500, ('C', 'wav2lip'): 5015, ('C', 'fsgan'): 4315, ('C', 'faceswap'): 379,
          ('D', 'wav2lip'): 5519, ('D', 'fsgan-wav2lip'): 3553, ('D', 'faceswap-wav2lip'): 1763}
TYPES = dict(wav2lip=998, wav2lip_Self=996, VideoReTalk=918, VideoReTalk_Self=924, Audio2Head=1000,
             Audio2Head_Self=1000, MakeItTalk=978, MakeItTalk_Self=978)
TWICE = 22   # files that meta_data.csv lists twice, with methods that contradict each other


def person(number): return f'id{number:05}'


def lender(who, turn):
    "Somebody of the same race and gender: 50 people each, one after the other."
    return person(who // 50 * 50 + (who + 1 + turn) % 50)


def file_name(category, method, who, turn):
    "The name of a video; some of FSGAN's name nobody, and some of Wav2Lip's carry a number."
    clip, lends, more = f'{who:05}', lender(who, turn), lender(who, turn * 7 + 3)
    tube = f'{lends[2:]}abc-_{turn:02}'[:11].ljust(11, 'x')
    if method == 'real': return f'{clip}.mp4'
    if method == 'rtvc': return f'{clip}_fake.mp4' if who else f'{clip}.mp4'
    if method == 'wav2lip': return f'{clip}_{f"{turn}_" * (who % 7 == 0)}{lends}_wavtolip.mp4'
    if method == 'fsgan' and turn == 8: return f'{clip}_{turn}.mp4'
    swap = f'{clip}_{lends}_{tube}' + '_faceswap' * method.startswith('faceswap')
    return f'{swap}_{more}_wavtolip.mp4' if category == 'D' else f'{swap}.mp4'


def by_rule():
    "Paths of FakeAVCeleb."
    for (category, method), n in VIDEOS.items():
        for k in range(n):
            who, turn = k % 500, k // 500
            where = f'{RACES[who // 100]}/{("men", "women")[who // 50 % 2]}/{person(who)}'
            yield f'{KINDS[category]}/{where}/{file_name(category, method, who, turn)}'


def touch(root, paths):
    for path in paths: (root/path).parent.mkdir(parents=True, exist_ok=True)
    for path in paths: (root/path).touch()


def meta_row(path):
    "A line of meta_data.csv; the last column has no name there."
    kind, race, gender, source, name = path.split('/')
    category, others = V2[kind], [*ids_in(name), '-', '-']
    method = method_by_name(name, category)
    return [source, *others[:2], method, category, kind, race, gender, name, f'FakeAVCeleb/{path.rpartition("/")[0]}']


def write_fakeavceleb(root, paths):
    "Empty files and meta_data.csv."
    rows = [meta_row(path) for path in paths]
    swaps = [row for row in rows if row[3] == 'fsgan-wav2lip'][:TWICE]
    rows += [[*row[:3], 'wav2lip', *row[4:]] for row in swaps]
    touch(root, paths)
    with open(root/'meta_data.csv', 'w', newline='') as f: csv.writer(f).writerows([[*META, ''], *rows])


def cmdfd_by_rule():
    "Paths of CMDFD; 80 of its 1,000 people are filmed in FakeAVCeleb, too."
    people = [person(420 + k) for k in range(1000)]
    yield from (f'origin/{name}_{k:011}{end}' for k, name in enumerate(people) for end in ('.mp4', '.wav'))
    for folder, n in TYPES.items():
        for k in range(n):
            heard = people[k if folder.endswith('_Self') else (k + 1) % 1000]
            yield f'{folder}/{people[k]}-{heard}.mp4'
            if folder.startswith(('Audio2Head', 'MakeItTalk')): yield f'{folder}/{people[k]}-{heard}.wav'


def published(folder):
    "Paths of FakeAVCeleb in AVH-Align's lists, where races are spelled without parentheses."
    for part in ('train', 'val', 'test'):
        with open(Path(folder)/f'{part}_split.csv', newline='') as f:
            yield from (line['full_path'].removeprefix('FakeAVCeleb/') for line in csv.DictReader(f))


def cmdfd_published(lists):
    "Paths of CMDFD in the authors' lists."
    found = set()
    for path in Path(lists).glob('*.csv'):
        with open(path, newline='') as f: lines = list(csv.DictReader(f))
        for line in lines:
            names = line['Video_Path'], line['Audio_Path']
            found.update(name.partition('/My_Test/')[2] for name in names if '/My_Test/' in name)
    return sorted(found)
