"""Runs the examples in the docstrings of the public names."""

import doctest
import inspect

import uncertainty_distill as ud

import numpy as np

# Later examples use the run that the example of `train` makes.
_NAMES = (
  'InputError load_dataset corrupt measure experiment train load Predictor '
  'Predictions evaluate export distill batch_ensemble member '
  'MemberCrossEntropy EnsembleMetrics'
).split()


def test_the_examples_say_what_happens(tmp_path, monkeypatch):
  assert set(_NAMES) == set(ud.__all__)
  monkeypatch.chdir(tmp_path)
  said = []
  runner = doctest.DocTestRunner()
  for name in _NAMES:
    text = inspect.getdoc(getattr(ud, name))
    names = {'ud': ud, 'np': np}
    examples = doctest.DocTestParser().get_doctest(text, names, name, name, 0)
    assert examples.examples, f'{name} has no example'
    runner.run(examples, out=said.append)
  assert not runner.failures, ''.join(said)
