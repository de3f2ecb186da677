"""Tests of the fields of errors, and of the messages built from the fields."""

import pickle

from uncertainty_distill.errors import DivergedError, InputError, nearest

import pytest


def test_an_input_error_has_its_fields_and_says_all_of_them():
  error = InputError('seed', -1, '0 or more', 'leave it out')
  assert isinstance(error, ValueError)
  assert (error.name, error.value) == ('seed', -1)
  assert (error.expected, error.hint) == ('0 or more', 'leave it out')
  for part in '`seed`', '-1', '0 or more', 'leave it out':
    assert part in str(error)


def test_only_parameters_stand_in_backticks():
  assert '`' not in str(InputError('task.seed', -1, '0 or more'))


def test_a_sentence_of_its_own_keeps_the_fields():
  error = InputError('a', 1, 'b', message='it is wrong')
  assert (error.name, error.value, error.expected) == ('a', 1, 'b')
  assert str(error) == 'it is wrong'


@pytest.mark.parametrize('value', ['x' * 10**6, list(range(10**5))])
def test_long_values_are_cut_short(value):
  error = InputError('a', value, 'b')
  assert error.value is value and len(str(error)) < 1000


def test_values_without_an_end_are_cut_short():
  value = []
  value.append([value] * 100)
  assert len(str(InputError('a', value, 'b'))) < 20000


def test_diverged_errors_know_the_step():
  error = DivergedError('loss', 7, 'train again')
  assert (error.what, error.step) == ('loss', 7)
  assert '7' in str(error) and 'train again' in str(error)
  assert DivergedError('all of them').step is None


def test_the_nearest_name_is_offered():
  assert "'width'" in nearest('widht', ['depth', 'width'])
  assert nearest('xyz', ['depth', 'width']) == ''


@pytest.mark.parametrize(
  'error',
  [
    InputError('name', (1, 2), 'three', 'try it', message='No'),
    DivergedError('the loss', 3, 'lower it'),
  ],
)
def test_errors_keep_their_fields_on_the_way_to_another_process(error):
  copy = pickle.loads(pickle.dumps(error))
  assert type(copy) is type(error) and str(copy) == str(error)
  assert vars(copy) == vars(error) and vars(error)
