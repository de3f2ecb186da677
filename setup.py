"""Builds the package; `baselines/` is installed as uncertainty_distill.baselines.

The ranges here say what the package can work with; constraints.txt pins the
versions that it was tested with.
"""

import setuptools

_REQUIRES = [
    'absl-py>=1.4,<3',
    'edward2==0.0.2',
    # TensorFlow Datasets 4.9.10 imports it without declaring it.
    'importlib_resources>=6',
    'matplotlib>=3.8,<4',
    'numpy>=1.26,<3',
    'opencv-python-headless>=4.8',
    'pillow>=10',
    # On Python 3.10 TensorFlow Metadata needs protobuf <= 6.32, hence an older
    # proto-plus; pip searches for over ten minutes to find that out by itself.
    'google-api-core<2.34; python_version < "3.11"',
    'proto-plus<1.29; python_version < "3.11"',
    'protobuf>=5.28,<=6.32; python_version < "3.11"',
    'PyYAML>=6,<7',
    'scikit-learn>=1.4,<2',
    'scipy>=1.12,<2',
    # TensorBoard 2.20 and TensorFlow Hub 0.16 import pkg_resources, which
    # setuptools 82 no longer has; 70.1 is the first to build wheels by itself.
    'setuptools>=70.1,<82',
    'tensorboard==2.20.*',
    'tensorflow==2.20.*',
    'tensorflow-datasets>=4.9.10,<5',
    'tensorflow-metadata>=1.17',
    'tensorflow-probability==0.25.*',
    'tf-keras==2.20.*',
    'tf-models-official==2.20.*',
    'tqdm>=4.66,<5',
]

_EXTRAS = {
    'gpu': ['tensorflow[and-cuda]==2.20.*'],
    'test': ['pytest>=8,<10'],
    'tpu': ['tensorflow-tpu==2.20.*'],
}

setuptools.setup(
    name='uncertainty_distill',
    version='0.1.0',
    description="Distils deep ensembles into BatchEnsembles of one network's size",
    license='Apache-2.0',
    python_requires='>=3.10,<3.13',
    packages=[
        *setuptools.find_packages(include=['uncertainty_distill*']),
        'uncertainty_distill.baselines',
        'uncertainty_distill.baselines.cifar',
    ],
    package_dir={
        'uncertainty_distill.baselines': 'baselines',
        'uncertainty_distill.baselines.cifar': 'baselines/cifar',
    },
    install_requires=_REQUIRES,
    extras_require=_EXTRAS,
)
