"""What the commands say of mistakes in flags, overrides and YAML files."""

import pytest
import running

_DIGITS = '--experiment=digits_wrn10_1'

# From a mistake to what must be said of it, and the call; {new} is a folder
# that must not be made, {old} a finished run's, {tmp} one with files.
_FLAGS = {
  'unknown experiment': (
    "did you mean 'digits_wrn10_1'?",
    'distill --experiment=digits_wrn101 --model_dir={new}',
  ),
  'no experiment': ('--experiment: got None', 'train --model_dir={new}'),
  'no model_dir': ('--model_dir: got None', 'distill {digits}'),
  'misspelt flag': (
    'Did you mean: model_dir',
    'distill {digits} --modle_dir={new}',
  ),
  'misspelt flag of evaluate': (
    "Unknown command line flag 'outptu_dir'",
    'evaluate --run={old} --outptu_dir={new}',
  ),
  'unknown mode': (
    'train_and_eval|train|eval',
    'train {digits} --model_dir={new} --mode=x',
  ),
  'ensemble size in words': (
    '--ensemble_size=two',
    'train {digits} --model_dir={new} --ensemble_size=two',
  ),
  'no members': (
    'task.model.ensemble_size: got 0, wants at least 1',
    'train {digits} --model_dir={new} --ensemble_size=0',
  ),
  'negative seed': (
    'task.seed: got -1',
    'train {digits} --model_dir={new} --seed=-1',
  ),
  'stray argument': (
    "arguments: got 'stray', wants flags only",
    'train {digits} --model_dir={new} stray',
  ),
  'head distillation of other sizes': (
    'as many teacher members (4) as student members (3)',
    'distill {digits} --model_dir={new} --objective=head --ensemble_size=3',
  ),
  'nothing to distil': (
    'train.py trains what has no teacher',
    'distill {digits} --model_dir={new} '
    '--params_override=task.objective.kind=cross_entropy',
  ),
  'no TPU': ('--tpu', 'distill {digits} --model_dir={new} --tpu'),
  'model_dir is a file': (
    'a folder that can be written',
    'distill {digits} --model_dir={old}/report.md',
  ),
  'model_dir is of another run': (
    'a run with task.seed=0, not 1',
    'distill {digits} --model_dir={old} --seed=1 --objective=head '
    '--params_override={short}',
  ),
  'dataset not there': (
    'a network to download it',
    'train --experiment=cifar100_wrn28_10 --model_dir={new} --data_dir={tmp}',
  ),
  'weights from no teacher': (
    'run folders, where there is no teacher',
    'train {digits} --model_dir={new} '
    '--params_override=task.initialize_from=[teacher]',
  ),
  'no run': ('--run: got []', 'evaluate'),
  'no such scheme': (
    "scheme 'foo' not implemented",
    'evaluate --run=foo://bucket/run',
  ),
  'no folder to export to': ('--output_dir: got None', 'export --run={old}'),
  'export onto its own run': (
    'would be lost',
    'export --run={old} --output_dir={old}',
  ),
  'temperature of a run that held out nothing': (
    'runs that held out the same',
    'export --run={old} --output_dir={new} --temperature=fit',
  ),
  'calibration without temperature': (
    'a use for it: --temperature=fit',
    'export --run={old} --output_dir={new} --calibration=x.npz',
  ),
  'unknown temperature': (
    '--temperature=2',
    'export --run={old} --output_dir={new} --temperature=2',
  ),
  'ranks in words': (
    "--ranks: got '1,x'",
    'reconstruct --teacher={old},{old} --output_dir={new} --ranks=1,x',
  ),
  'rank 0': (
    'rank',
    'reconstruct --teacher={members} --output_dir={new} --ranks=0',
  ),
  'one member to reconstruct': (
    '--teacher',
    'reconstruct --teacher={member} --output_dir={new}',
  ),
  'unknown dataset to corrupt': (
    "'imagenet'",
    'make_corrupted --dataset=imagenet --output_dir={new}',
  ),
  'unknown corruption': (
    "did you mean 'contrast'?",
    'make_corrupted --dataset=digits --output_dir={new} --corruptions=contrst',
  ),
  'negative processes': (
    'processes: got -1',
    'make_corrupted --dataset=digits --output_dir={new} --processes=-1',
  ),
  'no model to predict with': ('--model: got None', 'predict a.png'),
  'no image': ('at least one image', 'predict --model={old}/saved_model'),
  'no study': ('--study: got None', 'reproduce'),
  'part of a study that is not there': (
    "did you mean 'head_student'?",
    'reproduce --study=configs/studies/digits.yaml --output_dir={new} '
    '--only=head_studnet',
  ),
}

_OVERRIDES = {
  'task.model.width=a': "task.model.width in --params_override: got 'a'",
  'task.model.widht=2': "did you mean 'width'?",
  'trainer.epochs=0': 'trainer.epochs: got 0',
  'trainer.base_learning_rate=-1': 'trainer.base_learning_rate: got -1',
  'task.train_data.global_batch_size=0': 'global_batch_size: got 0',
  'task.train_data.global_batch_size=800': '797',
  'task.objective.temperature=0': 'task.objective.temperature: got 0',
  'task.objective.weight=1.5': 'task.objective.weight: got 1.5',
  'task.model.depth=11': 'task.model.depth: got 11',
  'evaluation.corruptions=[contrst]': "did you mean 'contrast'?",
  'evaluation.severities=[6]': '6',
  'evaluation.source=/nowhere': "'/nowhere'",
  'hello': 'key=value pairs',
}

# From YAML (as bytes, for --config_file) to what must be said of it.
_YAML = {
  b'task: {model: {width: wide}}': "got 'wide', wants int",
  b'task: {modle: {width: 2}}': "did you mean 'model'?",
  b'task: {seed: 1, l2: 0.1, seed: 2}': "the key 'seed' is there twice",
  b'task: !!python/object/apply:os.system [ls]': 'python/object/apply',
  b'task: &a {model: *a}': '*a contains itself',
  b'': 'a YAML mapping, not NoneType',
  b'- 1': 'a YAML mapping, not list',
  b'task: {seed: \xff\xfe}': "can't decode",
  b'a: 1\n\tb: 2': 'a readable YAML file',
  b'[' * 5000: 'nested too deep',
  # Ten to the ninth words, were they written out.
  b'a: &a [x,x,x,x,x,x,x,x,x,x]\n'
  + b''.join(
    b'%c: &%c [%s]\n' % (n, n, b','.join([b'*%c' % (n - 1)] * 10))
    for n in b'bcdefghi'
  )
  + b'task: {seed: *i}': 'a known name',
  None: 'No such file',
}

_STUDIES = {
  'experiment: digits_wrn10_1\nsystms: {}': "did you mean 'systems'?",
  'experiment: digits_wrn10_1': 'systems in',
  'experiment: digits_wrn10_1\nsystems: {a: {}}\nseeds: [1, 1]': (
    'distinct integers'
  ),
  'experiment: digits_wrn10_1\nsystems: {../a: {}}': 'labels of letters',
  'experiment: digits_wrn10_1\nsystems: {student: {}}\nexport: studnet': (
    "did you mean 'student'?"
  ),
  'experiment: digits_wrn10_1\nsystems: {a: {task: {sed: 1}}}': (
    "did you mean 'seed'?"
  ),
  'experiment: digits_wrn10_1\nsystems: {a: {}}\n'
  'tables: {t: {rows: [b]}}': 'tables.t.rows',
}


@pytest.fixture(scope='module')
def wanted_and_said(places):
  """From each mistake to what must be said of it, and what was."""
  calls = {
    name: (words, call.format(digits=_DIGITS, **places).split())
    for name, (words, call) in _FLAGS.items()
  }
  train = f'train {_DIGITS} --model_dir={places["new"]}'.split()
  for text, words in _OVERRIDES.items():
    calls[text] = words, [*train, f'--params_override={text}']
  for number, (content, words) in enumerate(_YAML.items()):
    path = places['tmp'] / f'{number}.yaml'
    if content is not None:
      path.write_bytes(content)
    calls[path.name] = words, [*train, f'--config_file={path}']
  study = ['reproduce', f'--output_dir={places["new"]}']
  for number, (content, words) in enumerate(_STUDIES.items()):
    path = places['tmp'] / f'study_{number}.yaml'
    path.write_text(content)
    calls[path.name] = words, [*study, f'--study={path}']
  return running.run_mistakes(calls)


def test_each_mistake_is_one_line_that_names_it(wanted_and_said):
  assert len(wanted_and_said) > 60
  running.check_mistakes(wanted_and_said)


def test_nothing_is_written(wanted_and_said, places):
  del wanted_and_said
  assert not list(places['tmp'].glob('new*'))
