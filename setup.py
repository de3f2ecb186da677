"""Builds the package, uncertainty_distill, from three folders.

baselines/ becomes uncertainty_distill.baselines, and configs/studies
uncertainty_distill.configs.studies.

The version ranges here say what the package can work with. constraints.txt pins
the versions that the package was tested with.
"""

import pathlib
import re

import setuptools

_REQUIRES = [
  'absl-py>=1.4,<3',
  'edward2==0.0.2',
  'etils[epath]>=1.13,<2',
  # From version 4 on, it notices that the file it waits for was removed.
  'filelock>=4,<5',
  # TensorFlow Datasets 4.9.10 imports it without declaring it.
  'importlib_resources>=6',
  'jinja2>=3.1,<4',
  'markdown-it-py>=4,<5',
  'matplotlib>=3.8,<4',
  'numpy>=1.26,<3',
  'opencv-python-headless>=4.9',
  'pillow>=10',
  'PyYAML>=6,<7',
  'scikit-learn>=1.4,<2',
  'scipy>=1.12,<2',
  # TensorBoard 2.20 and TensorFlow Hub 0.16 import pkg_resources, which
  # setuptools 82 no longer has. TensorFlow Probability 0.25 imports distutils,
  # which Python 3.12 has only from setuptools. 70.1 is the first version that
  # builds wheels.
  'setuptools>=70.1,<82',
  'tensorboard==2.20.*',
  'tensorflow==2.20.*',
  'tensorflow-datasets>=4.9.10,<5',
  # Otherwise Python 3.10 may get a version of 2019, the last one without a
  # limit on protobuf.
  'tensorflow-metadata>=1.17',
  'tensorflow-probability==0.25.*',
  'tf-keras==2.20.*',
  'tf-models-official==2.20.*',
  'threadpoolctl>=3.1,<4',
  # The published photographs of frost, 0.5 MB; it needs nothing else.
  'torch-uncertainty-assets==0.5.*',
  'tqdm>=4.66,<5',
]

# Later versions lack functions that TensorFlow 2.20 needs to compile for TPUs.
# There are wheels only for Linux on x86-64.
_LIBTPU = (
  'libtpu>=0.0.14,<0.0.21; '
  'sys_platform == "linux" and platform_machine == "x86_64"'
)

_EXTRAS = {
  # Compiles for TPUs on machines without one. JAX 0.7 needs Python 3.11. Later
  # versions need a later libtpu than the extra `tpu` can take.
  'aot': ['jax>=0.6.2,<0.7.2', _LIBTPU],
  # Builds the documentation site; these versions need Python 3.11.
  'docs': [
    'mkdocs>=1.6,<2; python_version >= "3.11"',
    'mkdocs-material==9.8.*; python_version >= "3.11"',
    'mkdocstrings-python==2.*; python_version >= "3.11"',
  ],
  'gpu': ['tensorflow[and-cuda]==2.20.*'],
  # Studies and searches on many machines: 76 MB to download.
  'ray': ['ray>=2.40,<3'],
  # ipykernel, nbclient and nbformat execute docs/tour.ipynb, as Jupyter does.
  'test': [
    'hypothesis>=6.100,<7',
    'mapie>=1.6,<2',
    'pytest>=8,<10',
    'pytest-xdist>=3.6,<4',
    'ipykernel>=6.29,<8',
    'nbclient>=0.10,<1',
    'nbformat>=5.10,<6',
    'basedpyright==1.40.*',
    'ruff==0.17.*',
  ],
  # tensorflow-tpu has the files of tensorflow, so the package that pip installs
  # last overwrites the other. Therefore tensorflow-tpu must be installed once
  # more, by itself; docs/how_to/devices.md has the commands.
  'tpu': ['tensorflow-tpu==2.20.*', _LIBTPU],
}

_CLASSIFIERS = [
  'Development Status :: 4 - Beta',
  'Intended Audience :: Science/Research',
  'Operating System :: POSIX :: Linux',
  'Programming Language :: Python :: 3.10',
  'Programming Language :: Python :: 3.11',
  'Programming Language :: Python :: 3.12',
  'Topic :: Scientific/Engineering :: Artificial Intelligence',
  'Topic :: Scientific/Engineering :: Image Recognition',
  'Typing :: Typed',
]

# Read from the file, since importing the package needs its dependencies.
(_VERSION,) = re.findall(
  r"^__version__ = '(.*)'$",
  pathlib.Path('uncertainty_distill/__init__.py').read_text(encoding='utf-8'),
  re.M,
)

# On the page of a package index, links to the repository's files do not work.
_README = re.sub(
  r'!?\[([^\]]*)\]\((?!\w+:|#)[^)\s]+\)',
  r'\1',
  pathlib.Path('README.md').read_text(encoding='utf-8'),
)

setuptools.setup(
  name='uncertainty_distill',
  version=_VERSION,
  description='Distills deep ensembles into BatchEnsembles, with uncertainty',
  long_description=_README,
  long_description_content_type='text/markdown',
  license='Apache-2.0',
  license_files=['LICENSE'],
  author='The uncertainty_distill contributors',
  keywords='ensembles, BatchEnsemble, distillation, uncertainty, calibration',
  classifiers=_CLASSIFIERS,
  project_urls={
    'Paper': 'https://openreview.net/forum?id=Lzi5IMyJTFX',
    'BatchEnsemble': 'https://arxiv.org/abs/2002.06715',
  },
  python_requires='>=3.10,<3.13',
  packages=[
    *setuptools.find_packages(include=['uncertainty_distill*']),
    'uncertainty_distill.baselines',
    'uncertainty_distill.baselines.cifar',
    'uncertainty_distill.configs.studies',
  ],
  package_dir={
    'uncertainty_distill.baselines': 'baselines',
    'uncertainty_distill.baselines.cifar': 'baselines/cifar',
    'uncertainty_distill.configs.studies': 'configs/studies',
  },
  package_data={
    '': ['__init__.pyi'],
    'uncertainty_distill': ['py.typed'],
    'uncertainty_distill.configs.studies': ['*.yaml'],
    'uncertainty_distill.data.corruptions': ['constants.json'],
    'uncertainty_distill.reports': ['page.html.jinja', 'paper_tables.json'],
  },
  entry_points={
    'console_scripts': [
      'uncertainty-distill=uncertainty_distill.baselines.cifar.console:main'
    ]
  },
  install_requires=_REQUIRES,
  extras_require=_EXTRAS,
)
