"What is installed stands in settings.ini, which nbdev reads as well; what a package is must stand in pyproject.toml."
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
config = ConfigParser(delimiters=['='])
config.read(here/'settings.ini', encoding='utf-8')
cfg = config['DEFAULT']
synth = cfg['synth_requirements'].split()
real = cfg['real_requirements'].split()
baselines = cfg['baselines_requirements'].split()
fast = cfg['fast_requirements'].split()

setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    description=cfg['description'],
    long_description=(here/'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    keywords=cfg['keywords'],
    author=cfg['author'],
    url=cfg['git_url'],
    classifiers=['Development Status :: 3 - Alpha', 'Intended Audience :: Science/Research', 'Framework :: Jupyter',
                 'Topic :: Scientific/Engineering :: Artificial Intelligence'],
    packages=find_packages(include=['cmdfd_nb', 'cmdfd_nb.*']),
    package_data=dict(cmdfd_nb=['static/*', 'static/viewer/*', 'pretrained/*', 'published/*', 'published/tensors/*']),
    install_requires=cfg['requirements'].split(),
    extras_require=dict(synth=synth, real=real, fast=fast, baselines=baselines,
                        dev=cfg['dev_requirements'].split() + synth + real + baselines),
    entry_points=dict(console_scripts=cfg['console_scripts'].split(), nbdev=['cmdfd_nb=cmdfd_nb._modidx:d']))
